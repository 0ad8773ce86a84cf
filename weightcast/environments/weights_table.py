"""Where every method ends: predictor weights for each environment, in one form, so that one evaluation serves all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from weightcast.core.artifacts import load_artifact, save_artifact


@dataclass(frozen=True)
class MethodWeights:
    """Weights that one method, with one seed, gives for environments.

    Attributes:
        method: name as in metrics.csv.
        seed: 0 where the method has none.
        environments: ids, in the order of ``weights``.
        weights: [environment, sample, weight].
        train_seconds: spent once, before any new environment is seen; includes everything the method builds on.
        adapt_seconds: spent for each new environment.
        parameters: numbers that were learned and must be kept to use the method.
    """

    method: str
    seed: int
    environments: list[str]
    weights: Tensor
    train_seconds: float
    adapt_seconds: float
    parameters: int


def save_method_weights(path: str | Path, methods: list[MethodWeights], shared: dict[str, Any]) -> None:
    """Write weights of one or several methods as one ``weights`` artifact.

    Args:
        path: of the artifact.
        methods: each with a (method, seed) of its own.
        shared: architecture, normalisation and scaling.
    """
    tensors = {f"{method.method}.{method.seed}": method.weights for method in methods}
    described = [
        {
            "method": method.method,
            "seed": method.seed,
            "environments": method.environments,
            "train_seconds": method.train_seconds,
            "adapt_seconds": method.adapt_seconds,
            "parameters": method.parameters,
        }
        for method in methods
    ]
    save_artifact(path, "weights", tensors, shared | {"methods": described})


def load_method_weights(path: str | Path) -> tuple[list[MethodWeights], dict[str, Any]]:
    """Read what :func:`save_method_weights` wrote: the methods and the artifact's metadata.

    Raises:
        InputError: the artifact is missing, damaged or of another kind.
    """
    artifact = load_artifact(path, "weights")
    methods = [
        MethodWeights(weights=artifact.tensors[f"{described['method']}.{described['seed']}"], **described)
        for described in artifact.metadata["methods"]
    ]
    return methods, artifact.metadata
