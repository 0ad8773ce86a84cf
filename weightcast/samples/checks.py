"""What is asked of files of samples, whatever their format. Each check raises an `InputError` of one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from weightcast.core.config.messages import first_line
from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError

NUMERIC_KINDS = "iuf"
SHOWN_NAMES = 20

Kind = TypeVar("Kind", bound=Settings)


def read_settings(kind: type[Kind], settings: Mapping[str, Any], path: Path) -> Kind:
    """``data.settings`` as the type that a format's reader takes.

    Raises:
        InputError: an unknown key, or a value that does not fit.
    """
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        raise InputError(first_line(error, path, kind, "data.settings.")) from None


def check_file(path: Path) -> None:
    """There is such a file."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: found {found}, expected a file of samples at several times")


def unreadable(path: Path, error: Exception, expected: str) -> InputError:
    """For a file that is truncated, or of another format than its name says."""
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return InputError(f"{path}: cannot be read ({lines[0] if lines else type(error).__name__}), expected {expected}")


def check_numeric(path: Path, name: str, dtype: np.dtype) -> None:
    """Integers and real floating-point numbers pass."""
    if dtype.kind not in NUMERIC_KINDS:
        raise InputError(f"{path}: {name}: found values of type {dtype}, expected real numbers")


def check_axes(path: Path, name: str, shape: Sequence[int], axes: Sequence[str]) -> None:
    """An array with so many axes, none of length 0."""
    expected = f"({', '.join(axes)})"
    if len(shape) != len(axes):
        raise InputError(f"{path}: {name}: found {len(shape)} axes, shape {tuple(shape)}, expected {expected}")
    for axis, length in zip(axes, shape, strict=True):
        if length == 0:
            raise InputError(f"{path}: {name}: found no {axis} in shape {tuple(shape)}, expected {expected}")


def name_dimensions(
    path: Path, given: Sequence[str] | None, default: Sequence[str], advice: str = ""
) -> tuple[str, ...]:
    """The names given, which must be as many as the file has dimensions; those by default where none are given."""
    if given is None:
        return tuple(default)
    if len(given) != len(default):
        raise InputError(
            f"{path}: found {len(default)} dimensions, expected {len(given)} as data.dimensions has names{advice}"
        )
    return tuple(given)


def check_finite(path: Path, values: NDArray[np.float64], axes: Sequence[str], dimensions: Sequence[str]) -> None:
    """No NaN and no infinity in values [..., dimension]; ``axes`` names the axes before the last, for the message."""
    finite = np.isfinite(values)
    if finite.all():
        return
    position = tuple(int(index) for index in np.argwhere(~finite)[0])
    place = ", ".join(f"{axis} {index}" for axis, index in zip(axes, position[:-1], strict=True))
    raise InputError(
        f"{path}: {place}, dimension {dimensions[position[-1]]}: found {values[position]}, expected a finite number "
        "(counted from 0)"
    )


def check_increasing(path: Path, times: NDArray[np.float64]) -> None:
    """Times along an axis of their own are finite, in order, and each stands once."""
    if not np.isfinite(times).all():
        raise InputError(f"{path}: time: found {times[~np.isfinite(times)][0]}, expected finite numbers")
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if wrong.size:
        found = f"{times[wrong[0]]:g} followed by {times[wrong[0] + 1]:g}"
        raise InputError(f"{path}: time: found {found}, expected increasing times without duplicates")
