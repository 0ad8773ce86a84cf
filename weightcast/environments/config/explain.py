"""The section ``explain``: predictors distilled into differential equations, for states without a grid, and what the
encoder of weights looks at."""

from __future__ import annotations

from pydantic import Field

from weightcast.core.config.settings import Settings


class ExplainSettings(Settings):
    """What generated weights are explained by (weightcast.environments.explain)."""

    equations: bool = True
    """Sparse polynomial equations of predictors; needs the extra ``symbolic``."""
    attention: bool = False
    """Which layers of the predictor the arms' encoders look at, over the zoo: report/attention.csv, and a figure."""
    degree: int = Field(default=2, ge=1, le=5)
    """Highest degree of the terms that an equation may have."""
    resolution: float = Field(default=0.02, gt=0, lt=0.3)
    """Part of a step that does not count as unexplained: what predictors may be expected to do wrong. Terms that do
    less than three times as much are not looked for."""
    methods: list[str] | None = Field(default=None, min_length=1)
    """Methods whose predictors are distilled, by their names in metrics.csv. null: those that the report shows side by
    side."""
    starts: int = Field(default=32, ge=5)
    """States that each predictor is rolled out from: first frames of visible environments' training trajectories."""
    steps: int | None = Field(default=None, ge=1)
    """Steps of each rollout. null: as many as the trained horizon."""

    def misfit(self, grid: tuple[int, int]) -> str | None:
        """Why these settings cannot be used with a grid (y, x): ``found ..., expected ...``; None if they can."""
        if grid == (1, 1) or not self.equations:
            return None
        return (
            f"found equations for a grid of {grid[0]} x {grid[1]} points (y, x), expected a grid of [1, 1]: "
            "ordinary differential equations have no places; or equations: false"
        )
