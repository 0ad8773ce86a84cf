"""A trained weight VAE on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
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
            InputError: it is missing, damaged or of another kind, or describes what its tensors are not of.
        """
        artifact = load_artifact(path, "vae")
        metadata, tensors = artifact.metadata, artifact.tensors
        with understood(artifact):
            predictor = StackedPredictor.of_architecture(metadata["architecture"])
            own = {name for name in tensors if name.startswith("condition.")}
            learned = {name.removeprefix("condition."): tensors[name] for name in own}
            condition = load_built(lambda: build_condition(metadata["condition"]), learned)
            rest = {name: tensor for name, tensor in tensors.items() if name not in own}
            vae = load_built(lambda: build_vae(metadata, condition, predictor.graph), rest)
            return cls(vae.eval(), condition, predictor, metadata)


def build_vae(metadata: Mapping[str, Any], condition: Condition, graph: WeightGraph) -> WeightVAE:
    """An untrained VAE as the metadata of a ``vae`` or ``generator`` artifact describe it."""
    origin = build_origin(metadata["origin"], condition, graph)
    return new_vae(graph, VAESettings(**metadata["vae"]), origin)
