"""The section ``data``: where trajectories come from and which of them train, validate and test."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.config.system import SystemName

DataSource = Literal[SystemName, "netcdf", "npy"]


class TrajectoryCounts(Settings):
    """How many of an environment's trajectories, in file order, serve which purpose."""

    train: int = Field(ge=1)
    """Trajectories that experts and bases are trained on."""
    validation: int = Field(ge=1)
    """Trajectories on which choices are made."""
    test: int = Field(ge=1)
    """Trajectories that only the evaluation sees."""

    @property
    def total(self) -> int:
        return self.train + self.validation + self.test


class DataSettings(Settings):
    source: DataSource
    """A simulator, era5 (docs/era5.md), era5-sample, or your own files: netcdf or npy."""
    directory: str | None = None
    """Folder with your own files (netcdf, npy); relative to where snakemake runs."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the simulator; see its docstring in weightcast/systems."""
    channels: list[str] = Field(min_length=1)
    """Physical channels, in the order in which the predictor sees them."""
    grid: tuple[int, int]
    """Grid points along (y, x)."""
    frames: int = Field(ge=3)
    """Frames of every trajectory."""
    trained_frames: int = Field(ge=2)
    """Training sees the first so many frames; the trained horizon is one less."""
    trajectories: TrajectoryCounts

    @property
    def imported(self) -> bool:
        """Whether the trajectories are the user's own files rather than made by a simulator or a package."""
        return self.source in ("netcdf", "npy")
