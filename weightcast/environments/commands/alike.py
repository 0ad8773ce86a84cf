"""What files of environments must have in common, and no file knows of another: steps in time, units, spacing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.trajectories import Trajectories
from weightcast.trajectories.time_units import in_unit
from weightcast.trajectories.unit_names import same_unit

STEP_TOLERANCE = 1e-3
"""Of a step, in time and in space."""


class AlikeFiles:
    """Compares files with the first one that was seen."""

    def __init__(self) -> None:
        self._first: Path | None = None
        self._step = 0.0
        self._units: dict[str, str] = {}
        self._spacing: dict[str, NDArray[np.float64]] = {}
        self._silent: dict[str, Path] = {}  # the first file that does not say which way it is stored, by its side
        self._turned: dict[str, Path] = {}  # the first one that is stored the other way

    def see(self, file: Path, trajectories: Trajectories, frames: int | None = None) -> None:
        """Compare one more file.

        Args:
            file: that they were read from.
            trajectories: of it.
            frames: of which the first so many are used; None: all.

        Raises:
            InputError: frames are not evenly far apart, or otherwise than in the first file; a channel has another
                unit; points of the grid have another spacing. What a file does not say is not compared.
        """
        step = _even_step(file, trajectories.time[:frames])
        units = dict(trajectories.units)
        if self._first is None:
            self._first, self._step = file, step
        own, unit = units.get("time"), self._units.get("time")
        found = in_unit(step, own, unit)
        if found is None or not np.isclose(found, self._step, rtol=STEP_TOLERANCE, atol=0.0):
            raise InputError(
                f"{file}: time: found frames {step:g}{_named(own)} apart, expected {self._step:g}{_named(unit)} as in "
                f"{self._first}: a predictor learns the map from a frame to the next"
            )
        for name in (*trajectories.channels, "y", "x"):
            if name in units and not same_unit(self._units.get(name, units[name]), units[name]):
                raise InputError(
                    f"{file}: {name}: found the unit {units[name]!r}, expected {self._units[name]!r} as in an "
                    "earlier file"
                )
        for name, coordinate in (("y", trajectories.y), ("x", trajectories.x)):
            self._compare_spacing(file, name, coordinate, stated=name in units)
            self._compare_order(file, name, trajectories)
        self._units = units | self._units

    def _compare_order(self, file: Path, name: str, trajectories: Trajectories) -> None:
        """Refuse files of which nobody knows which way they are stored, beside such that are stored the other way."""
        if len(getattr(trajectories, name)) < 2:
            return
        if name not in trajectories.stated:
            self._silent.setdefault(name, file)
        if name in trajectories.turned:
            self._turned.setdefault(name, file)
        if name in self._silent and name in self._turned:
            raise InputError(
                f"{self._silent[name]}: {name}: found no coordinates, expected some as in {self._turned[name]}, where "
                f"{name} falls: nobody can tell which way this file is stored"
            )

    def _compare_spacing(self, file: Path, name: str, coordinate: NDArray[np.float64], stated: bool) -> None:
        if len(coordinate) < 2 or not (stated or are_stated(coordinate)):
            return
        spacing = np.diff(coordinate)
        expected = self._spacing.setdefault(name, spacing)
        slack = STEP_TOLERANCE * float(np.abs(expected).mean())
        if not np.allclose(spacing, expected, rtol=STEP_TOLERANCE, atol=slack):
            raise InputError(
                f"{file}: {name}: found points {_range(spacing)} apart, expected {_range(expected)} as in an "
                "earlier file: all files lie on one grid, wherever it begins"
            )


def are_stated(coordinate: NDArray[np.float64]) -> bool:
    """Whether points along a side say where they lie: 0, 1, 2, ... most probably stand for no coordinates."""
    return len(coordinate) > 1 and not np.array_equal(coordinate, np.arange(len(coordinate)))


def _even_step(file: Path, time: NDArray[np.float64]) -> float:
    if len(time) < 2:
        return 1.0
    steps = np.diff(time)
    step = float(np.median(steps))
    if not np.allclose(steps, step, rtol=STEP_TOLERANCE, atol=0.0):
        raise InputError(
            f"{file}: time: found steps between {steps.min():g} and {steps.max():g}, expected one step: a predictor "
            "learns the map from a frame to the next"
        )
    return step


def _named(unit: str | None) -> str:
    return "" if unit is None else f" {unit.partition(' since ')[0]}"


def _range(spacing: NDArray[np.float64]) -> str:
    least, most = spacing.min(), spacing.max()
    return f"{least:g}" if np.isclose(least, most, rtol=STEP_TOLERANCE) else f"{least:g} to {most:g}"
