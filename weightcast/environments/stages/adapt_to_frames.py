"""The stage ``adapt_to_frames``: weights for unseen environments of which a few frames are all that is known.

A method is judged by what it makes of the frames: codes are inferred (:mod:`weightcast.environments.refinement`), and
so are the parameters that a conditioned method asks for, by the same search. CoDA (Kirchmeyer et al., ICML 2022) and
GEPS (Koupai et al., NeurIPS 2024) ask for the same: they show one trajectory of a new environment, not its parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.methods import CONTEXT, ENSEMBLE, OBSERVED
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import Condition, Known
from weightcast.environments.context import Context
from weightcast.environments.dataset import Normalisation, TrajectoryFolder
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.generator import Generator
from weightcast.environments.infer_environment import infer_environments
from weightcast.environments.jobs import AdaptToFrames
from weightcast.environments.observe import observe
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights, WeightsFile


@stage("adapt_to_frames")
def adapt_to_frames(
    run: Run,
    settings: AdaptToFrames,
    bases: list[BaseNetwork],
    generators: list[Generator],
    trajectories: TrajectoryFolder,
    started_from: BaseNetwork | None = None,
    context: Context | None = None,
) -> WeightsFile:
    """Infer every unseen environment, method by method.

    Args:
        run: whose device is used.
        settings: data, the case, names of the bases' methods without their ending.
        bases: conditioned ones, in the order of ``settings.methods``.
        generators: one an arm and seed.
        trajectories: of the unseen environments.
        started_from: the base of the generators' zoos: its cost counts.
        context: the study's, if it has one.
    """
    frames = trajectories.read_roles(
        settings.environments, settings.data, "train", settings.case.frames, trajectories=1
    )
    observed = run.place(observe(frames, settings.case, settings.ids, settings.seed))
    conditioned = [
        Conditioned.of_base(name + OBSERVED, base.to(run.device))
        for name, base in zip(settings.methods, bases, strict=True)
    ]
    for generator in generators:
        name = f"generator-{generator.metadata['arm']}{OBSERVED}"
        generator.to(run.device)
        assert started_from is not None  # the rule names the base of the generators that it names
        conditioned.append(Conditioned.of_generator(name, generator, started_from.metadata["seconds"]))
    methods, of_context = list[MethodWeights](), list[MethodWeights]()
    if context is not None:
        context = context.to(run.device)
        of_context = adapt_context(context, settings.ids, observed, settings.members, settings.seed)
    known = [*([context.base] if context else []), *([started_from] if started_from else []), *bases]
    shared = known[0]
    space = _frame_space(context, run.place(shared.normalisation.apply(frames)))
    predictor = shared.predictor.to(run.device)
    methods += [
        adapt(method, settings.ids, observed, predictor, space)
        for method in conditioned
        if settings.case.frames > 1 or method.condition.shown_frames  # a search needs a residual, of two frames
    ]
    methods += of_context
    for method in methods:
        print(f"{method.method}, seed {method.seed}: {method.adapt_seconds:.2g} s an environment", flush=True)
    return WeightsFile.of(methods, shared.shared | {"case": settings.case.model_dump()} | run.described())


def _frame_space(context: Context | None, frames: Tensor) -> FrameSpace:
    """How frames vary, to fill gaps: the context's, or else that of the observed environments themselves."""
    return FrameSpace.of(frames) if context is None else context.space


def adapt_context(
    context: Context, environments: list[str], observed: Tensor, members: int, seed: int
) -> list[MethodWeights]:
    """The most probable predictor of each environment, and an ensemble of predictors.

    Args:
        context: trained.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x]; NaN in gaps.
        members: of the ensemble.
        seed: of its draws.
    """
    started = time.monotonic()
    posterior = context.infer(observed)
    best = context.weights(posterior.best)[:, None]
    seconds = (time.monotonic() - started) / len(environments)
    ensemble = context.sample(posterior, members, derive_seed(seed, "ensemble"))
    together = (time.monotonic() - started) / len(environments)
    base = context.base
    # Visible environments have learned codes: what they forecast is the error in the domain.
    known = context.weights(context.codes)[:, None]
    common = {
        "seed": 0,
        "train_seconds": base.metadata["seconds"],
        "parameters": base.learned,
        "normalisation": base.normalisation,
    }
    return [
        MethodWeights(
            method=CONTEXT,
            environments=[*context.environments, *environments],
            weights=torch.cat([known, best]).cpu(),
            adapt_seconds=seconds,
            **common,
        ),
        MethodWeights(
            method=CONTEXT + ENSEMBLE,
            environments=environments,
            weights=ensemble.cpu(),
            adapt_seconds=together,
            model_error=context.calibration.model_error,
            **common,
        ),
    ]


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


def adapt(
    method: Conditioned,
    environments: list[str],
    observed: Tensor,
    predictor: StackedPredictor,
    space: FrameSpace | None = None,
) -> MethodWeights:
    """Weights of a method for environments of which some frames are all that is known.

    Args:
        method: which is not told the parameters.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x], two or more; NaN in
            gaps.
        predictor: whose weights they are.
        space: of frames, to fill gaps; None where there are none.
    """
    started = time.monotonic()
    if method.condition.shown_frames:
        prepared = method.condition.prepare([Known(frames=frames.cpu()) for frames in observed]).to(observed.device)
    else:
        frames = method.normalisation.apply(observed)
        prepared = infer_environments(method.weights_of, predictor, frames, method.condition.candidates(), space)
    with torch.no_grad():
        weights = method.weights_of(prepared).clone()[:, None]
    return MethodWeights(
        method=method.method,
        seed=method.seed,
        environments=environments,
        weights=weights.cpu(),
        train_seconds=method.train_seconds,
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=method.parameters,
        normalisation=method.normalisation,
    )
