"""A study across time: every section together."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from weightcast.core.config.device import AccelerationSettings, DeviceName
from weightcast.core.config.later_settings import LaterSettings
from weightcast.evolution.config.anchors import AnchorSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.evaluation import TimeEvaluationSettings
from weightcast.evolution.config.flow import FlowSettings
from weightcast.samples.settings import SnapshotSettings


class TimeStudy(LaterSettings):
    """A study across time."""

    later: ClassVar[tuple[str, ...]] = ("couplings",)

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
    couplings: bool = False
    """Whether samples of neighbouring snapshots are coupled where no masses are told as well, by balanced optimal
    transport, in which nothing grows or dies: for velocities and fates at a point. With ``data.mass`` they always
    are."""
    device: DeviceName = "auto"
    acceleration: AccelerationSettings = AccelerationSettings()
    """Less exact arithmetic and compiled steps."""

    @property
    def coupled(self) -> bool:
        """Whether samples of neighbouring snapshots are coupled."""
        return self.couplings or self.data.mass is not None

    @property
    def results(self) -> Path:
        return Path("results") / self.study

    @property
    def snapshots(self) -> Path:
        """The pipeline's copy of the samples."""
        return Path("data") / self.study / "snapshots.nc"
