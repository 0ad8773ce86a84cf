"""The stage ``compare_with_experts``: whether generated weights are new, or copies of the experts that were seen."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from weightcast.core.environment_table import Environment
from weightcast.core.methods import GENERATOR_PREFIX, LATENT_REGRESSION_PREFIX, OBSERVED, arm_of, method
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.tables import NOVELTY_COLUMNS, read_metrics
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluated_frames import EvaluatedFrames
from weightcast.environments.jobs import CompareWithExperts
from weightcast.environments.novelty import Comparison, Experts, Scene
from weightcast.environments.plan import compared_environments, compared_frames
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.environments.zoo import Zoo

_log = logging.getLogger(__name__)

Row = dict[str, Any]


@stage("compare_with_experts")
def compare_with_experts(
    run: Run,
    settings: CompareWithExperts,
    weights: list[WeightsFile],
    zoos: list[Zoo],
    evaluations: list[Path],
    trajectories: TrajectoryFolder,
) -> Table:
    """Compare all weights that were made for an environment with experts of the visible ones: rows of novelty.csv.

    Where there are very many environments, some of them are compared, evenly over the table.

    Args:
        run: whose device computes.
        settings: environments, bases, seed.
        weights: of all methods.
        zoos: one a base, in the order of ``settings.bases``.
        evaluations: tables of the methods' errors.
        trajectories: of all environments.
    """
    data = settings.data
    errors = _errors(evaluations, data.trained_frames - 1)
    environments = compared_environments(settings.environments)
    tested = EvaluatedFrames(trajectories, environments, data, data.trained_frames, run)
    frames = compared_frames(len(data.channels) * math.prod(data.grid))
    places = _places(settings)
    rows: list[Row] = []
    for base, zoo in zip(settings.bases, zoos, strict=True):
        compared = [
            (made, file)
            for file in weights
            for made in file.methods
            if _is_like_experts(made, file) and zoo_of(made.method, settings) == base
        ]
        predictor = compared[0][1].predictor.to(run.device) if compared else None
        if predictor is None:
            continue
        experts = Experts(zoo, predictor, places, settings.seed, run)
        for environment, test, land in _one_by_one(tested):
            scene = Scene.of(environment.id, test, frames, experts.normalisation, data.layout.shown, data.history, land)
            here = [(made, file) for made, file in compared if _is_made_for(made, environment.id, experts)]
            if not here:
                continue
            networks = [made.weights[made.environments.index(environment.id)] for made, _ in here]
            normalisations = [file.normalisation_of(made) for made, file in here]
            found = experts.compare(
                scene,
                run.place(torch.cat(networks)),
                [one for one, own in zip(normalisations, networks, strict=True) for _ in own],
            )
            shared = {"study": settings.study, "split": environment.role, "environment": environment.id}
            first = 0
            for (made, _), own in zip(here, networks, strict=True):
                samples = slice(first, first + len(own))
                first += len(own)
                error = errors.get((made.method, made.seed, environment.id), math.nan)
                named = shared | {"method": made.method, "seed": made.seed}
                rows += [named | row for row in _rows(found, samples, error)]
        _log.info("zoo %s: %d experts, %d methods and seeds", base, len(experts.weights), len(compared))
    return Table(pd.DataFrame(rows, columns=list(NOVELTY_COLUMNS)))


def _one_by_one(tested: EvaluatedFrames) -> Iterator[tuple[Environment, Tensor, Tensor | None]]:
    """Environments with their test trajectories [trajectory, frame, channel, y, x], and where these are land [1, 1,
    channel, y, x]."""
    for block in tested.blocks([environment.id for environment in tested.environments]):
        land = [None] * len(block.environments) if block.land is None else list(block.land)
        yield from zip(block.environments, block.driven, land, strict=True)


def zoo_of(name: str, settings: CompareWithExperts) -> str | None:
    """The base of the zoo that a method's weights are compared with, or None if nobody asks whether they are new.

    Nobody asks of what was trained on the environment's own frames, but for experts of unseen environments, which show
    what new weights look like.
    """
    if name == "erm" or name.startswith("finetune-"):
        return None
    if name.startswith(GENERATOR_PREFIX):
        return settings.arms[arm_of(name)]
    if name.startswith(LATENT_REGRESSION_PREFIX):
        return settings.arms[name.removeprefix(LATENT_REGRESSION_PREFIX)]
    if method(name).family == "reference" and not name.startswith("one-per-env-"):
        return None
    for base in settings.bases:
        if name.removesuffix(OBSERVED).endswith(f"-{base}"):
            return base
    return "conditioned" if "conditioned" in settings.bases else settings.bases[0]


def _is_like_experts(made: MethodWeights, file: WeightsFile) -> bool:
    """Whether a method's networks are of the experts' architecture: equations, say, are not."""
    return made.architecture is None or made.architecture == file.metadata["architecture"]


def _is_made_for(made: MethodWeights, environment: str, experts: Experts) -> bool:
    """Whether a method has weights for an environment that are not the zoo's own."""
    own = method(made.method).family == "reference" and environment in experts.ids
    return environment in made.environments and not own


def _places(settings: CompareWithExperts) -> Mapping[str, Tensor]:
    """Scaled parameters of every environment, or nothing where none are known."""
    names = settings.table.parameter_names
    if not names:
        return {}
    values = np.array([[row.parameters[name] for name in names] for row in settings.environments], dtype=np.float64)
    visible = [row.role == "visible" for row in settings.environments]
    scaled = ParameterScaling.of(names, values[visible], settings.logarithmic_parameters).apply(values)
    return dict(zip(settings.ids, scaled, strict=True))


def _errors(evaluations: Sequence[Path], horizon: int) -> dict[tuple[str, int, str], float]:
    """RMSE at the trained horizon by method, seed and environment."""
    metrics = pd.concat([read_metrics(path) for path in evaluations], ignore_index=True)
    chosen = metrics[(metrics["metric"] == "rmse") & (metrics["horizon"] == horizon)]
    keys = chosen[["method", "seed", "environment", "value"]].itertuples(index=False)
    return {(str(name), int(seed), str(id)): float(value) for name, seed, id, value in keys}


def _rows(found: Mapping[str, Comparison], samples: slice, error: float) -> Iterator[Row]:
    """Rows of one method in one environment: means over its samples."""
    for reference, compared in found.items():
        weights, behaviour = compared.weights[samples], compared.behaviour[samples]
        for measure, value, yardstick in (
            ("weights", weights.mean(), compared.weights_spread[samples].mean()),
            ("behaviour", behaviour.mean(), compared.behaviour_spread[samples].mean()),
            # Samples are pooled in the evaluation's error, so references are as well.
            ("rmse", error, compared.rmse[samples].square().mean().sqrt()),
        ):
            yield {
                "reference": reference,
                "measure": measure,
                "value": float(value) if not math.isnan(float(value)) else math.inf,
                "yardstick": float(yardstick),
            }
