"""Samples and their times in an `.npz` archive, as single-cell studies publish them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.samples import checks
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows

# What numpy raises for a damaged archive: of the ZIP file, of its compression, or of an array's header inside.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    TokenError,
)


class NpzSettings(Settings):
    samples: str = "X"
    """Name of the array of samples [sample, dimension]."""
    times: str = "ts"
    """Name of the array of their times [sample]."""
    first_dimensions: int | None = Field(default=None, ge=1)
    """Only the first so many dimensions, of principal components say; None: all."""


def read_npz(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read two arrays of an archive; others do not matter. Pickled objects are never loaded.

    Args:
        path: the file.
        settings: see :class:`NpzSettings`.
        dimensions: names; None: x_0, x_1, ...

    Raises:
        InputError: the file cannot be read, an array is missing or is not as said, or a value is not finite.
    """
    chosen = checks.read_settings(NpzSettings, settings, path)
    values, times, others = _load_arrays(path, chosen)
    checks.check_axes(path, f"array {chosen.samples}", values.shape, ("sample", "dimension"))
    if times.ndim == 2 and times.shape[1] == 1:
        times = times[:, 0]
    checks.check_axes(path, f"array {chosen.times}", times.shape, ("sample",))
    for name, array in ((chosen.samples, values), (chosen.times, times)):
        checks.check_numeric(path, f"array {name}", array.dtype)
    if len(times) != len(values):
        raise InputError(
            f"{path}: array {chosen.times}: found {len(times)} times, expected {len(values)}, one for each sample of "
            f"{chosen.samples}"
        )
    numbers = first_columns(path, values, chosen.first_dimensions)
    names = checks.name_dimensions(
        path, dimensions, [f"x_{number}" for number in range(numbers.shape[1])], advice_on_dimensions(dimensions)
    )
    checks.check_finite(path, numbers, ("sample",), names)
    rows = times.astype(np.float64)
    checks.check_finite(path, rows[:, None], ("sample",), (chosen.times,))
    found, samples = group_rows(rows, numbers)
    notes = (f"arrays {checks.listed(others)} are not used",) if others else ()
    return TimedSamples(found, samples, names, False, chosen.model_dump(exclude_none=True), notes=notes)


def first_columns(path: Path, values: NDArray[np.generic], number: int | None) -> NDArray[np.float64]:
    """The first ``number`` columns of values [sample, dimension] as float64; None: all.

    Raises:
        InputError: there are not so many.
    """
    if number is not None and number > values.shape[1]:
        raise InputError(
            f"{path}: data.settings.first_dimensions: found {number}, expected at most {values.shape[1]}, as many as "
            "there are"
        )
    return values[:, :number].astype(np.float64)


def advice_on_dimensions(dimensions: Sequence[str] | None) -> str:
    return f"; data.settings.first_dimensions: {len(dimensions)} uses the first {len(dimensions)}" if dimensions else ""


def _load_arrays(path: Path, chosen: NpzSettings) -> tuple[NDArray[np.generic], NDArray[np.generic], list[str]]:
    """The samples, the times, and the names of all other arrays."""
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path}: found a single array (.npy), expected an archive of arrays (.npz)")
        with archive:
            for name in (chosen.samples, chosen.times):
                if name not in archive.files:
                    raise InputError(
                        f"{path}: found arrays {checks.listed(archive.files)}, expected {chosen.samples} [sample, "
                        f"dimension] and {chosen.times} [sample] (data.settings: samples, times)"
                    )
            others = [name for name in archive.files if name not in (chosen.samples, chosen.times)]
            return archive[chosen.samples], archive[chosen.times], others
    except InputError:
        raise
    except UNREADABLE as error:
        raise checks.unreadable(path, error, "a whole .npz archive of numbers") from None
