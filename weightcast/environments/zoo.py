"""The model zoo: [members, weights] and a manifest of what each member is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from weightcast.core.artifacts import Artifact, load_artifact, save_artifact, understood
from weightcast.core.errors import InputError


@dataclass(frozen=True)
class Zoo:
    """Experts of many environments.

    Attributes:
        weights: [member, weight].
        manifest: an entry a member: environment, member, seed, diverged, train_error, validation_error, seconds,
            data_digest.
        metadata: what all members share: architecture, normalisation, condition, base digest, settings.
    """

    weights: Tensor
    manifest: list[dict[str, Any]]
    metadata: dict[str, Any]

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        metadata = dict(artifact.metadata)
        with understood(artifact):
            weights, manifest = artifact.tensors["weights"], metadata.pop("manifest")
            if weights.ndim != 2 or len(weights) != len(manifest):
                found, expected = list(weights.shape), len(manifest)
                raise InputError(
                    f"{artifact.path}: tensors: weights: found shape {found}, expected [{expected}, weight]"
                )
            return cls(weights, manifest, metadata)

    kind: ClassVar[str] = "zoo"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an artifact of this kind.

        Raises:
            InputError: it is missing, damaged or of another kind.
        """
        return cls.from_artifact(load_artifact(path, cls.kind))

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        save_artifact(path, self.kind, {"weights": self.weights}, self.metadata | {"manifest": self.manifest})

    def healthy(self) -> Zoo:
        """Only the members that did not diverge: what generators and regressions learn from.

        Raises:
            InputError: none is left.
        """
        kept = [position for position, entry in enumerate(self.manifest) if not entry["diverged"]]
        if not kept:
            raise InputError(f"zoo: all {len(self.manifest)} experts diverged, expected at least one that did not")
        return self.take(kept)

    def of_environments(self, environments: Sequence[str]) -> Zoo:
        """The members of the given environments, in the zoo's order."""
        wanted = set(environments)
        return self.take([position for position, entry in enumerate(self.manifest) if entry["environment"] in wanted])

    def take(self, positions: Sequence[int]) -> Zoo:
        """The members at the given positions."""
        chosen = torch.as_tensor(list(positions), dtype=torch.long)
        return Zoo(self.weights[chosen], [self.manifest[position] for position in positions], self.metadata)

    @property
    def environments(self) -> list[str]:
        """The environment of each member."""
        return [entry["environment"] for entry in self.manifest]

    @property
    def seconds(self) -> float:
        """Training time of all members together."""
        return float(sum(entry["seconds"] for entry in self.manifest))


class ExpertShard(Zoo):
    """Experts as one job trained them."""

    kind = "experts"


def gather(shards: Sequence[Zoo], environments: Sequence[str]) -> Zoo:
    """One zoo from shards, its members in the order of ``environments``.

    Raises:
        InputError: an environment has no expert in any shard.
    """
    entries = [(entry, shard.weights[row]) for shard in shards for row, entry in enumerate(shard.manifest)]
    of: dict[str, list[tuple[dict[str, Any], Tensor]]] = {}
    for entry, weights in entries:
        of.setdefault(entry["environment"], []).append((entry, weights))
    missing = [environment for environment in environments if environment not in of]
    if missing:
        raise InputError(f"zoo: no expert for environment {missing[0]!r} in any shard: rerun the stage zoo")
    ordered = [pair for name in environments for pair in sorted(of[name], key=lambda pair: pair[0]["member"])]
    return Zoo(torch.stack([weights for _, weights in ordered]), [entry for entry, _ in ordered], shards[0].metadata)


def own_experts(zoo: Zoo, reference: Zoo | None) -> tuple[list[dict[str, Any]], Tensor]:
    """The first expert of each environment, diverged or not: entries of manifests, and weights [environment, weight].

    Args:
        zoo: of the visible environments.
        reference: of unseen ones; None where there is none.
    """
    experts = [(entry, zoo.weights[row]) for row, entry in enumerate(zoo.manifest) if entry["member"] == 0]
    if reference is not None:
        experts += zip(reference.manifest, reference.weights, strict=True)
    return [entry for entry, _ in experts], torch.stack([weights for _, weights in experts])
