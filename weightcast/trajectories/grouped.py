"""Trajectories of many environments in one file, so that nobody opens ten thousand files to read ten thousand.

The file is the one of :mod:`weightcast.trajectories.netcdf` with one dimension more, (environment, trajectory, time, y,
x), a coordinate with the environments' ids, and a variable along it for each of their parameters, and for where a
channel never has a value:
``xarray.open_dataset(file).sel(environment="a")`` is what a file of that environment alone holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import netCDF4
import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.netcdf_file import said_of_disk
from weightcast.trajectories import checks
from weightcast.trajectories.netcdf import DIMENSIONS, LAND, land_variables, read_land, read_trajectories, unreadable
from weightcast.trajectories.record import Trajectories

ENVIRONMENT = "environment"
PARAMETER = "parameter_"
"""What names of variables that hold a parameter begin with: a parameter may be called as a channel is."""


class NotAlikeError(ValueError):
    """Trajectories of several environments do not fit into one file."""


def write_group(path: Path, environments: Sequence[str], read: Callable[[str], Trajectories]) -> dict[str, str]:
    """Write the trajectories of some environments into one file; the same trajectories give the same bytes.

    Args:
        path: of the file.
        environments: their ids, in the order wanted.
        read: gives an environment's trajectories; asked for one after the other, so that two are in memory at a time.

    Returns:
        the digest of each environment's trajectories (:func:`contents_digest`).

    Raises:
        NotAlikeError: they have other numbers of trajectories or frames, times, grids, channels, units, names of
            parameters or channels with land; or names that mean something else in such a file. Nothing is written then.
        OSError: it cannot be written.
    """
    first = read(environments[0])
    taken = {ENVIRONMENT, *DIMENSIONS, *(PARAMETER + name for name in first.parameters), *land_variables(first)}
    if taken & set(first.channels):
        raise NotAlikeError(f"{path}: channels {first.channels} are called as other variables are")
    digests = {}
    with written_whole(path) as partial, said_of_disk(path), netCDF4.Dataset(partial, "w") as file:
        _lay_out(file, environments, first)
        for row, environment in enumerate(environments):
            trajectories = first if row == 0 else read(environment)
            if _form(trajectories) != _form(first):
                raise NotAlikeError(f"{path}: environment {environment} is not like {environments[0]}")
            for channel, name in enumerate(first.channels):
                file[name][row] = trajectories.values[:, :, channel]
            for name, value in trajectories.parameters.items():
                file[PARAMETER + name][row] = value
            for name, mask in land_variables(trajectories).items():
                file[name][row] = mask
            digests[environment] = contents_digest(trajectories)
    return digests


class TrajectoryGroup:
    """A file that :func:`write_group` has written.

    Args:
        path: of the file.

    Raises:
        InputError: it is missing, unreadable or truncated, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with netCDF4.Dataset(path) as file:
                self.environments = tuple(map(str, file[ENVIRONMENT][:]))
                self._parameters = {
                    name.removeprefix(PARAMETER): np.asarray(variable[:], np.float64)
                    for name, variable in file.variables.items()
                    if name.startswith(PARAMETER) and variable.dimensions == (ENVIRONMENT,)
                }
                self._coordinates = {name: np.asarray(file[name][:], np.float64) for name in DIMENSIONS[1:]}
                fields = {
                    name: variable
                    for name, variable in file.variables.items()
                    if variable.dimensions == (ENVIRONMENT, *DIMENSIONS)
                }
                self.channels = tuple(fields)
                self._units = {
                    name: str(variable.units)
                    for name, variable in file.variables.items()
                    if "units" in variable.ncattrs()
                }
                self._trajectories = len(file.dimensions["trajectory"])
                self._land = {
                    name: np.asarray(variable[:]) > 0
                    for name, variable in file.variables.items()
                    if name.startswith(LAND) and variable.dimensions == (ENVIRONMENT, *DIMENSIONS[2:])
                }
                numeric = all(variable.dtype == np.float32 for variable in fields.values())
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            raise unreadable(path, error) from None
        if not (numeric and self.channels):
            raise InputError(f"{path}: found no channels of float32, expected trajectories of several environments")
        self._rows = {environment: row for row, environment in enumerate(self.environments)}

    def read(
        self,
        environments: Sequence[str],
        *,
        channels: Sequence[str] | None = None,
        grid: tuple[int, int] | None = None,
        minimum_frames: int = 1,
        minimum_trajectories: int = 1,
        trajectories: slice = slice(None),
        frames: int | None = None,
        gaps: bool = False,
    ) -> NDArray[np.float32]:
        """Values of some environments, checked as :func:`weightcast.trajectories.netcdf.read_trajectories` does.

        Args:
            environments: ids, in the order wanted.
            channels: to read, in this order; None: all, in the file's order.
            grid: expected number of points (y, x).
            minimum_frames: least length of the time dimension.
            minimum_trajectories: least number of trajectories of each environment.
            trajectories: of those of each environment.
            frames: only the first so many; all if None.
            gaps: whether values may be missing, as NaN.

        Returns:
            float32 [environment, trajectory, frame, channel, y, x].

        Raises:
            InputError: an environment or channel is not there, or something is not as expected, or not finite.
        """
        names = self.channels if channels is None else tuple(channels)
        for name in names:
            if name not in self.channels:
                raise InputError(f"{self._path}: channel {name}: found {', '.join(self.channels)}, expected {name}")
        time, y, x = (len(self._coordinates[name]) for name in DIMENSIONS[1:])
        checks.check_grid(self._path, (y, x), grid)
        checks.check_counts(self._path, self._trajectories, time, minimum_trajectories, minimum_frames)
        rows = [self._row(environment) for environment in environments]
        count = len(range(self._trajectories)[trajectories])
        values = np.empty((len(rows), count, len(range(time)[:frames]), len(names), y, x), np.float32)
        try:
            with netCDF4.Dataset(self._path) as file:
                file.set_auto_mask(False)
                for channel, name in enumerate(names):
                    for begin, end in _runs(rows):  # consecutive rows in one go: most who read some read all
                        chosen = slice(rows[begin], rows[begin] + end - begin)
                        values[begin:end, :, :, channel] = file[name][chosen, trajectories, :frames]
        except (OSError, RuntimeError, LookupError) as error:
            raise unreadable(self._path, error) from None
        if not np.isfinite(values).all():
            for one in values:
                checks.check_finite(self._path, one, names, gaps)
        return values

    def trajectories(self, environment: str, channels: Sequence[str] | None = None, gaps: bool = False) -> Trajectories:
        """All trajectories of one environment; with gaps values may be missing, as NaN.

        Raises:
            InputError: the environment or a channel is not there, or a value is not finite.
        """
        (values,) = self.read([environment], channels=channels, gaps=gaps)
        row, names = self._row(environment), self.channels if channels is None else tuple(channels)
        return Trajectories(
            values=values,
            channels=names,
            time=self._coordinates["time"],
            y=self._coordinates["y"],
            x=self._coordinates["x"],
            environment=environment,
            parameters={name: float(each[row]) for name, each in self._parameters.items()},
            units=self._units,
            land=self.land(environment, names),
        )

    def land(self, environment: str, channels: Sequence[str]) -> NDArray[np.bool_] | None:
        """Where channels of an environment never have a value [channel, y, x]; None: nowhere.

        Raises:
            InputError: the environment is not there.
        """
        row, grid = self._row(environment), [len(self._coordinates[name]) for name in DIMENSIONS[2:]]
        masks = {name: self._land[LAND + name][row] for name in channels if LAND + name in self._land}
        return np.stack([masks.get(name, np.zeros(grid, bool)) for name in channels]) if masks else None

    def _row(self, environment: str) -> int:
        if environment not in self._rows:
            raise InputError(
                f"{self._path}: environment {environment}: found {len(self._rows)} others, expected it among them"
            )
        return self._rows[environment]


class TrajectoryGroups:
    """Files of several environments, each opened once; they are known by the folder that they lie in.

    Args:
        folder: its name; files elsewhere are of one environment.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._opened: dict[Path, TrajectoryGroup] = {}

    def find(self, path: Path) -> TrajectoryGroup | None:
        """The file, or None if it is of one environment.

        Raises:
            InputError: it is of several, and cannot be used.
        """
        if path.parent.name != self._folder:
            return None
        if path not in self._opened:
            self._opened[path] = TrajectoryGroup(path)
        return self._opened[path]

    def trajectories(
        self, path: Path, environment: str, channels: Sequence[str] | None = None, gaps: bool = False
    ) -> Trajectories:
        """All of an environment's trajectories, from a file of it alone or of several; with gaps values may be missing,
        as NaN.

        Raises:
            InputError: the file cannot be used.
        """
        group = self.find(path)
        if group is None:
            found = read_trajectories(path, channels=channels, gaps=gaps)
            return replace(found, land=read_land(path, found.channels))
        return group.trajectories(environment, channels, gaps)

    def land(self, path: Path, environment: str, channels: Sequence[str]) -> NDArray[np.bool_] | None:
        """Where channels of an environment never have a value [channel, y, x]; None: nowhere.

        Raises:
            InputError: the file cannot be used.
        """
        group = self.find(path)
        return read_land(path, channels) if group is None else group.land(environment, channels)


def contents_digest(trajectories: Trajectories) -> str:
    """Digest of all that one environment's trajectories are, wherever they lie."""
    digest = hashlib.sha256(json.dumps(_form(trajectories)).encode())
    digest.update(json.dumps([trajectories.environment, *map(float, trajectories.parameters.values())]).encode())
    digest.update(trajectories.values.tobytes())
    for mask in land_variables(trajectories).values():
        digest.update(mask.tobytes())
    return digest.hexdigest()


def _form(trajectories: Trajectories) -> list[object]:
    """What environments must have in common to lie in one file."""
    return [
        list(trajectories.values.shape),
        list(trajectories.channels),
        *(np.asarray(getattr(trajectories, name), np.float64).tolist() for name in DIMENSIONS[1:]),
        sorted(trajectories.parameters),
        sorted(trajectories.units.items()),
        *sorted(land_variables(trajectories)),
    ]


def _lay_out(file: netCDF4.Dataset, environments: Sequence[str], first: Trajectories) -> None:
    """Dimensions, coordinates and empty variables; values are neither compressed nor chunked, and none stands for a
    missing one."""
    sizes = zip(DIMENSIONS, (first.values.shape[0], *first.values.shape[1:2], *first.values.shape[3:]), strict=True)
    for name, size in ((ENVIRONMENT, len(environments)), *sizes):
        file.createDimension(name, size)
    ids = file.createVariable(ENVIRONMENT, str, (ENVIRONMENT,))
    ids[:] = np.array(environments, object)
    variables = [file.createVariable(name, np.float64, (name,), fill_value=False) for name in DIMENSIONS[1:]]
    for variable in variables:
        variable[:] = getattr(first, variable.name)
    for name in first.parameters:
        file.createVariable(PARAMETER + name, np.float64, (ENVIRONMENT,), fill_value=False)
    for name in first.channels:
        variables.append(file.createVariable(name, np.float32, (ENVIRONMENT, *DIMENSIONS), fill_value=False))
    for name in land_variables(first):
        file.createVariable(name, np.int8, (ENVIRONMENT, *DIMENSIONS[2:]), fill_value=False)
    for variable in variables:
        if variable.name in first.units:
            variable.units = first.units[variable.name]


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """Begin and end of each stretch of `rows` in which every row follows the one before."""
    cuts = [0, *(n for n in range(1, len(rows)) if rows[n] != rows[n - 1] + 1), len(rows)]
    return [(begin, end) for begin, end in pairwise(cuts) if end > begin]
