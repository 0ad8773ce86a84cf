"""Trajectories in one `.npy` array."""

from __future__ import annotations

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

AXES = ("trajectories", "times", "species")


class NpySettings(Settings):
    time_step: float = Field(default=1.0, gt=0)
    """Between neighbouring times, which the file does not hold; the first is 0."""
    time_species: int | None = Field(default=None, ge=0)
    """Which species, counted from 0, is the time itself, as simulators write it: the times are then its values."""


def read_npy(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read an array (trajectories, times, species) of integers or real numbers. Pickled objects are never loaded.

    Args:
        path: the file.
        settings: see :class:`NpySettings`.
        dimensions: names of the species; None: species_0, species_1, ..., and a species that is the time itself, the
            same for all trajectories and increasing, is recognised.

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
    values = np.asarray(array, dtype=np.float64)
    times = chosen.time_step * np.arange(array.shape[1], dtype=np.float64)
    position = chosen.time_species
    if position is None and dimensions is None:
        position = _time_species(values)
    numbers = [number for number in range(array.shape[2]) if number != position]
    notes: tuple[str, ...] = ()
    if position is not None:
        if position >= array.shape[2] or not numbers or not _is_time(values[:, :, position]):
            raise InputError(
                f"{path}: data.settings.time_species: found {position}, expected a species beside others that is the "
                "same for all trajectories and increases from time to time"
            )
        times = values[0, :, position]
        notes = (f"species {position} (counted from 0) is the time itself, and not used as a dimension",)
    names = checks.name_dimensions(path, dimensions, [f"species_{number}" for number in numbers])
    values = values[:, :, numbers]
    checks.check_finite(path, values, ("trajectory", "time"), names)
    used = {"time_step": chosen.time_step} if position is None else {"time_species": position}
    return TimedSamples(
        times=times,
        samples=tuple(np.ascontiguousarray(values[:, time]) for time in range(array.shape[1])),
        dimensions=names,
        trajectories=True,
        settings=used,
        notes=notes,
    )


def _time_species(values: NDArray[np.float64]) -> int | None:
    """The first species that can be nothing but the time, among two or more."""
    if values.shape[2] < 2 or values.shape[0] < 2:
        return None
    return next((number for number in range(values.shape[2]) if _is_time(values[:, :, number])), None)


def _is_time(species: NDArray[np.float64]) -> bool:
    """Whether values [trajectory, time] are the same in all trajectories and increase."""
    return bool((species == species[0]).all() and species.shape[1] > 1 and (np.diff(species[0]) > 0).all())
