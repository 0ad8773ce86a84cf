"""A trained base on disk: weight map, architecture, normalisation and parameter scaling, ready for use together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weightcast.core.artifacts import load_artifact
from weightcast.core.nets.build import build_predictor
from weightcast.environments.dataset import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.weight_maps import load_weight_map


@dataclass(frozen=True)
class Base:
    """What every later stage needs to know of the network that it starts from.

    Attributes:
        weight_map: scaled parameters -> weights.
        predictor: of the architecture.
        normalisation: physical units <-> the predictor's.
        scaling: of the environment's parameters.
        metadata: of the artifact.
    """

    weight_map: nn.Module
    predictor: StackedPredictor
    normalisation: Normalisation
    scaling: ParameterScaling
    metadata: dict[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> Base:
        """Read a ``base`` artifact.

        Raises:
            InputError: it is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, "base")
        metadata = artifact.metadata
        predictor = StackedPredictor(build_predictor(metadata["architecture"]))
        return cls(
            weight_map=load_weight_map(artifact, predictor.graph),
            predictor=predictor,
            normalisation=Normalisation.from_metadata(metadata["normalisation"]),
            scaling=ParameterScaling.from_metadata(metadata["scaling"]),
            metadata=metadata,
        )

    @torch.no_grad()
    def weights(self, parameters: NDArray[np.float64]) -> Tensor:
        """Parameters in the user's units [environment, parameter] -> weights [environment, weight]."""
        return self.weight_map(self.scaling.apply(parameters)).clone()

    @property
    def shared(self) -> dict[str, Any]:
        """The part of the metadata that artifacts made from this base pass on."""
        return {key: self.metadata[key] for key in ("architecture", "normalisation", "scaling")}
