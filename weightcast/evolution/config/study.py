"""A study across time: every section together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from weightcast.core.config.device import AccelerationSettings, DeviceName
from weightcast.core.config.settings import Settings
from weightcast.evolution.config.anchors import AnchorSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.evaluation import TimeEvaluationSettings
from weightcast.evolution.config.flow import FlowSettings
from weightcast.samples.settings import SnapshotSettings


class TimeStudy(Settings):
    """A study across time."""

    study: str
    """Name of the study: results go to results/<study>, samples to data/<study>."""
    kind: Literal["time"]
    """Which axis weights are modelled along."""
    seed: int = Field(default=0, ge=0)
    """Every random number of the study derives from this seed."""
    data: SnapshotSettings
    density: DensitySettings = DensitySettings()
    anchors: AnchorSettings
    flow: FlowSettings
    evaluation: TimeEvaluationSettings = TimeEvaluationSettings()
    device: DeviceName = "auto"
    acceleration: AccelerationSettings = AccelerationSettings()
    """Less exact arithmetic and compiled steps."""

    @property
    def results(self) -> Path:
        return Path("results") / self.study

    @property
    def snapshots(self) -> Path:
        """The pipeline's copy of the samples."""
        return Path("data") / self.study / "snapshots.nc"
