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
from weightcast.core.names import listed
from weightcast.samples import checks
from weightcast.samples.metadata_columns import metadata_among
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.time_labels import notes_on_labels, read_time_labels

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
    columns: list[int] | None = Field(default=None, min_length=1)
    """Which of these, counted from 0, are used; None: all but those that are the time again or count the rows."""
    time_labels: dict[str, float] | None = None
    """The time of each label, where times are text that does not say it."""


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
    checks.check_numeric(path, f"array {chosen.samples}", values.dtype)
    rows, said = numeric_times(path, f"array {chosen.times}", times, chosen.time_labels)
    if len(times) != len(values):
        raise InputError(
            f"{path}: array {chosen.times}: found {len(times)} times, expected {len(values)}, one for each sample of "
            f"{chosen.samples}"
        )
    checks.check_finite(path, rows[:, None], ("sample",), (chosen.times,))
    numbers = first_columns(path, values, chosen.first_dimensions)
    columns, left_out = _used_columns(path, numbers, rows, chosen.columns, dimensions)
    numbers = numbers[:, columns]
    names = checks.name_dimensions(
        path, dimensions, [f"x_{number}" for number in columns], advice_on_dimensions(dimensions)
    )
    checks.check_finite(path, numbers, ("sample",), names)
    found, samples = group_rows(rows, numbers)
    notes = [f"arrays {listed(others)} are not used"] if others else []
    used = chosen.model_dump(exclude_none=True) | ({"columns": columns} if left_out or chosen.columns else {})
    return TimedSamples(found, samples, names, False, used, notes=(*notes, *said, *left_out))


def _used_columns(
    path: Path,
    values: NDArray[np.float64],
    times: NDArray[np.float64],
    wanted: Sequence[int] | None,
    dimensions: Sequence[str] | None,
) -> tuple[list[int], list[str]]:
    """Positions of the columns that are dimensions, and a line for each that is not."""
    count = values.shape[1]
    if wanted is not None:
        if min(wanted) < 0 or max(wanted) >= count or len(set(wanted)) != len(wanted):
            raise InputError(
                f"{path}: data.settings.columns: found {listed(wanted)}, expected numbers from 0 to "
                f"{count - 1}, each once"
            )
        return list(wanted), []
    if dimensions is not None or not np.isfinite(values).all():
        return list(range(count)), []
    metadata, _ = metadata_among({f"{number}": values[:, number] for number in range(count)}, times)
    kept = [number for number in range(count) if f"{number}" not in metadata]
    if not kept:
        return list(range(count)), []
    return kept, [f"column {name} (counted from 0) is not used: {why}" for name, why in metadata.items()]


def numeric_times(
    path: Path, place: str, labels: NDArray[np.generic], given: Mapping[str, float] | None
) -> tuple[NDArray[np.float64], list[str]]:
    """Times [sample] of numbers or of labels, and notes on what labels were taken for.

    Raises:
        InputError: labels say no times, or values are neither text nor numbers.
    """
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels.astype(bytes), "utf-8", "replace")
    if labels.dtype.kind != "U":
        checks.check_numeric(path, place, labels.dtype)
        return labels.astype(np.float64), []
    distinct, number = np.unique(labels, return_inverse=True)
    said = read_time_labels(path, place, [str(label) for label in distinct], given)
    return np.array([said[str(label)] for label in distinct])[number], notes_on_labels(said)


def labels_in_archive(path: Path, chosen: NpzSettings) -> list[str]:
    """Labels of times, sorted, where they are text; none where they are numbers.

    Raises:
        InputError: the file cannot be read, or an array is missing.
    """
    _, times, _ = _load_arrays(path, chosen)
    if times.dtype.kind == "S":
        times = np.char.decode(times.astype(bytes), "utf-8", "replace")
    return sorted(str(label) for label in np.unique(times)) if times.dtype.kind == "U" else []


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
                        f"{path}: found arrays {listed(archive.files)}, expected {chosen.samples} [sample, "
                        f"dimension] and {chosen.times} [sample] (data.settings: samples, times)"
                    )
            others = [name for name in archive.files if name not in (chosen.samples, chosen.times)]
            return archive[chosen.samples], archive[chosen.times], others
    except InputError:
        raise
    except UNREADABLE as error:
        raise checks.unreadable(path, error, "a whole .npz archive of numbers") from None
