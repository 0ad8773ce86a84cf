"""A trained base on disk: weight map, architecture and normalisation, ready for use together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.core.graph import WeightGraph
from weightcast.environments.conditions import Condition, Known, build_condition
from weightcast.environments.config.weight_map import AnyWeightMap
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import PooledWeights, WeightMap, build_weight_map

_WEIGHT_MAP: TypeAdapter[AnyWeightMap] = TypeAdapter(AnyWeightMap)


@dataclass(frozen=True)
class BaseNetwork:
    """What every later stage needs to know of the network that it starts from.

    Attributes:
        weight_map: a condition's coordinates -> weights.
        predictor: of the architecture.
        normalisation: physical units <-> the predictor's.
        metadata: of the artifact.
        further: tensors that the artifact holds beside the weight map's, by name.
    """

    weight_map: WeightMap
    predictor: StackedPredictor
    normalisation: Normalisation
    metadata: Mapping[str, Any]
    further: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def condition(self) -> Condition:
        """What the base is told of an environment."""
        return self.weight_map.condition

    def save(self, path: str | Path) -> None:
        """Write as a ``base`` artifact."""
        save_artifact(path, "base", self.weight_map.state_dict() | dict(self.further), self.metadata)

    @classmethod
    def load(cls, path: str | Path) -> BaseNetwork:
        """Read a ``base`` artifact.

        Raises:
            InputError: it is missing, damaged or of another kind, or describes what its tensors are not of.
        """
        artifact = load_artifact(path, "base")
        metadata = artifact.metadata
        with understood(artifact):
            predictor = StackedPredictor.of_architecture(metadata["architecture"])
            weight_map = load_built(
                lambda: described_weight_map(metadata["weight_map"], predictor.graph), artifact.tensors, further=True
            )
            own = weight_map.state_dict()
            return cls(
                weight_map=weight_map.requires_grad_(False),
                predictor=predictor,
                normalisation=Normalisation.from_metadata(metadata["normalisation"]),
                metadata=metadata,
                further={name: tensor for name, tensor in artifact.tensors.items() if name not in own},
            )

    def to(self, device: torch.device) -> BaseNetwork:
        """The same base on a device."""
        self.weight_map.to(device)
        predictor = self.predictor.to(device)
        return BaseNetwork(self.weight_map, predictor, self.normalisation, self.metadata, self.further)

    @torch.no_grad()
    def weights(self, known: Sequence[Known]) -> Tensor:
        """What is known of environments -> weights [environment, weight], on the base's device."""
        if isinstance(self.weight_map, PooledWeights):  # the same everywhere, whatever is known
            return self.weight_map(self.weight_map.weights.new_zeros(len(known), 0)).clone()
        prepared = self.condition.prepare(known).to(self.weight_map.weights.device)
        return self.weight_map(prepared).clone()

    @property
    def learned(self) -> int:
        """Numbers that were learned."""
        return sum(parameter.numel() for parameter in self.weight_map.parameters())

    @property
    def shared(self) -> dict[str, Any]:
        """The part of the metadata that artifacts made from this base pass on."""
        return {key: self.metadata[key] for key in ("architecture", "normalisation", "condition")}


def describe_weight_map(settings: AnyWeightMap, condition: Condition) -> dict[str, Any]:
    """JSON values that an untrained weight map is built again from."""
    return settings.model_dump(mode="json") | {"condition": condition.describe()}


def described_weight_map(description: Mapping[str, Any], graph: WeightGraph) -> WeightMap:
    """The inverse of :func:`describe_weight_map`; its tensors are still to be loaded."""
    plain = dict(description)
    condition = build_condition(plain.pop("condition"))
    return build_weight_map(_WEIGHT_MAP.validate_python(plain), condition, torch.zeros(graph.num_parameters), graph)
