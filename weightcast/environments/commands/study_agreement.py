"""What observed frames must have in common with the data of the study whose predictors go on from them: units, spacing.

A predictor knows neither: given km/h for m/s, or points ten times as far apart, it would go on in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.environments.commands.alike import STEP_TOLERANCE, are_stated
from weightcast.environments.commands.observed_frames import ObservedFrames
from weightcast.trajectories import Trajectories
from weightcast.trajectories.unit_names import same_unit

SIDES = ("y", "x")


def described_grid(trajectories: Trajectories) -> dict[str, Any]:
    """How far points of the study's grid lie apart, to be kept with a model.

    Returns:
        ``spacing`` along each side where the data say it and it is the same everywhere; else nothing.
    """
    found = {}
    for name in SIDES:
        coordinate = np.asarray(getattr(trajectories, name), np.float64)
        step = _spacing(coordinate)
        if len(coordinate) > 1 and step is not None and (name in trajectories.units or are_stated(coordinate)):
            found[name] = step
    return {"spacing": found} if found else {}


def check_agreement(frames: ObservedFrames, file: Path, trained: Mapping[str, Any]) -> None:
    """Compare observed frames with the study's data, as far as both say it.

    Args:
        frames: observed; their points may be every k-th of the study's.
        file: that they were read from.
        trained: metadata of the model: ``units``, ``spacing`` and ``grid``, where known.

    Raises:
        InputError: a channel or a side of the grid has another unit, or points lie otherwise apart.
    """
    usual = trained.get("units", {})
    own = {name: str(kept["units"]) for name, kept in frames.attributes.items() if name != "time" and "units" in kept}
    own |= {
        name: str(frames.coordinates[name].attrs["units"])
        for name in SIDES
        if name in frames.coordinates and "units" in frames.coordinates[name].attrs
    }
    for name, unit in own.items():
        if name in usual and not same_unit(unit, usual[name]):
            raise InputError(
                f"{file}: {name}: found the unit {unit!r}, expected {usual[name]!r} as in the study's data"
            )
    for place, name in enumerate(SIDES):
        expected, variable = trained.get("spacing", {}).get(name), frames.coordinates.get(name)
        if expected is None or variable is None:
            continue
        coordinate = np.asarray(variable.to_numpy(), np.float64)
        if len(coordinate) < 2 or not (name in own or are_stated(coordinate)):
            continue
        wanted, step = expected * (trained["grid"][place] // len(coordinate)), _spacing(coordinate)
        if step is None or not np.isclose(step, wanted, rtol=STEP_TOLERANCE, atol=0.0):
            between = np.abs(np.diff(coordinate))
            found = f"{step:g}" if step is not None else f"{between.min():g} to {between.max():g}"
            raise InputError(f"{file}: {name}: found points {found} apart, expected {wanted:g} as in the study's data")


def check_even_steps(frames: ObservedFrames, file: Path) -> None:
    """Raise an `InputError` where several frames are not evenly far apart, and who sees them takes them to be."""
    if frames.time is not None and len(frames.time) > 2 and frames.frame_step is None:
        steps = np.diff(frames.time)
        raise InputError(
            f"{file}: time: found frames {steps.min():g} to {steps.max():g} apart, expected one step: an arm of the "
            "generator sees frames a step apart (a context may be given any whole multiples of it)"
        )


def _spacing(coordinate: NDArray[np.float64]) -> float | None:
    """The distance of neighbours; None where it is not the same everywhere."""
    between = np.abs(np.diff(coordinate))
    mean = float(between.mean()) if len(between) else 0.0
    return mean if np.allclose(between, mean, rtol=STEP_TOLERANCE, atol=0.0) else None
