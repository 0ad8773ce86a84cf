"""A trained weight VAE on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.graph import WeightGraph
from weightcast.environments.conditions import Condition, build_condition
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.origin import build_origin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.vae import WeightVAE, new_vae


@dataclass(frozen=True)
class TrainedVae:
    """A weight VAE with what it needs to be used.

    Attributes:
        vae: the network.
        condition: what its origin is a function of, and what the arm's diffusion starts from.
        predictor: whose weights it codes.
        metadata: of the artifact.
    """

    vae: WeightVAE
    condition: Condition
    predictor: StackedPredictor
    metadata: Mapping[str, Any]

    def save(self, path: str | Path) -> None:
        """Write as a ``vae`` artifact."""
        condition = {f"condition.{name}": tensor for name, tensor in self.condition.state_dict().items()}
        save_artifact(path, "vae", self.vae.state_dict() | condition, self.metadata)

    @classmethod
    def load(cls, path: str | Path) -> TrainedVae:
        """Read a ``vae`` artifact.

        Raises:
            InputError: it is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, "vae")
        predictor = StackedPredictor.of_architecture(artifact.metadata["architecture"])
        condition = build_condition(artifact.metadata["condition"])
        vae = build_vae(artifact.metadata, condition, predictor.graph)
        own = {name for name in artifact.tensors if name.startswith("condition.")}
        condition.load_state_dict({name.removeprefix("condition."): artifact.tensors[name] for name in own})
        vae.load_state_dict({name: tensor for name, tensor in artifact.tensors.items() if name not in own})
        return cls(vae.eval(), condition, predictor, artifact.metadata)


def build_vae(metadata: Mapping[str, Any], condition: Condition, graph: WeightGraph) -> WeightVAE:
    """An untrained VAE as the metadata of a ``vae`` or ``generator`` artifact describe it."""
    origin = build_origin(metadata["origin"], condition, graph)
    return new_vae(graph, VAESettings(**metadata["vae"]), origin)
