"""Cells in an AnnData file (`.h5ad`): times in a column of obs, a representation of the cells in obsm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.samples import checks
from weightcast.samples.npz import advice_on_dimensions, first_columns
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.time_column import choose_time_column, times_of_labels

EXPECTED = "a whole AnnData file (.h5ad)"


class AnnDataSettings(Settings):
    time_column: str | None = None
    """Name of the column of obs that holds the times; None: the one whose name says so."""
    representation: str = "X_pca"
    """Key of obsm: dense numbers [cell, dimension]."""
    first_dimensions: int | None = Field(default=None, ge=1)
    """Only the first so many dimensions; None: all."""


def read_h5ad(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read the cells' times and coordinates. The package anndata is not needed, h5py is.

    Times are numbers, or text (categories mostly) in which each label holds one number: ``day_2``, ``day_4``.

    Args:
        path: the file.
        settings: see :class:`AnnDataSettings`.
        dimensions: names; None: pca_0, pca_1, ... of X_pca.

    Raises:
        InputError: h5py is missing, the file cannot be read, a column or key is missing, a label holds no number or
            several, or a value is not finite.
    """
    chosen = checks.read_settings(AnnDataSettings, settings, path)
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: AnnData files need the package h5py: {how_to_install('anndata')}") from None
    try:
        with h5py.File(path, "r") as file:
            for group in ("obs", "obsm"):
                if not isinstance(file.get(group), h5py.Group):
                    inside = checks.listed(sorted(file))
                    raise InputError(f"{path}: found {inside} inside, expected groups obs and obsm of AnnData 0.7 on")
            time_column = choose_time_column(path, _columns(file["obs"]), chosen.time_column)
            labels = _read_column(path, file["obs"], time_column)
            array = file["obsm"].get(chosen.representation)
            if not isinstance(array, h5py.Dataset):
                kind = "no" if array is None else "no dense array in"
                raise InputError(
                    f"{path}: obsm: found {kind} {chosen.representation} among {checks.listed(sorted(file['obsm']))}, "
                    "expected a dense array named by data.settings.representation"
                )
            values = array[()]
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise checks.unreadable(path, error, EXPECTED) from None
    times = _numeric_times(path, time_column, labels)
    place = f"obsm {chosen.representation}"
    checks.check_axes(path, place, values.shape, ("cell", "dimension"))
    checks.check_numeric(path, place, values.dtype)
    if len(values) != len(times):
        raise InputError(f"{path}: {place}: found {len(values)} rows, expected {len(times)}, one for each row of obs")
    values = first_columns(path, values, chosen.first_dimensions)
    short = chosen.representation.removeprefix("X_")
    names = checks.name_dimensions(
        path, dimensions, [f"{short}_{number}" for number in range(values.shape[1])], advice_on_dimensions(dimensions)
    )
    checks.check_finite(path, values, ("cell",), names)
    found, samples = group_rows(times, values)
    used = chosen.model_dump(exclude_none=True) | {"time_column": time_column}
    return TimedSamples(found, samples, names, False, used)


def _columns(obs: Any) -> list[str]:
    """Names of the columns of obs, in their order."""
    index = _text(obs.attrs.get("_index", "_index"))
    ordered = [_text(name) for name in np.atleast_1d(obs.attrs.get("column-order", []))]
    return ordered or [str(name) for name in obs if name not in (index, "__categories")]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_column(path: Path, obs: Any, name: str) -> NDArray[np.generic]:
    """A column [cell] of numbers or text, whichever way this version of AnnData stores it."""
    column = obs[name]
    if hasattr(column, "keys") and "codes" in column:
        codes, categories = column["codes"][()], _read_plain(column["categories"])
    elif "__categories" in obs and name in obs["__categories"]:  # AnnData 0.7
        codes, categories = column[()], _read_plain(obs["__categories"][name])
    else:
        values = _read_plain(column)
        missing = column["mask"][()] if hasattr(column, "keys") else np.zeros(len(values), bool)
        _check_present(path, name, missing)
        return values
    _check_present(path, name, codes < 0)
    chosen: NDArray[np.generic] = categories[codes]
    return chosen


def _read_plain(item: Any) -> NDArray[np.generic]:
    """Numbers, or text as str; of a group with a mask of missing values, its values."""
    data = item["values"] if hasattr(item, "keys") else item
    values: NDArray[np.generic] = data[()]
    return np.array([_text(value) for value in values], dtype=str) if values.dtype.kind in "OS" else values


def _check_present(path: Path, name: str, missing: NDArray[np.bool_]) -> None:
    if missing.any():
        raise InputError(
            f"{path}: obs, column {name}: found no value for cell {int(np.argmax(missing))} (counted from 0), expected "
            "the time of every cell"
        )


def _numeric_times(path: Path, name: str, labels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Times [cell] that are finite."""
    if labels.dtype.kind == "U":
        distinct, number = np.unique(labels, return_inverse=True)
        said = times_of_labels(map(str, distinct))
        if said is None:
            raise InputError(
                f"{path}: obs, column {name}: found {checks.listed(distinct)}, expected numbers, or labels with one "
                "number each in the same text, as day_2"
            )
        times = np.array([said[str(label)] for label in distinct])[number]
    else:
        checks.check_numeric(path, f"obs, column {name}", labels.dtype)
        times = labels.astype(np.float64)
    checks.check_finite(path, times[:, None], ("cell",), (name,))
    return times
