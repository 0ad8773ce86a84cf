"""Rollouts of a method's weights on test trajectories, as rows of metrics.csv."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.environments.adaptation_scores import adaptation_scores
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import EvaluationSettings
from weightcast.environments.dataset import Normalisation, read_part
from weightcast.environments.forecast_metrics import forecast_metrics
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights

STACKED = 12
"""Networks rolled out at once: enough to fill a core, few enough to stay in its cache."""

Row = dict[str, Any]


@dataclass(frozen=True)
class TestSet:
    """Test trajectories of a study.

    Attributes:
        study: name.
        split: role of each environment, by id.
        frames: [environment, trajectory, frame, channel, y, x], physical units, in the order of ``split``.
        horizons: in frames.
        scored_after: the trained horizon in frames where forecasts are also scored as CoDA and GEPS score adaptation,
            else None.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    study: str
    split: dict[str, str]
    frames: Tensor
    horizons: Sequence[int]
    scored_after: int | None = None

    def rows(self, method: str, seed: int, environment: str, forecast: Tensor) -> Iterator[Row]:
        """Rows of one forecast [sample * trajectory, step, channel, y, x] in physical units."""
        frames = self.frames[list(self.split).index(environment)][:, : max(self.horizons) + 1]
        frames = frames.repeat(len(forecast) // len(frames), 1, 1, 1, 1)
        start, truth = frames[:, 0], frames[:, 1:]
        values = forecast_metrics(forecast, truth, self.horizons)
        if self.scored_after is not None:
            values = chain(values, adaptation_scores(forecast, truth, start, self.scored_after, self.horizons))
        for metric, horizon, value in values:
            yield {
                "study": self.study,
                "method": method,
                "split": self.split[environment],
                "environment": environment,
                "seed": seed,
                "horizon": horizon,
                "metric": metric,
                "value": value,
            }

    @classmethod
    def read(
        cls, study: str, table: EnvironmentTable, folder: Path, data: DataSettings, evaluation: EvaluationSettings
    ) -> TestSet:
        """The test trajectories of every environment of the table.

        Raises:
            InputError: a file cannot be used.
        """
        frames = read_part(folder, table.ids, data, "test", max(evaluation.horizons) + 1)
        roles: dict[str, str] = {environment.id: environment.role for environment in table}
        return cls(study, roles, frames, evaluation.horizons, data.trained_frames - 1 if evaluation.adaptation_scores else None)


@torch.no_grad()
def roll_out(
    weights: Tensor, initial: Tensor, steps: int, predictor: StackedPredictor, normalisation: Normalisation
) -> Iterator[Tensor]:
    """Forecast of each network, in physical units.

    Args:
        weights: [network, weight].
        initial: first frames of each network [network, trajectory, channel, y, x], in physical units.
        steps: frames to forecast.
        predictor: of the architecture.
        normalisation: of the predictor.

    Yields:
        [trajectory, step, channel, y, x], network by network.
    """
    start = normalisation.apply(initial)
    for chunk, first in zip(weights.split(STACKED), start.split(STACKED), strict=True):
        yield from normalisation.invert(predictor.rollout(chunk, first, steps))


def evaluate_weights(
    method: MethodWeights, test: TestSet, predictor: StackedPredictor, normalisation: Normalisation
) -> Iterator[Row]:
    """Rows of one method and seed, over all its environments; samples of an environment are pooled."""
    position = {environment: index for index, environment in enumerate(test.split)}
    samples = method.weights.shape[1]
    chosen = [position[environment] for environment in method.environments]
    initial = test.frames[chosen][:, :, 0].repeat_interleave(samples, dim=0)
    forecasts = roll_out(method.weights.flatten(0, 1), initial, max(test.horizons), predictor, normalisation)
    for environment in method.environments:
        pooled = torch.cat([next(forecasts) for _ in range(samples)])
        yield from test.rows(method.method, method.seed, environment, pooled)


def evaluate_forecast(
    method: str, test: TestSet, forecast: Callable[[Tensor, int], Tensor], environments: Sequence[str]
) -> Iterator[Row]:
    """Rows of a method without networks.

    Args:
        method: its name.
        test: what it is compared with.
        forecast: (initial [trajectory, channel, y, x], steps) -> [trajectory, step, channel, y, x].
        environments: ids.
    """
    for environment in environments:
        initial = test.frames[list(test.split).index(environment)][:, 0]
        yield from test.rows(method, 0, environment, forecast(initial, max(test.horizons)))
