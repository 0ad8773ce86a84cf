"""Trajectories in one `.npy` array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.samples import checks
from weightcast.samples.record import TimedSamples

AXES = ("trajectories", "times", "species")


class NpySettings(Settings):
    time_step: float = Field(default=1.0, gt=0)
    """Between neighbouring times, which the file does not hold; the first is 0."""


def read_npy(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read an array (trajectories, times, species) of integers or real numbers. Pickled objects are never loaded.

    Args:
        path: the file.
        settings: see :class:`NpySettings`.
        dimensions: names of the species; None: species_0, species_1, ...

    Raises:
        InputError: the file cannot be read or is not as said, or a value is not finite.
    """
    chosen = checks.read_settings(NpySettings, settings, path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TokenError) as error:  # the last, of a header that is no Python
        raise checks.unreadable(path, error, "a whole .npy file of numbers") from None
    if not isinstance(array, np.ndarray):  # an .npz archive under a false name
        raise InputError(f"{path}: found an archive of arrays (.npz), expected a single array (.npy)")
    checks.check_axes(path, "array", array.shape, AXES)
    checks.check_numeric(path, "array", array.dtype)
    names = checks.name_dimensions(path, dimensions, [f"species_{number}" for number in range(array.shape[2])])
    values = np.asarray(array, dtype=np.float64)
    checks.check_finite(path, values, ("trajectory", "time"), names)
    return TimedSamples(
        times=chosen.time_step * np.arange(array.shape[1], dtype=np.float64),
        samples=tuple(np.ascontiguousarray(values[:, time]) for time in range(array.shape[1])),
        dimensions=names,
        trajectories=True,
        settings=chosen.model_dump(),
    )
