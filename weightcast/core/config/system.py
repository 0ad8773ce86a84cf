"""Sources of trajectories: their names in a configuration, and what their settings have in common.

The names stand here rather than in weightcast.systems since a configuration must be read without xarray; the system of
a name is the module of that name there.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

SystemName = Literal[
    "lambda-omega",
    "lotka-volterra",
    "glycolytic-oscillator",
    "gray-scott",
    "navier-stokes",
    "kolmogorov",
    "cylinder",
    "era5",
    "era5-sample",
]


class SystemSettings(BaseModel):
    """Settings of a system: known keys only, numbers finite and not written as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)
