"""An environment whose parameters nobody knows: weights from a few observed frames, through a conditioned method.

The parameters are inferred (:mod:`weightcast.environments.infer_environment`), and what the method makes of them is
what it is judged by. This is what benchmarks of adaptation ask for: CoDA (Kirchmeyer et al., ICML 2022) and GEPS
(Koupai et al., NeurIPS 2024) show one trajectory of a new environment, not its parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.seeds import derive_seed
from weightcast.environments.base import Base
from weightcast.environments.generator import Generator
from weightcast.environments.infer_environment import infer_environment
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights


@dataclass(frozen=True)
class Conditioned:
    """A trained map from parameters to weights, whatever it is made of.

    Attributes:
        method: name in metrics.csv of the method that is told the frames.
        seed: of its training.
        weights_of: scaled parameters [candidate, parameter] -> weights [candidate, weight]; differentiable.
        train_seconds: spent before any new environment is seen.
        parameters: numbers that were learned and must be kept.
    """

    method: str
    seed: int
    weights_of: Callable[[Tensor], Tensor]
    train_seconds: float
    parameters: int

    @classmethod
    def of_base(cls, method: str, base: Base) -> Conditioned:
        """FiLM or a hypernetwork."""
        learned = sum(parameter.numel() for parameter in base.weight_map.parameters())
        return cls(method, 0, base.weight_map, base.metadata["seconds"], learned)

    @classmethod
    def of_generator(cls, method: str, generator: Generator, base_seconds: float) -> Conditioned:
        """A generator, whose noise stays the same while parameters are searched.

        Args:
            method: name in metrics.csv.
            generator: as loaded.
            base_seconds: of the base that its zoo started from.
        """
        seed = int(generator.metadata["seed"])
        noise = generator.draw_noise(1, derive_seed(seed, "observed"))
        learned = [*generator.vae.parameters(), *generator.diffusion.parameters()]
        return cls(
            method,
            seed,
            lambda scaled: generator.weights(scaled, noise.expand(len(scaled), -1, -1)),
            base_seconds + generator.metadata["seconds_before"] + generator.metadata["seconds"],
            sum(parameter.numel() for parameter in learned),
        )


def adapt(
    method: Conditioned, environments: list[str], observed: Tensor, predictor: StackedPredictor, parameters: int
) -> MethodWeights:
    """Weights of a method for environments of which some frames are all that is known.

    Args:
        method: which is not told the parameters.
        environments: ids.
        observed: normalised frames of each [environment, trajectory, frame, channel, y, x], two frames or more.
        predictor: whose weights they are.
        parameters: how many an environment has.
    """
    started = time.monotonic()
    weights = []
    for frames in observed:
        scaled = infer_environment(method.weights_of, predictor, frames, parameters)
        with torch.no_grad():
            weights.append(method.weights_of(scaled[None]).clone())
    return MethodWeights(
        method=method.method,
        seed=method.seed,
        environments=environments,
        weights=torch.stack(weights),
        train_seconds=method.train_seconds,
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=method.parameters,
    )
