"""The stage ``evaluate_weights``: rollouts of the weights of one source on the test trajectories."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import flattened
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluation import Row, TestSet, TestSets, roll_out
from weightcast.environments.jobs import EvaluateWeights
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights, WeightsFile


@stage("evaluate_weights")
def evaluate_weights(
    run: Run, settings: EvaluateWeights, weights: WeightsFile, trajectories: TrajectoryFolder
) -> Table:
    """Roll out every method of a file of weights in all its environments: rows of metrics.csv."""
    tests = TestSets.read_by(run, settings, trajectories)
    return Table.of_rows(
        row
        for method in weights.methods
        for chosen, test in tests.of(method.environments)
        for row in evaluate_method(
            method.of_environments(chosen),
            test,
            weights.predictor_of(method).to(run.device),
            weights.normalisation_of(method),
            "case" in weights.metadata,
        )
    )


def evaluate_method(
    method: MethodWeights,
    test: TestSet,
    predictor: StackedPredictor,
    normalisation: Normalisation,
    as_distributions: bool = False,
) -> Iterator[Row]:
    """Rows of one method and seed, over all its environments.

    Samples of an environment are pooled, those of an ensemble scored together.

    Args:
        method: its weights.
        test: trajectories of these environments, and perhaps of others.
        predictor: of the architecture.
        normalisation: of the predictors.
        as_distributions: whether single forecasts, too, are scored as distributions, to stand beside ensembles.
    """
    position = {environment: index for index, environment in enumerate(test.split)}
    samples = method.weights.shape[1]
    chosen = [position[environment] for environment in method.environments]
    initial = test.starts[chosen].repeat_interleave(samples, dim=0)
    inputs = None if test.inputs is None else test.inputs[chosen].repeat_interleave(samples, dim=0)
    forecasts = roll_out(flattened(method.weights), initial, max(test.horizons), predictor, normalisation, inputs)
    noise = None
    if method.model_error is not None:
        scale = torch.tensor(normalisation.scale[: test.frames.shape[3]])
        noise = along_horizon(torch.tensor(method.model_error), max(test.horizons)) * scale
    for row, environment in enumerate(method.environments):
        members = [next(forecasts) for _ in range(samples)]
        if method.is_ensemble:
            together = torch.stack(members)
            shares = torch.ones(samples) if method.shares is None else method.shares[row]
            mean = torch.einsum("m,m...->...", (shares / shares.sum()).to(together), together)
            yield from test.rows(method.method, method.seed, environment, mean)
            yield from test.ensemble_rows(
                method.method, method.seed, environment, together, shares, noise, normalisation.transforms
            )
        else:
            yield from test.rows(method.method, method.seed, environment, torch.cat(members))
            if as_distributions:
                single = torch.stack(members)
                yield from test.ensemble_rows(method.method, method.seed, environment, single, torch.ones(samples))


def along_horizon(model_error: torch.Tensor, steps: int) -> torch.Tensor:
    """A model's error [step, channel] for further steps: as at the last one that is known."""
    known = model_error[:steps]
    more = known[-1:].expand(max(0, steps - len(known)), -1)
    return torch.cat([known, more]).clamp(min=1e-9)
