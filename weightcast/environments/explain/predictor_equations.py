"""Equations of every predictor that a method gives, as rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stored_tensor import flattened
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.explain import ExplainSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluation import roll_out
from weightcast.environments.explain.distillation import distil, pairs_within
from weightcast.environments.explain.known_terms import Equations
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights

Row = dict[str, Any]


@dataclass(frozen=True)
class TrainingStates:
    """States that predictors were trained with. No unseen environment has a part in them.

    Attributes:
        starts: [start, channel]; first frames of training trajectories of visible environments.
        low: [channel]; least value in the training frames of visible environments.
        high: [channel]; greatest value.
        frame_step: time between frames.
    """

    starts: Tensor
    low: Tensor
    high: Tensor
    frame_step: float

    @classmethod
    def read(
        cls, trajectories: TrajectoryFolder, table: EnvironmentTable, data: DataSettings, count: int, seed: int
    ) -> TrainingStates:
        """Read the trajectories of the visible environments; ``count`` starts are drawn, all if there are fewer.

        Raises:
            InputError: a file cannot be used.
        """
        visible = [environment.id for environment in table.visible]
        states = trajectories.read(visible, data, "train", data.trained_frames).flatten(3)
        firsts = states[:, :, 0].flatten(0, 1)
        generator = torch.Generator().manual_seed(derive_seed(seed, "explain", "starts"))
        time = trajectories.trajectories(visible[0]).time
        return cls(
            starts=firsts[torch.randperm(len(firsts), generator=generator)[:count]],
            low=states.amin((0, 1, 2)),
            high=states.amax((0, 1, 2)),
            frame_step=float(time[1] - time[0]),
        )


def equation_rows(
    method: MethodWeights,
    predictor: StackedPredictor,
    normalisation: Normalisation,
    states: TrainingStates,
    channels: Sequence[str],
    settings: ExplainSettings,
    steps: int,
    run: Run,
) -> Iterator[Row]:
    """Distil each predictor of a method, from rollouts of ``steps`` steps on a run's device.

    Yields:
        A row for every term that an equation may have: method, environment, seed, sample, equation, term, coefficient
        and residual, which is that of the whole equation.

    Raises:
        InputError: pysindy is not installed.
    """
    networks = flattened(method.weights)
    starts = run.place(states.starts)[..., None, None].expand(len(networks), -1, -1, 1, 1)
    low, high = states.low.double().numpy(), states.high.double().numpy()
    forecasts = roll_out(networks, starts, steps, predictor, normalisation)
    for environment in method.environments:
        for sample in range(method.weights.shape[1]):
            rollouts = torch.cat([states.starts[:, None], next(forecasts).cpu().flatten(2)], dim=1).numpy()
            pairs = pairs_within(rollouts, low, high)
            found = distil(pairs, states.frame_step, channels, settings.degree, settings.resolution)
            for equation, coefficients, residual in zip(channels, found.coefficients, found.residuals, strict=True):
                for term, coefficient in zip(found.terms, coefficients, strict=True):
                    yield {
                        "method": method.method,
                        "environment": environment,
                        "seed": method.seed,
                        "sample": sample,
                        "equation": equation,
                        "term": term,
                        "coefficient": float(coefficient),
                        "residual": float(residual),
                    }


def with_truth(rows: Sequence[Row], truth: Mapping[str, Equations | None]) -> list[Row]:
    """Rows with the true coefficient of each term, NaN where nobody knows it.

    True terms of a higher degree than was looked for get rows of their own, with the coefficient 0.

    Args:
        rows: of :func:`equation_rows`.
        truth: equations by environment.
    """
    completed = []
    equations: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("method", "environment", "seed", "sample", "equation"))
        equations.setdefault(key, []).append(row)
    for of_equation in equations.values():
        known = truth[of_equation[0]["environment"]]
        true = None if known is None else known.get(of_equation[0]["equation"], {})
        looked_for = [row["term"] for row in of_equation]
        beyond = [term for term in true or {} if term not in looked_for]
        for row in [*of_equation, *(of_equation[0] | {"term": term, "coefficient": 0.0} for term in beyond)]:
            completed.append(row | {"truth": math.nan if true is None else true.get(row["term"], 0.0)})
    return completed
