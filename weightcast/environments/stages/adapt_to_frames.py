"""The stage ``adapt_to_frames``: weights for unseen environments of which a few frames are all that is known.

A method is judged by what it makes of the frames: codes are inferred (:mod:`weightcast.environments.refinement`), and
so are the parameters that a conditioned method asks for, by the same search. CoDA (Kirchmeyer et al., ICML 2022) and
GEPS (Koupai et al., NeurIPS 2024) ask for the same: they show one trajectory of a new environment, not its parameters.
Arms that are told frames or a label take the frames as they are, and what they generate is refined on these. Rivals
(:mod:`weightcast.environments.baselines.rivals`) see the same frames.
"""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import Tensor

from weightcast.core.methods import CONTEXT, ENSEMBLE, EQUATIONS, FINETUNE_LORA, IN_CONTEXT, OBSERVED
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.baselines.in_context import in_context_weights
from weightcast.environments.baselines.inferred_regression import regressed_experts
from weightcast.environments.baselines.rivals import Rivals
from weightcast.environments.conditioned import Conditioned, Searches, adapt, generated_ensemble, refine_generated
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluated_frames import compared
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.generator import Generator
from weightcast.environments.jobs import AdaptToFrames
from weightcast.environments.observe import observe
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import PooledWeights
from weightcast.environments.weights_table import MethodWeights, WeightsFile, kept_methods
from weightcast.environments.zoo import Zoo


@stage("adapt_to_frames")
def adapt_to_frames(
    run: Run,
    settings: AdaptToFrames,
    bases: list[BaseNetwork],
    generators: list[Generator],
    finetuned: list[BaseNetwork],
    zoo: Zoo,
    trajectories: TrajectoryFolder,
    started_from: list[BaseNetwork],
    contexts: list[Context],
    in_context: BaseNetwork | None = None,
    equations: Context | None = None,
) -> WeightsFile:
    """Infer every unseen environment, method by method.

    Args:
        run: whose device is used.
        settings: data, the case, names of the bases' methods without their ending.
        bases: conditioned ones, in the order of ``settings.methods``.
        generators: one an arm and seed.
        finetuned: bases, in the order of ``settings.finetuned``.
        zoo: experts of the visible environments.
        trajectories: of the unseen environments, and of the visible ones that choose.
        started_from: the bases of the generators' zoos, in their order: their cost counts.
        contexts: the study's, one a seed, if it has any; what needs one takes the first.
        in_context: a larger network that sees frames, if the study has one.
        equations: whose codes are coefficients, if the study has them.
    """
    environments = settings.with_role("interpolation", "extrapolation")
    observed = _observed(run, settings, environments, trajectories)
    land = trajectories.land(environments, settings.data, device=run.device)
    conditioned = [
        Conditioned.of_base(name + OBSERVED, base.to(run.device))
        for name, base in zip(settings.methods, bases, strict=True)
    ]
    methods, of_context = list[MethodWeights](), list[MethodWeights]()
    drawn, spanned = list[MethodWeights](), list[tuple[Conditioned, Generator]]()
    for generator, base in zip(generators, started_from, strict=True):
        name = f"generator-{generator.metadata['arm']}{OBSERVED}"
        generator.to(run.device)
        conditioned.append(Conditioned.of_generator(name, generator, base.to(run.device)))
        if generator.condition.shown_frames:
            drawn.append(generated_ensemble(conditioned[-1], generator, environments, observed, settings.members))
            if generator.span is not None:
                spanned.append((conditioned[-1], generator))
    for each, seed in zip(contexts, settings.context_seeds, strict=True):
        draws = derive_seed(settings.seed, "ensemble", *([seed] if seed else []))
        inferring = partial(
            adapt_context, each.to(run.device), environments, observed, settings.members, draws, seed, land
        )
        of_context += kept_methods(run, f"context.{seed}" if seed else "context", inferring)
    context = contexts[0] if contexts else None
    shared = finetuned[0]  # of the study's predictor, which a context of equations has not
    space = _frame_space(context, shared, trajectories, settings, run)
    predictor = shared.predictor.to(run.device)
    searches = Searches(observed, space, land)
    if settings.regressed and settings.case.frames > 1:
        conditioned.append(regressed_experts(run, settings, zoo, finetuned[settings.experts_from]))
    for told in conditioned:
        if settings.case.frames > 1 or told.condition.shown_frames:  # a search needs a residual, of two frames
            searching = partial(_adapted, told, environments, predictor, searches)
            methods += kept_methods(run, f"{told.method}.{told.seed}", searching)
    for told, generator in spanned if settings.case.frames > 1 else []:
        refining = partial(_refined, told, generator, environments, predictor, searches)
        methods += kept_methods(run, f"{told.method}.{told.seed}.refined", refining)
    methods += drawn
    methods += of_context
    methods += _of_rivals(run, settings, context, searches, trajectories, zoo, finetuned)
    if in_context is not None:
        methods.append(adapt_in_context(in_context.to(run.device), environments, observed, space))
    if equations is not None:
        methods.append(adapt_equations(equations.to(run.device), environments, observed, land))
    for method in methods:
        print(f"{method.method}, seed {method.seed}: {method.adapt_seconds:.2g} s an environment", flush=True)
    return WeightsFile.of(methods, shared.shared | {"case": settings.case.model_dump()} | run.described())


def _adapted(
    told: Conditioned, environments: list[str], predictor: StackedPredictor, searches: Searches
) -> list[MethodWeights]:
    """One method's; a generator's search begins where its base's ended, and would else take a hundred times as long."""
    begun = None if told.base is None else searches.of(told.base)
    return [adapt(told, environments, searches.observed, predictor, searches.space, begun, searches.land)]


def _refined(
    told: Conditioned, generator: Generator, environments: list[str], predictor: StackedPredictor, searches: Searches
) -> list[MethodWeights]:
    seen = searches.observed, predictor, searches.space, searches.land
    return [refine_generated(told, generator, environments, *seen)]


def _of_rivals(
    run: Run,
    settings: AdaptToFrames,
    context: Context | None,
    searches: Searches,
    trajectories: TrajectoryFolder,
    zoo: Zoo,
    finetuned: list[BaseNetwork],
) -> list[MethodWeights]:
    """What a sceptic would make of the same frames."""
    choosing = settings.with_role("visible")
    land = trajectories.land(choosing, settings.data, device=run.device)
    held_out = trajectories.read_choosing(choosing, settings.data, settings.data.trained_frames, inputs=True)
    rivals = Rivals(
        run=run,
        settings=settings,
        environments=settings.with_role("interpolation", "extrapolation"),
        unseen=searches,
        choosing=choosing,
        visible=Searches(_observed(run, settings, choosing, trajectories), searches.space, land),
        held_out=compared(run.place(held_out), land),
    )
    methods = list(rivals.experts(zoo, finetuned[settings.experts_from]))
    if context is not None:
        methods.append(rivals.code_adaptation(context))
    if settings.case.frames > 1:
        for name, base in zip(settings.finetuned, finetuned, strict=True):
            base = base.to(run.device)
            methods += rivals.finetuned(name + OBSERVED, base)
            if isinstance(base.weight_map, PooledWeights):
                methods += rivals.finetuned(FINETUNE_LORA + OBSERVED, base, settings.finetune.lora_rank)
    return methods


def _frame_space(
    context: Context | None, shared: BaseNetwork, trajectories: TrajectoryFolder, settings: AdaptToFrames, run: Run
) -> FrameSpace:
    """How frames vary, to fill gaps: the context's, or else that of the visible environments that choose."""
    if context is not None and context.base.normalisation == shared.normalisation:
        return context.space
    visible = settings.with_role("visible")
    frames = trajectories.read(visible, settings.data, "train", settings.data.trained_frames, inputs=True)
    return FrameSpace.of(run.place(shared.normalisation.apply(frames)))


def _observed(run: Run, settings: AdaptToFrames, environments: list[str], trajectories: TrajectoryFolder) -> Tensor:
    """What the case shows of environments [environment, 1, frame, channel, y, x], physical units; NaN in gaps. Older
    frames and inputs stand behind the channels of the newest frame."""
    rows = [settings.table[environment] for environment in environments]
    data = settings.data
    count = data.with_history(settings.case.frames)
    whole = trajectories.read_roles(rows, data, "train", count, settings.case.trajectories, inputs=True)
    inputs, transforms = data.layout.shown, data.channel_transforms
    return run.place(observe(whole, settings.case, environments, settings.seed, inputs, transforms, data.history))


def adapt_context(
    context: Context,
    environments: list[str],
    observed: Tensor,
    members: int,
    draws: int,
    seed: int = 0,
    land: Tensor | None = None,
) -> list[MethodWeights]:
    """The most probable predictor of each environment, and an ensemble of predictors.

    Args:
        context: trained.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x]; NaN in gaps.
        members: of the ensemble.
        draws: seed of its draws.
        seed: the context's own.
        land: where channels of each never have a value, bool [environment, 1, 1, channel, y, x]; None: nowhere.
    """
    started = time.monotonic()
    posterior = context.infer(observed, land)
    best = context.weights(posterior.best)[:, None]
    seconds = (time.monotonic() - started) / len(environments)
    ensemble = context.sample(posterior, members, draws)
    together = (time.monotonic() - started) / len(environments)
    base = context.base
    # Visible environments have learned codes: what they forecast is the error in the domain.
    known = context.weights(context.codes)[:, None]
    common = {
        "seed": seed,
        "train_seconds": base.metadata["seconds"],
        "parameters": base.learned,
        "normalisation": base.normalisation,
        "architecture": base.metadata["architecture"],
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


def adapt_in_context(
    trained: BaseNetwork, environments: list[str], observed: Tensor, space: FrameSpace
) -> MethodWeights:
    """The network in context: nothing is fitted, frames are handed over.

    Args:
        trained: the network.
        environments: ids.
        observed: frames of each, physical units [environment, 1, frame, channel, y, x]; NaN in gaps.
        space: of frames, to fill gaps.
    """
    started = time.monotonic()
    architecture, weights = in_context_weights(trained, trained.normalisation.apply(observed[:, 0]), space)
    return MethodWeights(
        method=IN_CONTEXT,
        seed=0,
        environments=environments,
        weights=weights[:, None].cpu(),
        train_seconds=trained.metadata["seconds"],
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=trained.learned,
        normalisation=trained.normalisation,
        architecture=architecture,
    )


def adapt_equations(
    equations: Context, environments: list[str], observed: Tensor, land: Tensor | None = None
) -> MethodWeights:
    """Equations with the most probable coefficients of each environment.

    Args:
        equations: whose codes are coefficients.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x]; NaN in gaps.
        land: where channels of each never have a value, bool [environment, 1, 1, channel, y, x]; None: nowhere.
    """
    base, started = equations.base, time.monotonic()
    weights = equations.weights(equations.infer(observed, land).best)[:, None]
    return MethodWeights(
        method=EQUATIONS,
        seed=0,
        environments=environments,
        weights=weights.cpu(),
        train_seconds=base.metadata["seconds"],
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=equations.codes.numel(),
        normalisation=base.normalisation,
        architecture=base.metadata["architecture"],
    )
