"""A study of environments across time: every section together."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from weightcast.core.config.device import AccelerationSettings, DeviceName
from weightcast.core.config.later_settings import LaterSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.families.config.evaluation import FamilyEvaluationSettings
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.opponents import OpponentSettings
from weightcast.families.config.paths import PathSettings
from weightcast.samples.settings import SnapshotSettings


class FamilyStudy(LaterSettings):
    """A study of environments across time."""

    later: ClassVar[tuple[str, ...]] = ("opponents",)

    study: str
    """Name of the study: results go to results/<study>, samples to data/<study>."""
    kind: Literal["environments-time"]
    """Which axes weights are modelled along: both."""
    seed: int = Field(default=0, ge=0)
    """Every random number of the study derives from this seed."""
    environments: str
    """Table: id, role (visible, interpolation, extrapolation), and a column for each parameter, if any is known."""
    logarithmic_parameters: list[str] = Field(default=[])
    """Parameters whose ratio counts, not their difference."""
    data: SnapshotSettings
    density: DensitySettings = DensitySettings()
    paths: PathSettings
    inference: InferenceSettings = InferenceSettings()
    evaluation: FamilyEvaluationSettings
    opponents: OpponentSettings = OpponentSettings()
    device: DeviceName = "auto"
    acceleration: AccelerationSettings = AccelerationSettings()
    """Less exact arithmetic and compiled steps."""

    @property
    def has_opponents(self) -> bool:
        """Whether there are any further opponents, or a zoo of paths, which is scored with them."""
        return self.opponents != OpponentSettings() or self.paths.zoo is not None

    @property
    def results(self) -> Path:
        return Path("results") / self.study

    @property
    def snapshots(self) -> Path:
        """The pipeline's copy of the samples of all environments."""
        return Path("data") / self.study / "snapshots.nc"
