"""The stage ``show_environments``: a picture of true trajectories of a few environments, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightcast.core.outputs import Content
from weightcast.core.plots.export import render_png
from weightcast.core.stage import stage
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import ShowEnvironments
from weightcast.environments.plots.environments import plot_environments

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("show_environments")
def show_environments(run: Run, settings: ShowEnvironments, trajectories: TrajectoryFolder) -> Content:
    """Draw the first channel of these environments, as a PNG."""
    shown = [trajectories.trajectories(environment, settings.channels, gaps=True) for environment in settings.ids]
    return Content(render_png(plot_environments(shown), density=1.25))
