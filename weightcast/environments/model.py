"""Predictors in physical units: what a user gets, on disk and as torch modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.artifacts import Artifact, load_artifact, save_artifact
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.build import build_predictor
from weightcast.environments.dataset import Normalisation


class PhysicalPredictor(nn.Module):
    """A one-step map in physical units: a predictor between a normalisation and its inverse.

    Attributes:
        environment: parameters of the environment that the weights are for, if known.
    """

    def __init__(self, network: nn.Module, normalisation: Normalisation, environment: Mapping[str, float]) -> None:
        super().__init__()
        self.network = network
        self.normalisation = normalisation
        self.environment = dict(environment)

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, y, x] in physical units -> the next frames, same shape and units."""
        return self.normalisation.invert(self.network(self.normalisation.apply(frames)))

    @torch.no_grad()
    def rollout(self, initial: Tensor, steps: int) -> Tensor:
        """Initial frames [batch, channel, y, x] -> the next ``steps`` frames [batch, step, channel, y, x]."""
        frames, forecast = self.normalisation.apply(initial), []
        for _ in range(steps):
            frames = self.network(frames)
            forecast.append(self.normalisation.invert(frames))
        return torch.stack(forecast, dim=1)


def physical_predictors(
    weights: Tensor, shared: Mapping[str, Any], environment: Mapping[str, float]
) -> list[PhysicalPredictor]:
    """Modules from weights.

    Args:
        weights: [sample, weight].
        shared: architecture and normalisation, as artifacts hold them.
        environment: parameters that the weights are for.
    """
    models: list[PhysicalPredictor] = []
    for row in weights:
        network = build_predictor(dict(shared["architecture"]))
        WeightGraph(network).write(network, row)
        network.requires_grad_(False)
        models.append(PhysicalPredictor(network, Normalisation.from_metadata(shared["normalisation"]), environment))
    return models


def save_models(path: str | Path, weights: Tensor, shared: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Write generated predictors as one ``model`` artifact.

    Args:
        path: a ``.safetensors`` file.
        weights: [sample, weight].
        shared: architecture and normalisation.
        metadata: environment, seed, channels, grid, digest of the generator, ...
    """
    save_artifact(path, "model", {"weights": weights}, dict(shared) | dict(metadata))


def load_models(path: str | Path) -> tuple[list[PhysicalPredictor], Artifact]:
    """Read a ``model`` artifact: its predictors in physical units, and the artifact.

    Raises:
        InputError: it is missing, damaged or of another kind.
    """
    artifact = load_artifact(path, "model")
    metadata = artifact.metadata
    return physical_predictors(artifact.tensors["weights"], metadata, metadata["environment"]), artifact
