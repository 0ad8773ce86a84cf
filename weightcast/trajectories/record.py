"""Trajectories of one environment in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Trajectories:
    """All trajectories of one environment, on one grid and with one time step.

    Attributes:
        values: float32 [trajectory, time, channel, y, x], in physical units.
        channels: name of each channel.
        time: float64 [time]; the frames' times, counted from the start of every trajectory.
        y: float64 [y]; grid coordinate.
        x: float64 [x]; grid coordinate.
        environment: id of the environment.
        parameters: value of each of its parameters.
        units: unit of a channel or coordinate, by name; those that are unknown or have none are left out.
        stated: y or x, or both, of which the file has coordinates, which say which way it is stored.
        turned: those of them that the file stores the other way.
        land: bool [channel, y, x]; where a channel never has a value, and a number that nobody measured stands in
            ``values`` (:mod:`weightcast.trajectories.land`). None: nowhere.

    Raises:
        ValueError: the shapes do not agree.
    """

    values: NDArray[np.float32]
    channels: tuple[str, ...]
    time: NDArray[np.float64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    environment: str
    parameters: Mapping[str, float]
    units: Mapping[str, str] = field(default_factory=dict)
    stated: frozenset[str] = frozenset()
    turned: frozenset[str] = frozenset()
    land: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        expected = (len(self.time), len(self.channels), len(self.y), len(self.x))
        if self.values.ndim != 5 or self.values.shape[1:] != expected:
            raise ValueError(
                f"values have shape {self.values.shape}, expected (trajectory, {', '.join(map(str, expected))})"
            )
        if self.values.dtype != np.float32:
            raise ValueError(f"values are {self.values.dtype}, expected float32")
        if self.land is not None and self.land.shape != self.values.shape[2:]:
            raise ValueError(f"land has shape {self.land.shape}, expected {self.values.shape[2:]}")
