"""The stage ``average_experts``: the average of a zoo, where the base that its experts started from is not there."""

from __future__ import annotations

import torch

from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.weight_map import PooledMap
from weightcast.environments.jobs import AverageExperts
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import build_weight_map
from weightcast.environments.zoo import Zoo

COPIES = 3
"""Of an expert's weights, while they are added up in double precision."""


@stage("average_experts")
def average_experts(run: Run, settings: AverageExperts, zoo: Zoo) -> BaseNetwork:
    """Average the experts that did not diverge, some at a time; the result is the same in every environment.

    Args:
        run: whose memory says how many are read at once.
        settings: the visible environments.
        zoo: of published experts.
    """
    healthy = zoo.healthy()
    total = torch.zeros(healthy.weights.shape[1], dtype=torch.float64)
    for rows in torch.arange(len(healthy.manifest)).split(run.together(COPIES * len(total))):
        total += healthy.weights[rows].double().sum(0)
    mean = (total / len(healthy.manifest)).float()
    condition = new_condition("parameters", Known.of_rows(settings.environments), settings.logarithmic_parameters)
    predictor = StackedPredictor.of_architecture(zoo.metadata["architecture"])
    metadata = {
        "weight_map": describe_weight_map(PooledMap(), condition),
        "architecture": zoo.metadata["architecture"],
        "normalisation": zoo.metadata["normalisation"],
        "condition": condition.describe(),
        "environments": settings.ids,
        "seed": zoo.metadata["study_seed"],
        "seconds": zoo.metadata["base_seconds"],  # of the base that experts started from: all here builds on it
        "seconds_before": zoo.seconds,
        "metrics": {"experts": len(healthy.manifest)},
    }
    weight_map = build_weight_map(PooledMap(), condition, mean, predictor.graph)
    normalisation = Normalisation.from_metadata(zoo.metadata["normalisation"])
    return BaseNetwork(weight_map, predictor, normalisation, metadata | run.described())
