"""Dimensions of trajectories, by the names that they have in the files of this house."""

from __future__ import annotations

from typing import Literal, get_args

Dimension = Literal["trajectory", "time", "y", "x"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
