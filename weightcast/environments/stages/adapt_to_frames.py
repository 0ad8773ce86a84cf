"""The stage ``adapt_to_frames``: weights for unseen environments of which a few frames are all that is known.

What the condition asks for is inferred (:mod:`weightcast.environments.infer_environment`), and what a method makes of
it is what it is judged by. CoDA (Kirchmeyer et al., ICML 2022) and GEPS (Koupai et al., NeurIPS 2024) ask for the same:
they show one trajectory of a new environment, not its parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.methods import OBSERVED
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import Condition, Known
from weightcast.environments.dataset import Normalisation, TrajectoryFolder
from weightcast.environments.generator import Generator
from weightcast.environments.infer_environment import infer_environment
from weightcast.environments.jobs import AdaptToFrames
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights, WeightsFile


@stage("adapt_to_frames")
def adapt_to_frames(
    run: Run,
    settings: AdaptToFrames,
    bases: list[BaseNetwork],
    generators: list[Generator],
    started_from: BaseNetwork,
    trajectories: TrajectoryFolder,
) -> WeightsFile:
    """Infer every unseen environment, method by method.

    Args:
        run: whose device is used.
        settings: data, how many frames, names of the bases' methods without their ending.
        bases: conditioned ones, in the order of ``settings.methods``.
        generators: one an arm and seed.
        started_from: the base of the generators' zoos: its cost counts.
        trajectories: of the unseen environments.
    """
    observed = run.place(trajectories.read(settings.ids, settings.data, "train", settings.frames)[:, :1])
    conditioned = [
        Conditioned.of_base(name + OBSERVED, base.to(run.device))
        for name, base in zip(settings.methods, bases, strict=True)
    ]
    for generator in generators:
        name = f"generator-{generator.metadata['arm']}{OBSERVED}"
        generator.to(run.device)
        conditioned.append(Conditioned.of_generator(name, generator, started_from.metadata["seconds"]))
    predictor, methods = started_from.predictor.to(run.device), []
    for method in conditioned:
        methods.append(adapt(method, settings.ids, observed, predictor))
        print(f"{method.method}, seed {method.seed}: {methods[-1].adapt_seconds:.2g} s an environment", flush=True)
    return WeightsFile.of(methods, started_from.shared | run.described())


@dataclass(frozen=True)
class Conditioned:
    """A trained map from a condition to weights, whatever it is made of.

    Attributes:
        method: name in metrics.csv of the method that is told the frames.
        seed: of its training.
        weights_of: coordinates [candidate, coordinate] -> weights [candidate, weight]; differentiable.
        condition: whose coordinates they are.
        normalisation: of the frames that its predictors see.
        train_seconds: spent before any new environment is seen.
        parameters: numbers that were learned and must be kept.
    """

    method: str
    seed: int
    weights_of: Callable[[Tensor], Tensor]
    condition: Condition
    normalisation: Normalisation
    train_seconds: float
    parameters: int

    @classmethod
    def of_base(cls, method: str, base: BaseNetwork) -> Conditioned:
        """FiLM or a hypernetwork."""
        seconds = base.metadata["seconds"]
        return cls(method, 0, base.weight_map, base.condition, base.normalisation, seconds, base.learned)

    @classmethod
    def of_generator(cls, method: str, generator: Generator, base_seconds: float) -> Conditioned:
        """A generator, whose noise stays the same while coordinates are searched.

        Args:
            method: name in metrics.csv.
            generator: as loaded.
            base_seconds: of the base that its zoo started from.
        """
        seed = int(generator.metadata["seed"])
        noise = generator.draw_noise(1, derive_seed(seed, "observed"))
        return cls(
            method,
            seed,
            lambda prepared: generator.weights(prepared, noise.expand(len(prepared), -1, -1)),
            generator.condition,
            generator.normalisation,
            base_seconds + generator.seconds,
            generator.learned,
        )


def adapt(method: Conditioned, environments: list[str], observed: Tensor, predictor: StackedPredictor) -> MethodWeights:
    """Weights of a method for environments of which some frames are all that is known.

    Args:
        method: which is not told the parameters.
        environments: ids.
        observed: frames of each, in physical units [environment, trajectory, frame, channel, y, x], two or more.
        predictor: whose weights they are.
    """
    started = time.monotonic()
    weights = []
    candidates = None if method.condition.shown_frames else method.condition.candidates()
    for frames in observed:
        if candidates is None:
            prepared = method.condition.prepare([Known(frames=frames.cpu())])[0].to(frames.device)
        else:
            frames = method.normalisation.apply(frames)
            prepared = infer_environment(method.weights_of, predictor, frames, candidates)
        with torch.no_grad():
            weights.append(method.weights_of(prepared[None]).clone())
    return MethodWeights(
        method=method.method,
        seed=method.seed,
        environments=environments,
        weights=torch.stack(weights).cpu(),
        train_seconds=method.train_seconds,
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=method.parameters,
        normalisation=method.normalisation,
    )
