"""A whole study: every section together, with the JSON schema generated from the types."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from weightcast.core.config.device import MEMORY_GB, DeviceName, MemoryBudget
from weightcast.core.config.overlay import overlaid
from weightcast.core.config.predictor import AnyPredictor
from weightcast.core.config.settings import Settings
from weightcast.environments.config.acceleration import SharedAcceleration
from weightcast.environments.config.baselines import BaselineSettings
from weightcast.environments.config.condition import ConditionSettings, FramesSettings
from weightcast.environments.config.context import ContextSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import EvaluationSettings
from weightcast.environments.config.explain import ExplainSettings
from weightcast.environments.config.generator import GeneratorSettings
from weightcast.environments.config.zoo import BaseSettings, ZooSettings


class Study(Settings):
    """A study across environments."""

    study: str
    """Name of the study: results go to results/<study>, trajectories to data/<study>."""
    kind: Literal["environments"] = "environments"
    """Which axis weights are modelled along."""
    seed: int = Field(default=0, ge=0)
    """Every random number of the study derives from this seed."""
    environments: str
    """CSV table of environments: id, role (visible, interpolation, extrapolation), a column per parameter, if any are
    known."""
    simulated_together: int | None = Field(default=None, ge=1)
    """Environments whose trajectories one job simulates or imports, one after the other. null: one, of the first 128
    of the table, and ever more of those that follow, so that 10,000 environments take some 700 jobs."""
    logarithmic_parameters: list[str] = Field(default_factory=list)
    """Parameters whose ratios count rather than their differences, such as a Reynolds number over a wide range: every
    method that uses parameters is given their logarithm."""
    data: DataSettings
    predictor: AnyPredictor
    """The small network whose weights are the data. What can be set depends on its kind."""
    base: BaseSettings
    conditions: ConditionSettings = ConditionSettings()
    """What weights may depend on beside parameters: how observed frames are shown and read."""
    context: ContextSettings | None = None
    """Predictors for environments that nobody can name, from a few frames. null: none."""
    zoo: ZooSettings
    generator: GeneratorSettings
    baselines: BaselineSettings
    evaluation: EvaluationSettings
    explain: ExplainSettings | None = None
    """Distil predictors into differential equations, for states without a grid; show where encoders look. null: not."""

    device: DeviceName = "auto"
    acceleration: SharedAcceleration = SharedAcceleration()
    """Less exact arithmetic, compiled steps, several processes for a training."""
    memory: MemoryBudget = MEMORY_GB

    @property
    def results(self) -> Path:
        return Path("results") / self.study

    @property
    def trajectories(self) -> Path:
        return Path("data") / self.study / "trajectories"

    def conditions_of(self, arm: str) -> ConditionSettings:
        """How an arm of the generator is shown what it is told: the shared settings with its overrides."""
        frames = overlaid(self.conditions.frames.model_dump(), self.generator.arms[arm].frames)
        return self.conditions.model_copy(update={"frames": FramesSettings.model_validate(frames)})

    @property
    def trained_horizon(self) -> int:
        """Frames that can be forecast within the training window."""
        return self.data.trained_frames - 1
