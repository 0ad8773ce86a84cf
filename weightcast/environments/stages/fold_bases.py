"""The stage ``fold_bases``: weights of the methods that are weight maps themselves, for every environment."""

from __future__ import annotations

from collections.abc import Sequence

from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import Rows, grouped
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import Known
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import FoldBases
from weightcast.environments.known import known_of
from weightcast.environments.weights_table import MethodWeights, WeightsFile


@stage("fold_bases")
def fold_bases(
    run: Run, settings: FoldBases, bases: list[BaseNetwork], observed: TrajectoryFolder | None = None
) -> WeightsFile:
    """Fold bases into plain weights.

    Args:
        run: whose device is used.
        settings: environments, and the methods that the bases become.
        bases: in the order of ``settings.methods``.
        observed: trajectories of all environments, where a condition sees frames.
    """
    known = known_of(settings, observed)
    methods = [
        MethodWeights(
            method=method,
            seed=0,
            environments=settings.ids,
            weights=grouped(_folded(run, base, known), 1),
            train_seconds=base.metadata["seconds"] + base.metadata.get("seconds_before", 0.0),
            adapt_seconds=0.0,
            parameters=base.learned,
            normalisation=base.normalisation,
        )
        for method, base in zip(settings.methods, bases, strict=True)
    ]
    return WeightsFile.of(methods, bases[0].shared | run.described())


def _folded(run: Run, base: BaseNetwork, known: Sequence[Known]) -> Rows:
    """A base's weights in each environment [environment, weight]."""
    base, size = base.to(run.device), base.predictor.graph.num_parameters
    folded, together = run.room(len(known), size), run.together(4 * size)
    for first in range(0, len(known), together):
        part = base.weights(known[first : first + together])
        folded[first : first + len(part)] = part.cpu()
    return folded
