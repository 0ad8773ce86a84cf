"""The section ``evaluation``: horizons, resampling, and what is shown of environments that nobody can name."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import Settings


class ObservedCase(LaterSettings):
    """What is observed of an unseen environment: the first frames of one of its training trajectories, or of several,
    spoilt."""

    later: ClassVar[tuple[str, ...]] = ("trajectories",)

    frames: int = Field(ge=1)
    """How many, of each trajectory."""
    trajectories: int = Field(default=1, ge=1)
    """Of how many training trajectories."""
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of the noise on them, over that of the frames."""
    masked: float = Field(default=0.0, ge=0, lt=1)
    """Share of the grid, a block of it, that is not observed; of the components of a state without a grid."""
    every: int = Field(default=1, ge=1)
    """Of the grid's points, only each so many-th along y and x is observed."""

    @property
    def name(self) -> str:
        """Stands in file names and tables, such as ``2-frames-noise-0.05``."""
        parts = [f"{self.frames}-frames"]
        parts += [f"of-{self.trajectories}"] if self.trajectories > 1 else []
        parts += [f"noise-{self.noise:g}"] if self.noise else []
        parts += [f"masked-{self.masked:g}"] if self.masked else []
        parts += [f"every-{self.every}"] if self.every > 1 else []
        return "-".join(parts)

    @property
    def all_frames(self) -> int:
        """Frames of all trajectories together."""
        return self.frames * self.trajectories

    @property
    def columns(self) -> dict[str, float]:
        """How tables describe it."""
        return {"frames": self.all_frames, "noise": self.noise, "masked": self.masked, "every": self.every}


class EvaluationSettings(Settings):
    horizons: list[int] = Field(min_length=1)
    """Forecast lengths, in frames, at which errors are stated; must contain the trained horizon."""
    observed: list[ObservedCase] = Field(default_factory=list)
    """Methods that need no parameters are evaluated on unseen environments of which this is all that is known, case by
    case; the first case stands in metrics.csv, all of them in observed.csv."""
    members: int = Field(default=16, ge=2)
    """Candidates of an ensemble, where several predictors are scored together."""
    adaptation_scores: bool = False
    """Score also as CoDA and GEPS score adaptation (docs/adaptation.md): further metrics in metrics.csv,
    report/adaptation.csv, and a section of the report."""
    bootstrap: int = Field(default=2000, ge=100)
    """Resamples behind an interval."""
