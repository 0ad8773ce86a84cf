"""Which file holds which environment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, cast

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.place_names import whole_number
from weightcast.core.zarr_folder import ZARR
from weightcast.trajectories.checks import PARAMETER_TOLERANCE
from weightcast.trajectories.npy import environment_name, npy_files, parameters_in_name
from weightcast.trajectories.npz_folder import open_npz_folder

NETCDF = (".nc", ".nc4", ".h5", ZARR)
"""What names of NetCDF files end in, and of Zarr stores, which are folders of the same content."""
FileFormat = Literal["netcdf", "npy"]
"""Of files, or folders, of one environment each."""


def find_source_files(directory: str | Path, table: EnvironmentTable, source: str) -> dict[str, tuple[Path, ...]]:
    """The files from which every environment is imported, by id and in table order.

    netcdf and npy: one each, see :func:`find_environment_files`. npz: two, see :func:`find_npz_files`.
    """
    if source == "npz":
        return find_npz_files(directory, table)
    return {id: (path,) for id, path in find_environment_files(directory, table, cast(FileFormat, source)).items()}


def find_npz_files(directory: str | Path, table: EnvironmentTable) -> dict[str, tuple[Path, ...]]:
    """The files to train and to test of every environment in `table`, by id and in table order.

    Raises:
        InputError: the folder cannot be used, or lacks an environment of the table.
    """
    found = open_npz_folder(directory).ids
    _check_all(Path(directory), table, found, [id for id in found if id not in table])
    return {id: found[id] for id in table.ids}


def find_environment_files(directory: str | Path, table: EnvironmentTable, format: FileFormat) -> dict[str, Path]:
    """The file (or, of `.npy`, folder) of every environment in `table`, by id and in table order.

    netcdf: `<id>.nc`, `<id>.nc4`, `<id>.h5` or a Zarr store `<id>.zarr`. npy: a file `<name>.npy` or a folder `<name>`
    of such files, where the name is the id or states the environment's parameters, as `Re_210.0_r_10.0` does. Where ids
    are numbers, `001` is 1. Hidden files and other suffixes do not count. Files without a row in the table are not used
    (:func:`data_without_row`).

    Raises:
        InputError: the folder is missing; an environment has no data or two.
    """
    found, strangers = _matched(Path(directory), table, format)
    _check_all(Path(directory), table, found, strangers)
    return {id: found[id] for id in table.ids}


def data_without_row(directory: str | Path, table: EnvironmentTable, source: str) -> list[str]:
    """Names of files, or ids of ``.npz`` files, of environments that the table does not have, which are not used.

    Raises:
        InputError: the folder is missing, or an environment has two files.
    """
    if source == "npz":
        return [id for id in open_npz_folder(directory).ids if id not in table]
    return _matched(Path(directory), table, cast(FileFormat, source))[1]


def _matched(directory: Path, table: EnvironmentTable, format: FileFormat) -> tuple[dict[str, Path], list[str]]:
    """Files of the table's environments by id, and the names of others."""
    if not directory.is_dir():
        raise InputError(f"{directory}: found no such folder, expected the trajectories of {table.path}")
    found: dict[str, Path] = {}
    strangers: list[str] = []
    exact = {frozenset(environment.parameters.items()): environment for environment in table}
    numbered = _numbered(table.ids)
    for path in _candidates(directory, format):
        environment = _match(path, table, format, exact)
        if environment is None and (number := whole_number(_name(path, format))) in numbered:
            environment = table[numbered[number]]
        if environment is None:
            strangers.append(path.name)
        elif environment.id in found:
            first = found[environment.id].name
            raise InputError(f"{directory}: environment {environment.id}: found {first} and {path.name}, expected one")
        else:
            found[environment.id] = path
    return found, strangers


def _check_all(directory: Path, table: EnvironmentTable, found: Iterable[str], strangers: list[str]) -> None:
    """Raise an `InputError` unless there is data for each row; of what has none, data without a row may tell why."""
    there = set(found)
    missing = [id for id in table.ids if id not in there]
    if missing:
        beside = f"; found {_some(strangers)} without a row in {table.path}" if strangers else ""
        raise InputError(
            f"{directory}: found no data for {_some(missing)} of {table.path}{beside}; expected data for each row"
        )


def environment_names(directory: str | Path, format: FileFormat) -> list[str]:
    """The names of all environments that there are files of, without a table that says which there should be."""
    return [_name(path, format) for path in _candidates(Path(directory), format)]


def _candidates(directory: Path, format: FileFormat) -> list[Path]:
    visible = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
    if format == "netcdf":
        return [path for path in visible if path.suffix in NETCDF]
    return [path for path in visible if path.suffix == ".npy" or (path.is_dir() and npy_files(path))]


def _match(
    path: Path, table: EnvironmentTable, format: FileFormat, exact: Mapping[frozenset[tuple[str, float]], Environment]
) -> Environment | None:
    """The environment of a file: looked up by its parameters, then looked for among all that nearly have them."""
    name = _name(path, format)
    if name in table:
        return table[name]
    if format == "npy":
        stated = parameters_in_name(name)
        if (environment := exact.get(frozenset(stated.items()))) is not None and stated:
            return environment
        return next((environment for environment in table if _agree(stated, environment)), None)
    return None


def _numbered(ids: Iterable[str]) -> dict[int | None, str]:
    """Ids that are whole numbers by these, which files may write with zeros before them; none where two are one."""
    found = [(whole_number(id), id) for id in ids if whole_number(id) is not None]
    return dict(found) if len(dict(found)) == len(found) else {}


def _name(path: Path, format: FileFormat) -> str:
    return path.stem if format == "netcdf" else environment_name(path)


def _agree(stated: dict[str, float], environment: Environment) -> bool:
    """Whether a name states all parameters of an environment and no others; one that states none is nobody's."""
    return (
        bool(stated)
        and stated.keys() == environment.parameters.keys()
        and all(
            math.isclose(value, environment.parameters[name], rel_tol=PARAMETER_TOLERANCE, abs_tol=1e-12)
            for name, value in stated.items()
        )
    )


def _some(names: Iterable[str], shown: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
