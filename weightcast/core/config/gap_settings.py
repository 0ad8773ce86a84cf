"""How much of a trajectory may be missing: ``data.gaps``."""

from __future__ import annotations

from pydantic import Field

from weightcast.core.config.settings import Settings


class GapSettings(Settings):
    """What a trajectory with missing values must have to be used. Nothing is put in the place of what is missing:
    forecasts begin where all is there, and are compared with what is there."""

    share: float = Field(default=0.25, gt=0, lt=1)
    """Largest share of the values to be forecast, behind a trajectory's first frame, that may be missing, or whose
    step has a missing input."""
    run: int = Field(default=6, ge=1)
    """Largest number of steps in a row in which a channel, at a point, may be missing."""

    @property
    def words(self) -> str:
        """For people."""
        steps = "1 step" if self.run == 1 else f"{self.run} steps in a row"
        return f"at most {100 * self.share:g} % and {steps} missing"
