"""A trained family of paths: the density, the map from codes and times to its weights, and the visible codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.core.errors import InputError
from weightcast.environments.code_priors import CodePrior, MixturePrior
from weightcast.environments.scaling import ParameterScaling
from weightcast.evolution.density import StackedDensity, described_density
from weightcast.families.path_map import PathMap

KIND, MAP, PRIOR = "family", "map.", "prior."
Told = Literal["codes", "parameters", "nothing"]
"""What a map is told of an environment: its learned code, its true parameters, or nothing (everybody has one path)."""


@dataclass(frozen=True)
class TrainedFamily:
    """Paths of weights of many environments, and of those between them.

    Attributes:
        density: whose weights they are.
        map: from code and time to weights.
        told: what stands in the place of a code.
        first, last: times that the map was trained at, from the first snapshot to the last.
        ids: of the visible environments.
        codes: of each [visible, number].
        scaling: of the parameters, if the environments have any.
        parameters: scaled [visible, parameter].
        temperature: what the likelihood of a new environment's samples is divided by.
        widened: what standard deviations of the visible codes are multiplied with in the prior.
        metadata: of the artifact.
        mixture: tensors of the prior of codes, where it is more than one normal distribution.
    """

    density: StackedDensity
    map: PathMap
    told: Told
    first: float
    last: float
    ids: tuple[str, ...]
    codes: Tensor
    scaling: ParameterScaling
    parameters: Tensor
    temperature: float
    widened: float
    metadata: dict[str, Any] = field(default_factory=dict)
    mixture: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def prior(self) -> CodePrior:
        """What codes of environments are like: normal, as those of the visible ones, but wider, or a mixture."""
        return MixturePrior.from_tensors(CodePrior.of(self.codes, self.widened), self.mixture)

    def weights(self, times: Tensor, codes: Tensor) -> Tensor:
        """Times [member], in the data's unit, and codes [member, number] -> weights [member, weight]."""
        return self.map(self.scaled(times), codes)

    def scaled(self, times: Tensor) -> Tensor:
        """Times as the map sees them: -1 at the first that it was trained at, 1 at the last."""
        return (2 * (times.double() - self.first) / (self.last - self.first) - 1).float()

    def check_times(self, times: Sequence[float] | np.ndarray, what: str = "time") -> None:
        """Refuse times that no path was trained at.

        Raises:
            InputError: one is not finite, or lies outside of the visible snapshots' times.
        """
        room = 1e-9 * (self.last - self.first)
        for time in times:
            if not self.first - room <= time <= self.last + room:
                raise InputError(
                    f"{what}: found {time:g}, expected one from {self.first:g} to {self.last:g}, the visible "
                    "environments' range"
                )

    def to(self, device: torch.device) -> TrainedFamily:
        """The same, to compute on a device; the map itself is moved."""
        moved = {"codes": self.codes.to(device), "parameters": self.parameters.to(device), "map": self.map.to(device)}
        return TrainedFamily(**(vars(self) | moved))

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        tensors = {f"{MAP}{name}": value for name, value in self.map.state_dict().items()}
        described = self.metadata | {
            "architecture": self.density.architecture,
            "map": self.map.describe(),
            "told": self.told,
            "times": [self.first, self.last],
            "ids": list(self.ids),
            "scaling": self.scaling.metadata(),
            "temperature": self.temperature,
            "widened": self.widened,
        }
        own = {"codes": self.codes, "parameters": self.parameters}
        save_artifact(path, KIND, tensors | own | dict(self.mixture), described)

    @classmethod
    def load(cls, path: str | Path) -> TrainedFamily:
        """Read what :meth:`save` wrote; its map is not trained on.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, KIND)
        tensors, metadata = artifact.tensors, artifact.metadata
        with understood(artifact):
            state = {name.removeprefix(MAP): value for name, value in tensors.items() if name.startswith(MAP)}
            density = described_density(metadata["architecture"], len(state["origin"]))
            built = load_built(lambda: PathMap(**metadata["map"]), state)
            assert isinstance(built, PathMap)
            built.requires_grad_(False)
            first, last = (float(time) for time in metadata["times"])
            ids, codes, parameters = tuple(metadata["ids"]), tensors["codes"], tensors["parameters"]
            if not first < last or codes.shape != (len(ids), built.condition) or len(parameters) != len(ids):
                raise InputError("times, ids, codes: expected increasing times and a code for each visible environment")
            scaling = ParameterScaling.from_metadata(metadata["scaling"])
            return cls(
                density,
                built.eval(),
                metadata["told"],
                first,
                last,
                ids,
                codes,
                scaling,
                parameters,
                float(metadata["temperature"]),
                float(metadata["widened"]),
                metadata,
                {name: value for name, value in tensors.items() if name.startswith(PRIOR)},
            )
