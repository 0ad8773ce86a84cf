"""Cells in an AnnData file (`.h5ad`): times in a column of obs, a representation of the cells in obsm, X or a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.core.names import listed
from weightcast.samples import checks
from weightcast.samples.anndata_matrix import as_dense, as_text, principal_components, read_matrix, read_plain
from weightcast.samples.npz import advice_on_dimensions, first_columns, numeric_times
from weightcast.samples.record import Loadings, TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.stored_loadings import gene_names, stored_loadings
from weightcast.samples.time_column import choose_time_column

COMPONENTS = 50
"""Principal components that are computed of genes where no number is given."""
EXPECTED = "a whole AnnData file (.h5ad)"


class AnnDataSettings(Settings):
    time_column: str | None = None
    """Name of the column of obs that holds the times; None: the one whose name says so."""
    representation: str = "X_pca"
    """Key of obsm, numbers [cell, dimension], dense or sparse; or ``X`` or ``layers/<name>``, of whose genes principal
    components are computed."""
    first_dimensions: int | None = Field(default=None, ge=1)
    """Only the first so many dimensions; None: all, and 50 principal components of genes."""
    condition: dict[str, str | float] | None = None
    """Only cells whose columns of obs have these values: one batch, say."""
    time_labels: dict[str, float] | None = None
    """The time of each label in the column of times, where labels do not say it."""

    @property
    def of_genes(self) -> bool:
        """Whether the representation is of genes rather than of few coordinates."""
        return self.representation == "X" or self.representation.startswith("layers/")


@dataclass(frozen=True)
class AnnDataCells:
    """The cells of a file that are wanted.

    Attributes:
        times: [cell].
        values: [cell, dimension], finite.
        names: of the dimensions.
        columns: further columns of obs that were asked for [cell], by name.
        settings: how the file was read, complete.
        notes: what was left out or assumed, a line each.
        loadings: the way back to genes, where dimensions are principal components.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    names: tuple[str, ...]
    columns: dict[str, NDArray[np.generic]]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    loadings: Loadings | None


def read_h5ad(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read the cells' times and coordinates. The package anndata is not needed, h5py is.

    Times are numbers, or text (categories mostly) that says them: ``day_2``, ``day_4``.

    Args:
        path: the file.
        settings: see :class:`AnnDataSettings`.
        dimensions: names; None: pca_0, pca_1, ... of X_pca.

    Raises:
        InputError: h5py is missing, the file cannot be read, a column or key is missing, a label holds no number or
            several, or a value is not finite.
    """
    cells = read_anndata(path, checks.read_settings(AnnDataSettings, settings, path), dimensions)
    found, samples = group_rows(cells.times, cells.values)
    return TimedSamples(found, samples, cells.names, False, cells.settings, notes=cells.notes, loadings=cells.loadings)


def read_anndata(
    path: Path,
    chosen: AnnDataSettings,
    dimensions: Sequence[str] | None,
    columns: Sequence[str] = (),
    fitted_on: Callable[[Mapping[str, NDArray[np.generic]]], NDArray[np.bool_]] | None = None,
) -> AnnDataCells:
    """Read cells as they are in the file, with further columns of obs.

    Args:
        path: the file.
        chosen: how it is read.
        dimensions: names; None: as the representation is called.
        columns: of obs that are wanted beside the times.
        fitted_on: says which cells [cell], by these columns, principal components of genes are fitted on; None: all.

    Raises:
        InputError: as :func:`read_h5ad`.
    """
    with opened_h5ad(path) as file:
        times, time_column, said = read_times_of_cells(path, file, chosen)
        wanted = fulfilling_cells(path, file["obs"], chosen.condition or {}, len(times))
        array = read_matrix(path, file, chosen.representation)
        further = {name: _read_further(path, file["obs"], name, len(times))[wanted] for name in columns}
        genes = gene_names(file) if chosen.of_genes else []
        stored = None if chosen.of_genes else stored_loadings(file, chosen.representation, array)
    place = chosen.representation if chosen.of_genes else f"obsm {chosen.representation}"
    checks.check_axes(path, place, array.shape, ("cell", "dimension"))
    checks.check_numeric(path, place, array.dtype)
    if array.shape[0] != len(times):
        raise InputError(
            f"{path}: {place}: found {array.shape[0]} rows, expected {len(times)}, one for each row of obs"
        )
    array, times = array[wanted], times[wanted]
    notes = list(said)
    loadings = None
    if chosen.of_genes:
        fitted = None if fitted_on is None else fitted_on(further)
        most = min(array.shape[0] if fitted is None else int(fitted.sum()), array.shape[1])
        components = chosen.first_dimensions or min(COMPONENTS, most)
        values, loadings = principal_components(path, place, array, components, genes, fitted)
        notes.append(f"{components} principal components of {array.shape[1]} genes in {place}")
    else:
        values = first_columns(path, as_dense(array), chosen.first_dimensions)
        if stored is not None:
            loadings = None if stored.loadings is None else stored.loadings.first(values.shape[1])
            notes.append(stored.note)
    short = "pca" if chosen.of_genes else chosen.representation.removeprefix("X_")
    names = checks.name_dimensions(
        path, dimensions, [f"{short}_{number}" for number in range(values.shape[1])], advice_on_dimensions(dimensions)
    )
    checks.check_finite(path, values, ("cell",), names)
    used = chosen.model_dump(exclude_none=True) | {"time_column": time_column}
    return AnnDataCells(times, values, names, further, used, tuple(notes), loadings)


def read_times_of_cells(path: Path, file: Any, chosen: AnnDataSettings) -> tuple[NDArray[np.float64], str, list[str]]:
    """Times of all cells of an open file [cell], the column of obs that has them, and notes on labels.

    Raises:
        InputError: as :func:`read_h5ad`.
    """
    time_column = choose_time_column(path, obs_columns(file["obs"]), chosen.time_column)
    labels = _read_column(path, file["obs"], time_column)
    times, said = numeric_times(path, f"obs, column {time_column}", labels, chosen.time_labels)
    checks.check_finite(path, times[:, None], ("cell",), (time_column,))
    return times, time_column, said


def read_obs(path: Path, chosen: AnnDataSettings, columns: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Columns of obs [cell] alone, of the cells that fulfil the condition.

    Raises:
        InputError: as :func:`read_h5ad`.
    """
    with opened_h5ad(path) as file:
        time_column = choose_time_column(path, obs_columns(file["obs"]), chosen.time_column)
        cells = len(_read_column(path, file["obs"], time_column))
        wanted = fulfilling_cells(path, file["obs"], chosen.condition or {}, cells)
        return {name: _read_further(path, file["obs"], name, cells)[wanted] for name in columns}


def columns_of_obs(path: Path) -> list[str]:
    """Names of the columns of obs of a file.

    Raises:
        InputError: h5py is missing, or the file cannot be read.
    """
    with opened_h5ad(path) as file:
        return obs_columns(file["obs"])


@contextmanager
def opened_h5ad(path: Path) -> Iterator[Any]:
    """An AnnData file, open; whatever is wrong with it is said in one line."""
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: AnnData files need the package h5py: {how_to_install('anndata')}") from None
    checks.check_file(path)
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(file.get("obs"), h5py.Group):
                inside = listed(sorted(file))
                raise InputError(f"{path}: found {inside} inside, expected groups obs and obsm of AnnData 0.7 on")
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise checks.unreadable(path, error, EXPECTED) from None


def fulfilling_cells(path: Path, obs: Any, condition: Mapping[str, str | float], cells: int) -> NDArray[np.bool_]:
    """Which cells [cell] have the values wanted in columns of obs."""
    wanted = np.ones(cells, bool)
    for name, value in condition.items():
        if name not in obs_columns(obs):
            known = listed(obs_columns(obs))
            raise InputError(
                f"{path}: data.settings.condition: found no column {name!r} in obs, expected one of {known}"
            )
        column = _read_column(path, obs, name)
        wanted &= (column == value) if column.dtype.kind in "iufb" else (column.astype(str) == str(value))
        if not wanted.any():
            there = listed(sorted(map(str, np.unique(column))))
            raise InputError(
                f"{path}: data.settings.condition: found no cell with {name} {value}, expected one of {there}"
            )
    return wanted


def obs_columns(obs: Any) -> list[str]:
    """Names of the columns of obs, in their order."""
    index = as_text(obs.attrs.get("_index", "_index"))
    ordered = [as_text(name) for name in np.atleast_1d(obs.attrs.get("column-order", []))]
    return ordered or [str(name) for name in obs if name not in (index, "__categories")]


def _read_column(path: Path, obs: Any, name: str) -> NDArray[np.generic]:
    """A column [cell] of numbers or text, whichever way this version of AnnData stores it."""
    column = obs[name]
    if hasattr(column, "keys") and "codes" in column:
        codes, categories = column["codes"][()], read_plain(column["categories"])
    elif "__categories" in obs and name in obs["__categories"]:  # AnnData 0.7
        codes, categories = column[()], read_plain(obs["__categories"][name])
    else:
        values = read_plain(column)
        missing = column["mask"][()] if hasattr(column, "keys") else np.zeros(len(values), bool)
        _check_present(path, name, missing)
        return values
    _check_present(path, name, codes < 0)
    chosen: NDArray[np.generic] = categories[codes]
    return chosen


def _read_further(path: Path, obs: Any, name: str, cells: int) -> NDArray[np.generic]:
    """A column of obs that an option or a setting names."""
    if name not in obs_columns(obs):
        raise InputError(f"{path}: found no column {name!r} in obs, expected one of {listed(obs_columns(obs))}")
    column = _read_column(path, obs, name)
    if len(column) != cells:
        raise InputError(f"{path}: obs, column {name}: found {len(column)} values, expected {cells}, one for each cell")
    return column


def _check_present(path: Path, name: str, missing: NDArray[np.bool_]) -> None:
    if missing.any():
        raise InputError(
            f"{path}: obs, column {name}: found no value for cell {int(np.argmax(missing))} (counted from 0), expected "
            "one for every cell"
        )
