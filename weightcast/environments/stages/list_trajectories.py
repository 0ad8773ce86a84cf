"""The stage ``list_trajectories``: manifests of many jobs as one, so that each of many rules has one input for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightcast.core.stage import stage
from weightcast.environments.jobs import ListTrajectories
from weightcast.environments.trajectory_manifest import Manifest

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("list_trajectories")
def list_trajectories(run: Run, settings: ListTrajectories, manifests: list[Manifest]) -> Manifest:
    """Join manifests, in their order."""
    return Manifest({id: made for manifest in manifests for id, made in manifest.made.items()})
