"""A trained family of paths: the density, the map from codes and times to its weights, and the visible codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
from weightcast.families.inflation import Inflation
from weightcast.families.masses import MassCurves
from weightcast.families.path_map import PathMap
from weightcast.families.path_vae import PathVAE
from weightcast.families.sample_encoder import SampleEncoder
from weightcast.families.stacked_maps import StackedMaps
from weightcast.families.zoo_map import ZooMap

OF_EXPERTS = ("zoo", "vae")
"""Kinds of maps that experts' paths are made into."""
KIND, MAP, PRIOR, FURTHER, ENCODER = "family", "map.", "prior.", "further.", "encoder."
AnyMap = PathMap | ZooMap | PathVAE
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
        inflation: how far codes of an ensemble are moved apart for bands.
        widened: what standard deviations of the visible codes are multiplied with in the prior.
        metadata: of the artifact.
        mixture: tensors of the prior of codes, where it is more than one normal distribution.
        further: the same with other maps, codes and priors, trained beside this one from other first weights.
        masses: what curves of log mass are like, by the codes of this map; None where no sizes are known.
        encoder: reads samples and says the codes of all maps; None where none was trained.
    """

    density: StackedDensity
    map: AnyMap
    told: Told
    first: float
    last: float
    ids: tuple[str, ...]
    codes: Tensor
    scaling: ParameterScaling
    parameters: Tensor
    inflation: Inflation
    widened: float
    metadata: dict[str, Any] = field(default_factory=dict)
    mixture: Mapping[str, Tensor] = field(default_factory=dict)
    further: tuple[TrainedFamily, ...] = ()
    masses: MassCurves | None = None
    encoder: SampleEncoder | None = None

    @cached_property
    def alone(self) -> TrainedFamily:
        """The first map, without those that were trained beside it, and without what reads samples for all."""
        return replace(self, further=(), encoder=None)

    @property
    def members(self) -> tuple[TrainedFamily, ...]:
        """The first map, and those that were trained beside it, each by itself with codes of its own."""
        return (self.alone, *self.further)

    def widened_to(self, width: float) -> TrainedFamily:
        """The same with a normal prior of another width, under every map."""
        further = tuple(one.widened_to(width) for one in self.further)
        return replace(self, widened=width, mixture={}, further=further)

    def moved_apart(self, codes: Tensor) -> Tensor:
        """Codes of an ensemble [map, ..., draw, number] as bands are made of them."""
        return torch.stack(
            [
                self.inflation.moved_apart(own, one.codes.to(own.device))
                for own, one in zip(codes, self.members, strict=True)
            ]
        )

    @cached_property
    def _maps(self) -> StackedMaps:
        return StackedMaps([one.map for one in self.members])

    def weights_of_all(self, times: Tensor, codes: Tensor) -> Tensor:
        """Weights of the paths of every map.

        Args:
            times: in the data's unit [map, member].
            codes: of the maps [map, member, number].

        Returns:
            [map, member, weight].
        """
        if isinstance(self.map, PathVAE):  # the only one, and its attention knows no batches of networks
            return self.map(self.scaled(times[0]), codes[0])[None]
        return self._maps(self.scaled(times), codes)

    @property
    def prior(self) -> CodePrior:
        """What codes of environments are like: normal, as those of the visible ones, but wider, or a mixture."""
        return MixturePrior.from_tensors(CodePrior.of(self.codes, self.widened), self.mixture)

    @torch.no_grad()
    def encoded(self, times: Tensor, values: Tensor, there: Tensor) -> Tensor:
        """Codes that the network says which reads samples, without any search.

        Args:
            times: in the data's unit [environment, snapshot].
            values: in the data's units [environment, snapshot, sample, dimension].
            there: what is no padding [environment, snapshot, sample] bool.

        Returns:
            of each map [map, environment, number].

        Raises:
            InputError: the family has no such network.
        """
        if self.encoder is None:
            raise InputError("encoder: found a family without one, expected inference.encoder in its configuration")
        whitened, _ = self.encoder(self.scaled(times), values, there)
        return torch.stack(
            [CodePrior.of(one.codes, 1.0).codes(own) for one, own in zip(self.members, whitened, strict=True)]
        )

    def weights(self, times: Tensor, codes: Tensor) -> Tensor:
        """Times [member], in the data's unit, and codes [member, number] -> weights [member, weight]."""
        return self.map(self.scaled(times), codes)

    @property
    def decoding_numbers(self) -> int:
        """Numbers that one density's weights take while they are made, where that is more than the weights."""
        return self.map.coding_numbers if isinstance(self.map, PathVAE) else 0

    def scaled(self, times: Tensor) -> Tensor:
        """Times as the map sees them: -1 at the first that it was trained at, 1 at the last."""
        return scaled_times(times, self.first, self.last)

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
        return replace(
            self,
            map=self.map.to(device),
            codes=self.codes.to(device),
            parameters=self.parameters.to(device),
            further=tuple(one.to(device) for one in self.further),
            encoder=None if self.encoder is None else self.encoder.to(device),
        )

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        further = {
            f"{FURTHER}{place}.{name}": value
            for place, one in enumerate(self.further, 1)
            for name, value in one._own_tensors().items()
        }
        described = self.metadata | {
            "architecture": self.density.architecture,
            "map": self.map.describe(),
            "told": self.told,
            "times": [self.first, self.last],
            "ids": list(self.ids),
            "scaling": self.scaling.metadata(),
            "inflation": self.inflation.describe(),
            "widened": self.widened,
        }
        if self.masses is not None:
            described["masses"] = [one.masses.describe() for one in self.members if one.masses is not None]
        reader: dict[str, Tensor] = {}
        if self.encoder is not None:
            described["encoder"] = self.encoder.describe()
            reader = {f"{ENCODER}{name}": value for name, value in self.encoder.state_dict().items()}
        save_artifact(path, KIND, self._own_tensors() | {"parameters": self.parameters} | further | reader, described)

    def _own_tensors(self) -> dict[str, Tensor]:
        """What differs from map to map."""
        state = {f"{MAP}{name}": value for name, value in self.map.state_dict().items()}
        return state | {"codes": self.codes} | dict(self.mixture)

    @classmethod
    def load(cls, path: str | Path) -> TrainedFamily:
        """Read what :meth:`save` wrote; its map is not trained on.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, KIND)
        tensors, metadata = artifact.tensors, artifact.metadata
        with understood(artifact):
            first, last = metadata["times"]
            if not first < last:
                raise InputError("times: expected increasing times")
            weights = tensors[f"{MAP}mean" if metadata["map"]["kind"] in OF_EXPERTS else f"{MAP}origin"].shape[-1]
            shared: dict[str, Any] = {
                "density": described_density(metadata["architecture"], weights),
                "told": metadata["told"],
                "first": first,
                "last": last,
                "ids": tuple(metadata["ids"]),
                "scaling": ParameterScaling.from_metadata(metadata["scaling"]),
                "parameters": tensors["parameters"],
                "inflation": Inflation.described(metadata["inflation"]),
                "widened": metadata["widened"],
                "metadata": metadata,
            }
            further: list[TrainedFamily] = []
            while own := _below(tensors, f"{FURTHER}{len(further) + 1}."):
                further.append(cls._with_own(own, shared))
            encoder = _built_encoder(metadata, tensors, shared["density"].space.dimensions, 1 + len(further))
            first_map = replace(cls._with_own(tensors, shared), encoder=encoder)
            if "masses" not in metadata:
                return replace(first_map, further=tuple(further))
            curves = [MassCurves.described(values) for values in metadata["masses"]]
            if len(curves) != 1 + len(further):
                raise InputError(f"masses: found {len(curves)}, expected {1 + len(further)}, one for each map")
            found = [replace(one, masses=own) for one, own in zip([first_map, *further], curves, strict=True)]
            return replace(found[0], further=tuple(found[1:]))

    @classmethod
    def _with_own(cls, tensors: Mapping[str, Tensor], shared: Mapping[str, Any]) -> TrainedFamily:
        """One map, of the tensors that are its own and of what all maps have in common."""
        state, codes, ids = _below(tensors, MAP), tensors["codes"], shared["ids"]
        built = load_built(lambda: _map_of(shared["metadata"]["map"], shared["density"]), state)
        if codes.shape != (len(ids), built.condition):
            raise InputError("ids, codes: expected a code for each visible environment")
        if shared["parameters"].shape != (len(ids), len(shared["scaling"].names)):
            raise InputError("ids, parameters: expected those of the scaling for each visible environment")
        mixture = {name: value for name, value in tensors.items() if name.startswith(PRIOR)}
        one = cls(map=built.requires_grad_(False).eval(), codes=codes, mixture=mixture, **shared)
        _ = one.prior  # of tensors that must be there
        return one


def _map_of(described: Mapping[str, Any], density: StackedDensity) -> AnyMap:
    """A map as its description has it, before it is given what it has learned."""
    if described["kind"] == "vae":
        return PathVAE(density.graph, **described)
    return (ZooMap if described["kind"] == "zoo" else PathMap)(**described)


def _built_encoder(
    metadata: Mapping[str, Any], tensors: Mapping[str, Tensor], dimensions: int, maps: int
) -> SampleEncoder | None:
    """The network that reads samples, of a family of so many maps; None where there is none.

    Raises:
        InputError: it is of other samples, or of other maps.
    """
    if "encoder" not in metadata:
        return None
    built = load_built(lambda: SampleEncoder(**metadata["encoder"]), _below(tensors, ENCODER))
    assert isinstance(built, SampleEncoder)
    found, expected = (built.dimensions, built.maps, built.code), (dimensions, maps, tensors["codes"].shape[1])
    if found != expected:
        raise InputError(f"encoder: found one of (dimensions, maps, code) {found}, expected {expected}")
    if not bool((built.scale > 0).all()):
        raise InputError("tensors: encoder.scale: expected numbers above 0")
    return built.requires_grad_(False).eval()


def scaled_times(times: Tensor, first: float, last: float) -> Tensor:
    """Times as a map sees them, in single precision: -1 at the first that it was trained at, 1 at the last."""
    return (2 * (times.double() - first) / (last - first) - 1).float()


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
