"""Experts of paths on disk: each environment's own path of weights, of visible environments and of unseen ones.

A zoo is made of the visible ones. Those of unseen environments have seen what nobody may see who infers them: they are
references alone, which say what is lost where a path is encoded and decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from weightcast.core.artifacts import load_artifact, save_artifact, understood
from weightcast.core.errors import InputError
from weightcast.evolution.density import StackedDensity, described_density
from weightcast.families.path_zoo import Experts
from weightcast.families.zoo_map import knot_shares

KIND = "path_experts"


@dataclass(frozen=True)
class PathExperts:
    """Paths of weights of environments, each its own.

    Attributes:
        density: whose weights they are.
        ids: of the environments, visible ones first.
        visible: how many of them are.
        weights: at evenly spaced times [environment, knot, weight].
        errors: mean negative log-likelihood of samples held back, of the path where an expert began and of the
            expert's [2, environment].
        metadata: of the artifact; ``seconds`` is what the visible ones took.
    """

    density: StackedDensity
    ids: tuple[str, ...]
    visible: int
    weights: Tensor
    errors: Tensor
    metadata: Mapping[str, Any]

    @property
    def of_visible(self) -> Experts:
        """Those of the visible environments."""
        own = slice(self.visible)
        return Experts(self.weights[own], self.errors[:, own], float(self.metadata["seconds"]))

    def of(self, ids: Sequence[str]) -> Tensor:
        """Weights of these environments' experts [environment, knot, weight].

        Raises:
            InputError: there is no expert of one.
        """
        for id in ids:
            if id not in self.ids:
                raise InputError(f"experts: found none of {id}, expected one of every environment")
        return self.weights[[self.ids.index(id) for id in ids]]

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        described = {"architecture": self.density.architecture, "ids": list(self.ids), "visible": self.visible}
        save_artifact(path, KIND, {"weights": self.weights, "errors": self.errors}, dict(self.metadata) | described)

    @classmethod
    def load(cls, path: str | Path) -> PathExperts:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind, or its parts do not fit together.
        """
        artifact = load_artifact(path, KIND)
        tensors, metadata = artifact.tensors, artifact.metadata
        with understood(artifact):
            weights, ids, visible = tensors["weights"], tuple(metadata["ids"]), metadata["visible"]
            if weights.ndim != 3 or len(weights) != len(ids) or weights.shape[1] < 2:
                found = list(weights.shape)
                raise InputError(f"tensors: weights: found shape {found}, expected [{len(ids)}, knot, weight]")
            if tensors["errors"].shape != (2, len(ids)):
                found = list(tensors["errors"].shape)
                raise InputError(f"tensors: errors: found shape {found}, expected [2, {len(ids)}]")
            if visible > len(ids):
                raise InputError(f"visible: found {visible}, expected at most {len(ids)}, as many as there are")
            density = described_density(metadata["architecture"], weights.shape[-1])
            return cls(density, ids, visible, weights, tensors["errors"], metadata)


def weights_at(experts: Tensor, times: Tensor) -> Tensor:
    """Weights of experts between their knots.

    Args:
        experts: [environment, knot, weight].
        times: scaled to -1 to 1 [environment, time].

    Returns:
        [environment, time, weight].
    """
    return knot_shares(times, experts.shape[1]).to(experts) @ experts
