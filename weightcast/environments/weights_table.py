"""Where every method ends: predictor weights for each environment, in one form, so that one evaluation serves all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from weightcast.core.artifacts import open_artifact, save_artifact, understood
from weightcast.core.errors import InputError
from weightcast.core.methods import ENSEMBLE
from weightcast.core.stored_tensor import PIECE, Rows, flattened, grouped, taken
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor

if TYPE_CHECKING:  # what reads such a file alone does not depend on what trains
    from weightcast.core.run import Run


@dataclass(frozen=True)
class MethodWeights:
    """Weights that one method, with one seed, gives for environments.

    Attributes:
        method: name as in metrics.csv.
        seed: 0 where the method has none.
        environments: ids, in the order of ``weights``.
        weights: [environment, sample, weight]: a tensor, or rows of a file, which are read when they are asked for.
        train_seconds: spent once, before any new environment is seen; includes everything the method builds on.
        adapt_seconds: spent for each new environment.
        parameters: numbers that were learned and must be kept to use the method.
        diverged: environments whose training broke down; their weights are the last finite ones.
        normalisation: of the predictors, if it is not the one that the file says for all its methods.
        shares: of the samples in an ensemble [environment, sample]; None counts them alike.
        model_error: of an ensemble: standard deviation of what its forecasts are off by beyond its spread, in
            normalised units [step][channel]; None where nobody knows.
        architecture: of its predictors, if it is not the one that the file says for all its methods.
    """

    method: str
    seed: int
    environments: list[str]
    weights: Rows
    train_seconds: float
    adapt_seconds: float
    parameters: int
    diverged: list[str] = field(default_factory=list)
    normalisation: Normalisation | None = None
    shares: Tensor | None = None
    model_error: list[list[float]] | None = None
    architecture: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """Name of its tensor in an artifact."""
        return f"{self.method}.{self.seed}"

    @property
    def is_ensemble(self) -> bool:
        """Whether its samples are scored together, as one distribution."""
        return self.method.endswith(ENSEMBLE)

    def of_environments(self, chosen: slice) -> MethodWeights:
        """The same for some of the environments; weights that lie in a file stay there."""
        first, last, _ = chosen.indices(len(self.environments))
        if (first, last) == (0, len(self.environments)):
            return self
        weights = self.weights
        if isinstance(weights, Tensor):
            some: Rows = weights[first:last]
        else:
            samples = weights.shape[1]
            some = grouped(taken(flattened(weights), range(first * samples, last * samples)), samples)
        return replace(
            self,
            environments=self.environments[first:last],
            weights=some,
            shares=None if self.shares is None else self.shares[first:last],
        )


@dataclass(frozen=True)
class WeightsFile:
    """Weights of one or several methods, as one ``weights`` artifact.

    Attributes:
        methods: each with a (method, seed) of its own.
        metadata: of the artifact; architecture, normalisation and condition among them.
    """

    methods: list[MethodWeights]
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, methods: list[MethodWeights], shared: Mapping[str, Any]) -> WeightsFile:
        """Methods whose weights are of one architecture.

        Args:
            methods: see above.
            shared: architecture, normalisation and condition, and where the weights come from.
        """
        described = [
            {
                "method": method.method,
                "seed": method.seed,
                "environments": method.environments,
                "train_seconds": method.train_seconds,
                "adapt_seconds": method.adapt_seconds,
                "parameters": method.parameters,
                "diverged": method.diverged,
                "normalisation": method.normalisation and method.normalisation.metadata(),
                "model_error": method.model_error,
                "architecture": method.architecture,
            }
            for method in methods
        ]
        return cls(methods, dict(shared) | {"methods": described})

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        save_artifact(path, "weights", self.tensors, self.metadata)

    @property
    def tensors(self) -> dict[str, Rows]:
        """Weights of all methods, and shares of those that have some, by name."""
        tensors: dict[str, Rows] = {method.key: method.weights for method in self.methods}
        return tensors | {f"{one.key}.shares": one.shares for one in self.methods if one.shares is not None}

    @classmethod
    def load(cls, path: str | Path) -> WeightsFile:
        """Read what :meth:`save` wrote; weights of a large file are verified, and stay there until they are asked for.

        Raises:
            InputError: the artifact is missing, damaged or of another kind.
        """
        artifact = open_artifact(path, "weights")
        small = sum(tensor.numel() for tensor in artifact.tensors.values()) <= PIECE
        with understood(artifact):
            tensors = {name: tensor[:] if small else tensor for name, tensor in artifact.tensors.items()}
            methods = _methods(artifact.metadata["methods"], tensors, path)
        return cls(methods, artifact.metadata)

    @property
    def predictor(self) -> StackedPredictor:
        """The architecture whose weights these are."""
        return StackedPredictor.of_architecture(self.metadata["architecture"])

    def predictor_of(self, method: MethodWeights) -> StackedPredictor:
        """The architecture of a method's weights: its own, where it predicts otherwise than the study's predictor."""
        return self.predictor if method.architecture is None else StackedPredictor.of_architecture(method.architecture)

    def normalisation_of(self, method: MethodWeights) -> Normalisation:
        """The units that a method's predictors see: its own, where bases were trained on different environments."""
        return method.normalisation or Normalisation.from_metadata(self.metadata["normalisation"])


def kept_methods(run: Run, name: str, make: Callable[[], list[MethodWeights]]) -> list[MethodWeights]:
    """Methods as they are made, which a stage that was killed meanwhile does not make again.

    Args:
        run: which keeps them until its stage is over.
        name: of what is made, its own within the stage.
        make: makes them.
    """

    def made() -> tuple[dict[str, Rows], dict[str, Any]]:
        file = WeightsFile.of(make(), {})
        return file.tensors, dict(file.metadata)

    tensors, described = run.kept(name, made)
    on_cpu = {key: tensor.cpu() if isinstance(tensor, Tensor) else tensor for key, tensor in tensors.items()}
    return _methods(described["methods"], on_cpu, name)


def _methods(
    described: Iterable[Mapping[str, Any]], tensors: Mapping[str, Rows], source: str | Path
) -> list[MethodWeights]:
    """Methods from their descriptions and tensors."""
    methods = []
    for one in described:
        own = dict(one)
        stored = own.pop("normalisation")
        key = f"{own['method']}.{own['seed']}"
        weights, stored_shares = tensors[key], tensors.get(f"{key}.shares")
        shares = None if stored_shares is None else stored_shares[:]
        normalisation = None if stored is None else Normalisation.from_metadata(stored)
        count = len(own["environments"])
        if len(weights.shape) != 3 or len(weights) != count:
            found = list(weights.shape)
            raise InputError(f"{source}: tensors: {key}: found shape {found}, expected [{count}, sample, weight]")
        if shares is not None and shares.shape != weights.shape[:2]:
            found, expected = list(shares.shape), list(weights.shape[:2])
            raise InputError(f"{source}: tensors: {key}.shares: found shape {found}, expected {expected}")
        methods.append(MethodWeights(weights=weights, normalisation=normalisation, shares=shares, **own))
    return methods
