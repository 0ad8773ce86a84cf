"""The stage ``adapt_to_frames``: weights for unseen environments of which a few frames are all that is known.

A method is judged by what it makes of the frames: codes are inferred (:mod:`weightcast.environments.refinement`), and
so are the parameters that a conditioned method asks for, by the same search. CoDA (Kirchmeyer et al., ICML 2022) and
GEPS (Koupai et al., NeurIPS 2024) ask for the same: they show one trajectory of a new environment, not its parameters.
Arms that are told frames or a label take the frames as they are, without a search. Rivals see the same frames: experts
of visible environments retrieved or weighted, codes adapted without a prior, bases fine-tuned. What is chosen of them
is chosen on visible environments that are shown in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from weightcast.core.methods import (
    CODE_ADAPTATION,
    CONTEXT,
    ENSEMBLE,
    EQUATIONS,
    FINETUNE_LORA,
    IN_CONTEXT,
    OBSERVED,
    RETRIEVED,
    WEIGHTED_EXPERTS,
)
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.baselines.code_adaptation import adapt_codes
from weightcast.environments.baselines.in_context import in_context_weights
from weightcast.environments.baselines.observed_finetuning import finetune_windows, judge_budgets
from weightcast.environments.baselines.retrieval import choose_weighting, expert_misfits, expert_shares, weightiest
from weightcast.environments.conditions import Condition, Known
from weightcast.environments.context import Context
from weightcast.environments.dataset import Normalisation, TrajectoryFolder
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.generator import Generator
from weightcast.environments.infer_environment import infer_environments
from weightcast.environments.jobs import AdaptToFrames
from weightcast.environments.observe import observe
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import NOISE_ROUNDS, Windows
from weightcast.environments.stages.finetune_bases import rollout_rmse
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
    context: Context | None = None,
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
        context: the study's, if it has one.
        in_context: a larger network that sees frames, if the study has one.
        equations: whose codes are coefficients, if the study has them.
    """
    environments = settings.with_role("interpolation", "extrapolation")
    observed = _observed(run, settings, environments, trajectories)
    conditioned = [
        Conditioned.of_base(name + OBSERVED, base.to(run.device))
        for name, base in zip(settings.methods, bases, strict=True)
    ]
    methods, of_context = list[MethodWeights](), list[MethodWeights]()
    drawn = list[MethodWeights]()
    for generator, base in zip(generators, started_from, strict=True):
        name = f"generator-{generator.metadata['arm']}{OBSERVED}"
        generator.to(run.device)
        conditioned.append(Conditioned.of_generator(name, generator, base.to(run.device)))
        if generator.condition.shown_frames:
            drawn.append(generated_ensemble(conditioned[-1], generator, environments, observed, settings.members))
    if context is not None:
        context = context.to(run.device)
        inferring = partial(adapt_context, context, environments, observed, settings.members, settings.seed)
        of_context = kept_methods(run, "context", inferring)
    shared = context.base if context else finetuned[0]
    space = _frame_space(context, shared, trajectories, settings, run)
    predictor = shared.predictor.to(run.device)
    begun: dict[str, Begun] = {}
    for told in conditioned:
        if settings.case.frames > 1 or told.condition.shown_frames:  # a search needs a residual, of two frames
            searching = partial(_adapted, told, environments, observed, predictor, space, begun)
            methods += kept_methods(run, f"{told.method}.{told.seed}", searching)
    methods += drawn
    methods += of_context
    methods += _of_rivals(run, settings, context, space, observed, trajectories, zoo, finetuned)
    if in_context is not None:
        methods.append(adapt_in_context(in_context.to(run.device), environments, observed, space))
    if equations is not None:
        methods.append(adapt_equations(equations.to(run.device), environments, observed))
    for method in methods:
        print(f"{method.method}, seed {method.seed}: {method.adapt_seconds:.2g} s an environment", flush=True)
    return WeightsFile.of(methods, shared.shared | {"case": settings.case.model_dump()} | run.described())


def _adapted(
    told: Conditioned,
    environments: list[str],
    observed: Tensor,
    predictor: StackedPredictor,
    space: FrameSpace,
    begun: dict[str, Begun],
) -> list[MethodWeights]:
    """One method's; what a base finds serves all generators on it, which would take a hundred times as long."""
    base, first = told.base, None
    if base is not None:
        digest = str(base.metadata["digest"])
        if digest not in begun:
            started = time.monotonic()
            found = Conditioned.of_base("", base).search(observed, predictor, space)
            begun[digest] = Begun(found, time.monotonic() - started)
        first = begun[digest]
    return [adapt(told, environments, observed, predictor, space, first)]


def _of_rivals(
    run: Run,
    settings: AdaptToFrames,
    context: Context | None,
    space: FrameSpace,
    observed: Tensor,
    trajectories: TrajectoryFolder,
    zoo: Zoo,
    finetuned: list[BaseNetwork],
) -> list[MethodWeights]:
    """What a sceptic would make of the same frames."""
    environments = settings.with_role("interpolation", "extrapolation")
    choosing = settings.with_role("visible")
    rivals = Rivals(
        run=run,
        settings=settings,
        space=space,
        environments=environments,
        observed=observed,
        choosing=choosing,
        shown=_observed(run, settings, choosing, trajectories),
        held_out=run.place(trajectories.read_choosing(choosing, settings.data, settings.data.trained_frames)),
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
    if context is not None:
        return context.space
    visible = settings.with_role("visible")
    frames = trajectories.read(visible, settings.data, "train", settings.data.trained_frames)
    return FrameSpace.of(run.place(shared.normalisation.apply(frames)))


def _observed(run: Run, settings: AdaptToFrames, environments: list[str], trajectories: TrajectoryFolder) -> Tensor:
    """What the case shows of environments [environment, 1, frame, channel, y, x], physical units; NaN in gaps."""
    rows = [settings.table[environment] for environment in environments]
    whole = trajectories.read_roles(rows, settings.data, "train", settings.case.frames, trajectories=1)
    return run.place(observe(whole, settings.case, environments, settings.seed))


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


def adapt_equations(equations: Context, environments: list[str], observed: Tensor) -> MethodWeights:
    """Equations with the most probable coefficients of each environment.

    Args:
        equations: whose codes are coefficients.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x]; NaN in gaps.
    """
    base, started = equations.base, time.monotonic()
    weights = equations.weights(equations.infer(observed).best)[:, None]
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


@dataclass(frozen=True)
class Rivals:
    """Methods that see the same frames and need no conditioned network, or train one.

    Attributes:
        run: whose device everything is on.
        settings: of the stage.
        space: of frames, to fill gaps.
        environments: ids of unseen ones.
        observed: of them [environment, 1, frame, channel, y, x], physical units; NaN in gaps.
        choosing: ids of visible ones on which settings are chosen.
        shown: of these, likewise.
        held_out: what forecasts of these are compared with [environment, trajectory, frame, channel, y, x], physical
            units.
    """

    run: Run
    settings: AdaptToFrames
    space: FrameSpace
    environments: list[str]
    observed: Tensor
    choosing: list[str]
    shown: Tensor
    held_out: Tensor

    def windows(
        self, frames: Tensor, normalisation: Normalisation, unroll: int | None = None, most: int | None = None
    ) -> Windows | None:
        """Frames [environment, 1, frame, ...] in physical units as rollouts; None of a single one."""
        if frames.shape[2] < 2:
            return None
        frames = normalisation.apply(frames)
        return Windows.of(frames, self.space.complete(frames), unroll, frames.shape[2] if most is None else most)

    def experts(self, zoo: Zoo, base: BaseNetwork) -> list[MethodWeights]:
        """The best expert of each environment, if more than one frame tells, and an ensemble of weighted experts."""
        run, normalisation = self.run, Normalisation.from_metadata(zoo.metadata["normalisation"])
        healthy = zoo.healthy()
        experts, predictor = run.place(healthy.weights), base.predictor.to(run.device)
        started = time.monotonic()
        weighting = choose_weighting(
            experts,
            healthy.environments,
            predictor,
            self.windows(self.shown, normalisation),
            self.choosing,
            normalisation.apply(self.held_out[:, :1]),
            self.settings.members,
        )
        chosen = time.monotonic()
        print(f"{WEIGHTED_EXPERTS}: temper {weighting.temper:g}, chosen on {len(self.choosing)} visible", flush=True)
        windows = self.windows(self.observed, normalisation)
        if windows is None:
            misfits = experts.new_zeros(len(self.environments), len(experts))
            counts = misfits[:, 0]
        else:
            misfits, counts = expert_misfits(experts, predictor, windows), windows.counts
        members, shares = weightiest(expert_shares(misfits, counts, weighting.temper), self.settings.members)
        seconds = base.metadata["seconds"] + zoo.seconds
        common: dict[str, Any] = {
            "seed": 0,
            "environments": self.environments,
            "adapt_seconds": (time.monotonic() - chosen) / len(self.environments),
            "parameters": experts.numel(),
            "normalisation": normalisation,
        }
        methods = []
        if windows is not None:
            best = experts[misfits.argmin(1)][:, None].cpu()
            methods.append(MethodWeights(method=RETRIEVED, weights=best, train_seconds=seconds, **common))
        together = MethodWeights(
            method=WEIGHTED_EXPERTS,
            weights=experts[members].cpu(),
            train_seconds=seconds + chosen - started,
            shares=shares.cpu(),
            model_error=weighting.model_error,
            **common,
        )
        return [*methods, together]

    def code_adaptation(self, context: Context) -> MethodWeights:
        """The context base adapted without its prior."""
        base, refine = context.base, context.settings
        started = time.monotonic()
        windows = self.windows(self.observed, base.normalisation, refine.unroll, refine.windows)
        steps = NOISE_ROUNDS * refine.iterations  # as many as the search with a prior takes
        codes = adapt_codes(base.weight_map, base.predictor, context.codes, windows, len(self.environments), steps)
        return MethodWeights(
            method=CODE_ADAPTATION,
            seed=0,
            environments=self.environments,
            weights=context.weights(codes)[:, None].cpu(),
            train_seconds=base.metadata["seconds"],
            adapt_seconds=(time.monotonic() - started) / len(self.environments),
            parameters=base.learned,
            normalisation=base.normalisation,
        )

    def finetuned(self, name: str, base: BaseNetwork, rank: int | None = None) -> list[MethodWeights]:
        """A base fine-tuned on every pair of consecutive frames, with steps and rate chosen on visible environments;
        and, where there are several, for each number of steps, with the rate alone chosen.

        Args:
            name: of the method.
            base: pooled, or conditioned: then begun from the parameters that are inferred from the frames.
            rank: of what is added to each layer; None trains all weights.
        """
        predictor, budget = base.predictor, self.settings.finetune
        seen, spent = self._started(base, self.choosing, self.shown)
        start, inferring = self._started(base, self.environments, self.observed)
        shown, observed = (self.windows(frames, base.normalisation, unroll=1) for frames in (self.shown, self.observed))
        assert shown is not None and observed is not None
        held_out = base.normalisation.apply(self.held_out)
        budgets = judge_budgets(
            budget,
            lambda steps, rate: finetune_windows(
                self.run, seen, shown, predictor, steps, rate, f"{name} visible", rank
            ),
            lambda weights: rollout_rmse(weights, held_out, predictor),
        )
        best = min(budgets, key=lambda one: one.error)
        words = f"{best.steps} steps at {best.learning_rate:g}, chosen on {len(self.choosing)} visible environments"
        print(f"{name}: {words}", flush=True)
        before = base.metadata["seconds"] + spent
        methods = list[MethodWeights]()
        for one in budgets:
            weights, result = finetune_windows(
                self.run, start, observed, predictor, one.steps, one.learning_rate, f"{name} unseen", rank
            )
            of_steps = MethodWeights(
                method=f"{name}-{one.steps}",
                seed=0,
                environments=self.environments,
                weights=weights[:, None].cpu(),
                train_seconds=before + one.seconds,
                adapt_seconds=(result.seconds + inferring) / len(self.environments),
                parameters=base.learned,
                diverged=[id for id, lost in zip(self.environments, result.diverged.tolist(), strict=True) if lost],
                normalisation=base.normalisation,
            )
            if one is best:
                whole = before + sum(each.seconds for each in budgets)
                own = weights[:, None].cpu().clone()  # a tensor is written under one name
                methods.insert(0, replace(of_steps, method=name, train_seconds=whole, weights=own))
            if len(budgets) > 1:
                methods.append(of_steps)
        return methods

    def _started(self, base: BaseNetwork, environments: list[str], observed: Tensor) -> tuple[Tensor, float]:
        """Weights that a base begins with [environment, weight], and the seconds that finding them took."""
        if isinstance(base.weight_map, PooledWeights):
            return base.weight_map.weights.detach().expand(len(environments), -1), 0.0
        started = time.monotonic()
        conditioned = Conditioned.of_base("", base)
        adapted = adapt(conditioned, environments, observed, base.predictor, self.space)
        return self.run.place(adapted.weights[:, 0]), time.monotonic() - started


@dataclass(frozen=True)
class Begun:
    """Coordinates [environment, coordinate] that a base found, and the seconds that it took."""

    coordinates: Tensor
    seconds: float


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
        base: told the same, in which searches begin; None if there is none.
    """

    method: str
    seed: int
    weights_of: Callable[[Tensor], Tensor]
    condition: Condition
    normalisation: Normalisation
    train_seconds: float
    parameters: int
    base: BaseNetwork | None = None

    @classmethod
    def of_base(cls, method: str, base: BaseNetwork) -> Conditioned:
        """FiLM or a hypernetwork."""
        seconds = base.metadata["seconds"]
        return cls(method, 0, base.weight_map, base.condition, base.normalisation, seconds, base.learned)

    @classmethod
    def of_generator(cls, method: str, generator: Generator, base: BaseNetwork) -> Conditioned:
        """A generator, whose noise stays the same while coordinates are searched.

        Args:
            method: name in metrics.csv.
            generator: as loaded.
            base: that its zoo started from.
        """
        alike = generator.condition.describe() == base.condition.describe()
        alike = alike and not isinstance(base.weight_map, PooledWeights) and not generator.condition.shown_frames
        seed = int(generator.metadata["seed"])
        noise = generator.draw_noise(1, derive_seed(seed, "observed"))
        return cls(
            method,
            seed,
            lambda prepared: generator.weights(prepared, noise.expand(len(prepared), -1, -1)),
            generator.condition,
            generator.normalisation,
            base.metadata["seconds"] + generator.seconds,
            generator.learned,
            base if alike else None,
        )

    def search(
        self, observed: Tensor, predictor: StackedPredictor, space: FrameSpace | None, begun: Tensor | None = None
    ) -> Tensor:
        """Coordinates of the environments that frames in physical units come from [environment, coordinate]."""
        frames = self.normalisation.apply(observed)
        return infer_environments(self.weights_of, predictor, frames, self.condition.candidates(), space, begun)


@torch.no_grad()
def generated_ensemble(
    method: Conditioned, generator: Generator, environments: list[str], observed: Tensor, members: int
) -> MethodWeights:
    """What a generator that is told what was observed holds for possible: several predictors for each environment.

    Args:
        method: that the generator is.
        generator: whose condition sees frames, on its device.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x]; NaN in gaps.
        members: predictors for each.
    """
    started = time.monotonic()
    prepared = generator.condition.prepare([Known(frames=frames.cpu()) for frames in observed]).to(observed.device)
    weights = []
    for environment, row in zip(environments, prepared, strict=True):
        noise = generator.draw_noise(members, derive_seed(method.seed, "observed ensemble", environment))
        weights.append(generator.weights(row.expand(members, -1), noise).cpu())
    return MethodWeights(
        method=method.method + ENSEMBLE,
        seed=method.seed,
        environments=environments,
        weights=torch.stack(weights),
        train_seconds=method.train_seconds,
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=method.parameters,
        normalisation=method.normalisation,
    )


def adapt(
    method: Conditioned,
    environments: list[str],
    observed: Tensor,
    predictor: StackedPredictor,
    space: FrameSpace | None = None,
    begun: Begun | None = None,
) -> MethodWeights:
    """Weights of a method for environments of which some frames are all that is known.

    Args:
        method: which is not told the parameters.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x], two or more; NaN in
            gaps.
        predictor: whose weights they are.
        space: of frames, to fill gaps; None where there are none.
        begun: where its search begins; None: among the visible environments.
    """
    started = time.monotonic() - (begun.seconds if begun else 0.0)
    if method.condition.shown_frames:
        prepared = method.condition.prepare([Known(frames=frames.cpu()) for frames in observed]).to(observed.device)
    else:
        prepared = method.search(observed, predictor, space, begun.coordinates if begun else None)
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
