"""The stage ``evaluate_weights``: rollouts of the weights of one source on the test trajectories."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.dataset import Normalisation, TrajectoryFolder
from weightcast.environments.evaluation import Row, TestSet, roll_out
from weightcast.environments.jobs import EvaluateWeights
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights, WeightsFile


@stage("evaluate_weights")
def evaluate_weights(
    run: Run, settings: EvaluateWeights, weights: WeightsFile, trajectories: TrajectoryFolder
) -> Table:
    """Roll out every method of a file of weights in all its environments: rows of metrics.csv."""
    test = TestSet.read(settings, trajectories, run.device)
    predictor = weights.predictor.to(run.device)
    return Table.of_rows(
        row
        for method in weights.methods
        for row in evaluate_method(method, test, predictor, weights.normalisation_of(method))
    )


def evaluate_method(
    method: MethodWeights, test: TestSet, predictor: StackedPredictor, normalisation: Normalisation
) -> Iterator[Row]:
    """Rows of one method and seed, over all its environments; samples of an environment are pooled."""
    position = {environment: index for index, environment in enumerate(test.split)}
    samples = method.weights.shape[1]
    chosen = [position[environment] for environment in method.environments]
    initial = test.frames[chosen][:, :, 0].repeat_interleave(samples, dim=0)
    weights = method.weights.flatten(0, 1).to(test.frames.device)
    forecasts = roll_out(weights, initial, max(test.horizons), predictor, normalisation)
    for environment in method.environments:
        pooled = torch.cat([next(forecasts) for _ in range(samples)])
        yield from test.rows(method.method, method.seed, environment, pooled)
