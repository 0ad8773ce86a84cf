"""The stage ``compare_with_own_experts``: weights that were made for an environment beside its own published expert."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.jobs import CompareWithOwnExperts
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.published.reading import PublishedZoo
from weightcast.environments.weight_distance import WeightDistance
from weightcast.environments.weights_table import WeightsFile
from weightcast.environments.zoo import Zoo

OUTPUTS, WEIGHTS = "own_outputs", "own_weights"
"""Metrics: what one step differs by from the expert's, over what that step is; the distance in weights."""
COPIES = 4
"""Of weights, with what is made of them on the way."""


@stage("compare_with_own_experts")
def compare_with_own_experts(
    run: Run, settings: CompareWithOwnExperts, published: PublishedZoo, zoo: Zoo, weights: list[WeightsFile]
) -> Table:
    """Compare every method's weights with the environment's own expert that judges forecasts as well.

    Args:
        run: whose device computes.
        settings: environments, base.
        published: the zoo, with experts of environments that are held out.
        zoo: of the visible environments, whose spread is the unit of weights.
        weights: of all methods.

    Returns:
        Rows of metrics.csv.
    """
    healthy = zoo.healthy()
    predictor = StackedPredictor.of_architecture(zoo.metadata["architecture"]).to(run.device)
    parts = torch.arange(len(healthy.manifest)).split(run.together(COPIES * healthy.weights.shape[1]))
    distance = WeightDistance.of((run.place(healthy.weights[rows]) for rows in parts), predictor.graph)
    normalisation = Normalisation.from_metadata(zoo.metadata["normalisation"])
    experts, states, ids = published.weights(settings.base), published.states(), published.manifest.ids
    rows: list[dict[str, Any]] = []
    for environment in settings.environments:
        judge = run.place(experts[[published.judge(settings.base, environment.id)]])
        shown = normalisation.apply(run.place(states[ids.index(environment.id)]))
        with torch.no_grad():
            wanted = predictor(judge, shown[None])[0]
        for file in weights:
            for made in file.methods:
                if environment.id not in made.environments:
                    continue
                own = run.place(made.weights[made.environments.index(environment.id)])  # [sample, weight]
                found = {
                    OUTPUTS: _outputs(own, shown, wanted, predictor),
                    WEIGHTS: float(distance.between(own, judge).mean()),
                }
                named: dict[str, Any] = {"study": settings.study, "method": made.method, "split": environment.role}
                named |= {"environment": environment.id, "seed": made.seed, "horizon": settings.trained_horizon}
                rows += [named | {"metric": metric, "value": value} for metric, value in _finite(found)]
    return Table.of_rows(rows)


def _outputs(weights: Tensor, states: Tensor, wanted: Tensor, predictor: StackedPredictor) -> float:
    """Root mean square of what networks' steps [sample, weight] from states differ by from those that are wanted, over
    that of the wanted steps; samples are pooled."""
    with torch.no_grad():
        found = torch.stack([predictor(one[None], states[None])[0] for one in weights])
    step = (wanted - states).square().mean().clamp(min=1e-12)
    return float(((found - wanted).square().mean() / step).sqrt())


def _finite(found: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Networks whose outputs are no numbers are as far as can be."""
    yield from ((metric, math.inf if math.isnan(value) else value) for metric, value in found.items())
