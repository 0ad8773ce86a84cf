"""The stage ``train_context``: codes of all visible environments together with a map from codes to weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightcast.core.methods import EQUATIONS
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.sizes import kept_in_step, step_numbers
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.baselines.sparse_equations import Chosen
from weightcast.environments.calibration import calibrate
from weightcast.environments.code_priors import CodePrior, fit_prior
from weightcast.environments.code_training import Candidate, TrainedCodes, train_codes
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.code_prior import CodePriorName
from weightcast.environments.config.equations import EquationsSettings
from weightcast.environments.context import PRIOR_WIDENED, Calibration, Context, describe_context, infer
from weightcast.environments.dataset import (
    TrainingFrames,
    TrajectoryFolder,
    any_trajectory,
    without_first,
)
from weightcast.environments.equation_search import EquationSearch
from weightcast.environments.evaluated_frames import compared
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.jobs import TrainContext
from weightcast.environments.left_out import LeftOut, left_out_environments, number_of_judges
from weightcast.environments.map_choice import AS_GOOD, WORST, mean_logarithm
from weightcast.environments.map_errors import forecast_errors, own_errors, trained_residuals
from weightcast.environments.polish import Tried
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.second_order_training import SecondOrderTraining
from weightcast.environments.stages.train_base import record_environments
from weightcast.environments.weight_maps import LinearWeights
from weightcast.environments.witnesses import with_witnesses

DOUBTED = 0.05
"""Difference of mean log errors that is no reason to doubt more."""


@stage("train_context")
def train_context(run: Run, settings: TrainContext, trajectories: TrajectoryFolder) -> Context:
    """Choose a map and a size of codes on left-out visible environments, calibrate there, and train on all."""
    record_environments(run, settings.ids)
    started = time.monotonic()
    training = _Training(run, settings, trajectories)
    candidates = [
        Candidate(kind, dimensions) for kind in settings.context.maps for dimensions in settings.context.dimensions
    ]
    folds, every = training.split(candidates[0]), range(len(settings.ids))
    choice, tried = {}, {}
    for candidate in candidates:
        name = f"choice {candidate.name}"
        tried[candidate] = [
            training.try_out(candidate, f"{name}, fold {number}" if number else name, fold.others(len(every)))
            for number, fold in enumerate(folds)
        ]
        choice[candidate.name] = training.judge(tried[candidate], folds)
    least = min(judged["score"] for judged in choice.values())
    chosen = next(candidate for candidate in candidates if choice[candidate.name]["score"] <= least + AS_GOOD)
    described: dict[str, Any] = {
        "candidates": choice,
        "edge": [settings.ids[one] for fold in folds for one in fold.edge],
    }
    if settings.context.equations is not None:
        found = training.equations(settings.context.equations, folds)
        choice[EQUATIONS] = found.judged
        if found.judged["score"] < least - AS_GOOD:
            equations = found.context(described, time.monotonic() - started)
            return with_witnesses(equations, found.search.judged(list(every)))
    judge = tried[chosen][0]
    second_order = training.second_order(judge)
    if second_order:
        described["polish"] = training.choose_penalty(second_order, tried[chosen], folds)
    doubt = training.choose_doubt(judge, folds[0].judges)
    if len(settings.context.choice.doubts) > 1:
        described["doubt"] = doubt
    prior, calibration = training.choose_prior(judge, folds[0].judges)
    described["prior"] = prior
    if second_order:
        trained = training.train_codes(chosen, f"context {chosen.name}", every, short=True)
        frames = training.held(second_order, every, second_order.settings.most_residuals)
        penalty = described["polish"]["penalty"]
        second_order.begin(trained, frames, penalty)
        described["polish"]["iterations"] = second_order.finish(trained, frames, penalty)
    else:
        trained = training.train_codes(chosen, f"context {chosen.name}", every)
    calibration = calibration.of_better_map(
        training.residual(trained), training.own_error(trained) / training.own_error(judge)
    )
    further = training.prior(trained, prior, "prior")
    base = training.base(trained, chosen, calibration, further, described, time.monotonic() - started)
    return with_witnesses(Context.of(base), training.kept_back(list(every)))


class _Training:
    """What all trainings of the stage share: data, predictor, seed."""

    def __init__(self, run: Run, settings: TrainContext, trajectories: TrajectoryFolder) -> None:
        self.run, self.settings, self.trajectories = run, settings, trajectories
        data, ids = settings.data, settings.ids
        self.normalisation, self.frames, self.held_out, self.digest = TrainingFrames.read(run, trajectories, ids, data)
        self.land = trajectories.land(ids, data, device=run.device)
        self.space = FrameSpace.of(self.frames)
        self.first = self._first_frames()
        self.doubt = 1.0
        further = [settings.context_seed] if settings.context_seed else []
        self.seed = derive_seed(settings.seed, "base", "context", *further)
        self.architecture = describe_architecture(settings.predictor, len(data.channels), data.layout, data.history)
        self.module = build_predictor(self.architecture, self.seed)
        plain = StackedPredictor(self.module)
        self.graph, self.initial = plain.graph, plain.graph.read(self.module)
        self.predictor = plain.on(run)

    @property
    def has_validation(self) -> bool:
        return any_trajectory(self.held_out)

    def second_order(self, trained: TrainedCodes) -> SecondOrderTraining | None:
        """The second-order training of a map, where it is linear and the settings have one."""
        polish = self.settings.context.polish
        linear = isinstance(trained.weight_map, LinearWeights)
        return SecondOrderTraining(self.run, self.predictor, polish) if polish is not None and linear else None

    def try_out(self, candidate: Candidate, name: str, environments: Sequence[int]) -> TrainedCodes:
        """A short training on some environments, by position."""
        trained = self.train_codes(candidate, name, environments, short=True)
        if second_order := self.second_order(trained):
            second_order.begin(trained, self.held(second_order, environments, second_order.settings.choosing_residuals))
        return trained

    def train_codes(
        self, candidate: Candidate, name: str, environments: Sequence[int], short: bool = False
    ) -> TrainedCodes:
        """A first-order training on some environments, by position."""
        context = self.settings.context
        training = context.training
        if short:
            training = training.model_copy(update={"steps": min(context.choice.steps, training.steps)})
        kept = kept_in_step(self.architecture, self.settings.data.grid)
        longest = max(training.unroll, training.last_unroll or 0)
        return train_codes(
            self.run,
            candidate,
            context,
            training,
            self.initial,
            self.graph,
            self.predictor,
            self.frames,
            self.held_out if self.has_validation else None,
            environments,
            self.seed,
            name,
            self.settings.data.start_share,
            at_once=self.run.together(step_numbers(kept, self.graph.num_parameters, training.batch, longest)),
        )

    def split(self, first: Candidate) -> list[LeftOut]:
        """Environments that judge what was trained on the others: at the edge, by codes of a first training on all, and
        inside."""
        choice, draws = self.settings.context.choice, self.run.draws(self.seed, "left out")
        codes = self.try_out(first, "choice", range(len(self.settings.ids))).codes
        return left_out_environments(codes, number_of_judges(choice.left_out, len(codes)), draws, choice.folds)

    def judge(self, trained: Sequence[TrainedCodes], folds: Sequence[LeftOut]) -> dict[str, float]:
        """Errors of forecasts for left-out environments, whose code was inferred from a few frames; medians, and the
        mean logarithm, which decides."""
        return scored([self.errors(one, fold.judges) for one, fold in zip(trained, folds, strict=True)], folds)

    def errors(self, trained: TrainedCodes, rows: list[int]) -> Tensor:
        """Of forecasts for environments that were not trained on, by the most probable code [environment]."""
        calibration = Calibration(1.0, self.residual(trained), [], 0.0)
        refine, shown = self.settings.context.refine, self.shown(rows)
        sizes = (*shown.shape, *trained.codes.shape)
        with self.run.iterations(refine.iterations, f"judge {type(trained.weight_map).__name__}", sizes) as count:
            if not count:  # a rehearsal has judged one like it
                return torch.ones(len(rows))
            refine = refine.model_copy(update={"iterations": count})
            known = shown, self.space, refine, calibration
            posterior = infer(trained.weight_map, self.predictor, trained.codes, *known, land=self.land_of(rows))
        return forecast_errors(trained.weight_map(posterior.best), self.predictor, self.judged(rows))

    def equations(self, settings: EquationsSettings, folds: Sequence[LeftOut]) -> FoundEquations:
        """Sparse equations, and what the environments say of them that judge maps."""
        told, every = self.settings, len(self.settings.ids)
        search = EquationSearch(self.run, self.trajectories, told.ids, told.data, settings)
        chosen, known, errors = search.best([(fold.others(every), fold.judges) for fold in folds])
        return FoundEquations(self, search, chosen, known, scored(errors, folds), folds[0])

    def prior(self, trained: TrainedCodes, kind: CodePriorName, name: str) -> CodePrior:
        """What codes are like, by those of a map."""
        settings, seed = self.settings.context.code_diffusion, derive_seed(self.seed, "prior")
        return fit_prior(self.run, kind, trained.codes, PRIOR_WIDENED, settings, seed, f"{name} {kind}")

    def choose_prior(self, judge: TrainedCodes, rows: list[int]) -> tuple[CodePriorName, Calibration]:
        """The kind of prior whose forecasts are best for environments that a map has not seen, and its calibration."""
        wanted = self.settings.context.prior
        kinds: tuple[CodePriorName, ...] = ("gaussian", "mixture", "diffusion") if wanted == "auto" else (wanted,)
        found = {kind: self.calibrated(judge, rows, self.prior(judge, kind, "judge's prior")) for kind in kinds}
        for kind, calibration in found.items():
            print(f"prior: {kind}, temper {calibration.temper:g}, mean log CRPS {calibration.crps:.4g}", flush=True)
        best = min(kinds, key=lambda kind: found[kind].crps or 0.0)
        return best, found[best]

    def calibrated(self, trained: TrainedCodes, rows: list[int], prior: CodePrior) -> Calibration:
        """Temper and model error of a map that has not seen these environments."""
        refine, shown = self.settings.context.refine, self.shown(rows)
        with self.run.iterations(len(refine.tempers), "calibration", (*shown.shape, *trained.codes.shape)) as count:
            tempers = refine.tempers[: max(count, 1)]
            return calibrate(
                trained.weight_map,
                self.predictor,
                trained.codes,
                shown,
                self.judged(rows),
                self.space,
                refine.model_copy(update={"tempers": tempers}),
                self.residual(trained),
                derive_seed(self.seed, "calibration"),
                prior,
                land=self.land_of(rows),
            )

    def shown(self, rows: list[int]) -> Tensor:
        """The first frames of the first training trajectory."""
        return self.first[rows]

    def _first_frames(self) -> Tensor:
        """What is shown of every environment, which may be more than is trained: [environment, 1, frame, ...]."""
        told = self.settings
        count = told.data.with_history(told.context.choice.frames)
        if count <= self.frames.shape[2]:
            return self.frames[:, :1, :count]
        whole = self.trajectories.read(told.ids, told.data, "train", min(count, told.data.frames), inputs=True)
        return self.run.place(self.normalisation.apply(whole[:, :1]))

    def judged(self, rows: list[int]) -> Tensor:
        """Trajectories that forecasts are compared with: validation's, or all further ones of the training; NaN where
        nothing can be compared."""
        return compared(self.kept_back(rows), self.land_of(rows))

    def kept_back(self, rows: list[int]) -> Tensor:
        """The same trajectories as predictors are shown them, with what stands on land."""
        return self.held_out[rows] if self.has_validation else without_first(self.frames[rows])

    def land_of(self, rows: Sequence[int]) -> Tensor | None:
        """Where channels of some environments never have a value, bool [environment, 1, 1, channel, y, x]; None:
        nowhere."""
        return None if self.land is None else self.land[list(rows)]

    def residual(self, trained: TrainedCodes) -> list[float]:
        """What the map leaves of frames of the environments that it was trained on."""
        context = self.settings.context
        shown = self.shown(trained.rows), context.refine, self.space, self.land_of(trained.rows)
        left = trained_residuals(trained.weight_map, trained.codes, self.predictor, *shown)
        return [self.doubt * one for one in left]

    def choose_doubt(self, trained: TrainedCodes, rows: list[int]) -> float:
        """How many times as large residuals are to be expected of frames of an environment that was not trained on: the
        least that serves forecasts for those that judge (`ChoiceSettings.doubts`)."""
        doubts, scores = sorted(self.settings.context.choice.doubts), {}
        if len(doubts) == 1:
            self.doubt = doubts[0]
            return self.doubt
        for doubt in doubts:
            self.doubt = doubt
            scores[doubt] = mean_logarithm(self.errors(trained, rows))
            print(f"residuals times {doubt:g}: mean log error {scores[doubt]:.4g}", flush=True)
        least = min(scores.values())
        self.doubt = next(doubt for doubt, score in scores.items() if score <= least + DOUBTED)
        return self.doubt

    def own_error(self, trained: TrainedCodes) -> Tensor:
        """Of forecasts for the environments that were trained on, by their own codes; the median environment's root
        mean square, step by step of the trained horizon [step, channel]."""
        with torch.no_grad():
            weights = trained.weight_map(trained.codes)
        return own_errors(weights, self.predictor, self.judged(trained.rows))

    def choose_penalty(
        self, second_order: SecondOrderTraining, trained: Sequence[TrainedCodes], folds: Sequence[LeftOut]
    ) -> dict[str, Any]:
        """The penalty of a second-order training that serves left-out environments best, the greatest of those that are
        as good; the trainings that judged it end where that penalty led."""
        tried = [self.try_penalties(second_order, one, fold.judges) for one, fold in zip(trained, folds, strict=True)]
        errors = [
            float(np.sqrt(np.mean([np.square(one.error) for one in of_penalty])))
            for of_penalty in zip(*tried, strict=True)
        ]
        best = next(place for place, error in enumerate(errors) if error <= (1.0 + AS_GOOD) * min(errors))
        for one, of_fold in zip(trained, tried, strict=True):
            second_order.take(one, of_fold[best].context)
        return {"penalty": tried[0][best].penalty, "errors": errors}

    def try_penalties(self, second_order: SecondOrderTraining, trained: TrainedCodes, judges: list[int]) -> list[Tried]:
        """Each penalty's error for the environments that judge, and on held-out trajectories of the others."""
        held_out = self.held_out[trained.rows]
        frames = self.held(second_order, trained.rows, second_order.settings.choosing_residuals)
        if not self.has_validation:
            own = self.frames[trained.rows]
            frames = frames[:, : max(1, own.shape[1] // 2)]
            held_out = own[:, frames.shape[1] :]

        def judge() -> float:
            errors = self.errors(trained, judges)
            if held_out.shape[1]:
                true = compared(held_out, self.land_of(trained.rows))
                known = forecast_errors(trained.weight_map(trained.codes), self.predictor, true)
                errors = torch.cat([errors, known])
            return float(errors.clamp(max=WORST).square().mean().sqrt())

        return second_order.try_penalties(trained, frames, judge)

    def held(self, second_order: SecondOrderTraining, rows: Sequence[int], most_residuals: int) -> Tensor:
        """Training frames of some environments, of as many trajectories as second-order training can hold."""
        return second_order.held(self.frames[list(rows)], most_residuals)

    def base(
        self,
        trained: TrainedCodes,
        chosen: Candidate,
        calibration: Calibration,
        prior: CodePrior,
        choice: dict[str, Any],
        seconds: float,
    ) -> BaseNetwork:
        """The artifact."""
        settings, condition = self.settings, trained.weight_map.condition
        assert isinstance(condition, CodeCondition)
        condition.environments = settings.ids
        metadata = {
            "weight_map": describe_weight_map(chosen.settings(settings.context), condition),
            "architecture": self.architecture,
            "normalisation": self.normalisation.metadata(),
            "condition": condition.describe(),
            "environments": settings.ids,
            "seed": self.seed,
            "settings": settings.model_dump(mode="json", exclude={"environments"}),
            "data_digest": self.digest,
            "seconds": seconds,
            "metrics": {"last_loss": trained.fit.last_loss},
            "context": describe_context(settings.context, calibration, chosen, choice),
        }
        metadata |= self.run.described()
        further = self.space.tensors() | prior.tensors()
        return BaseNetwork(trained.weight_map, self.predictor, self.normalisation, metadata, further)


def scored(errors: Sequence[Tensor], folds: Sequence[LeftOut]) -> dict[str, float]:
    """Medians of the errors of those that judged, at the edge and inside, and the mean logarithm, which decides.

    Args:
        errors: of each fold [judge], those at the edge first.
        folds: what was left out.
    """
    edge = torch.cat([of_fold[: len(fold.edge)] for of_fold, fold in zip(errors, folds, strict=True)])
    inside = torch.cat([of_fold[len(fold.edge) :] for of_fold, fold in zip(errors, folds, strict=True)])
    return {
        "edge": float(edge.median()),
        "inside": float(inside.median()) if len(inside) else float("nan"),
        "score": mean_logarithm(torch.cat(list(errors))),
    }


@dataclass(frozen=True)
class FoundEquations:
    """Equations that may stand in the place of a map.

    Attributes:
        training: whose stage it is.
        search: with the visible environments' data.
        chosen: which terms.
        known: coefficients to begin with; see :meth:`EquationSearch.context`.
        judged: as maps are.
        fold: whose judges calibrate.
    """

    training: _Training
    search: EquationSearch
    chosen: Chosen
    known: Tensor | None
    judged: dict[str, float]
    fold: LeftOut

    def context(self, described: dict[str, Any], seconds_before: float) -> Context:
        """Their coefficients in all visible environments, calibrated on those that judged."""
        started, told = time.monotonic(), self.training.settings
        every = range(len(told.ids))
        others = self.fold.others(len(every))
        without = self.search.context(self.chosen, others, self.known)
        refine = self.search.refine.model_copy(update={"tempers": told.context.refine.tempers})
        seed = derive_seed(self.training.seed, "calibration")
        calibration = self.search.calibrated(without, self.fold.judges, refine, seed)
        found = self.search.context(self.chosen, every, self.known)
        share = self.search.own_error(found, every) / self.search.own_error(without, others)
        calibration = calibration.of_better_map(found.calibration.least_noise, share)
        chosen = Candidate("sparse-equations", found.codes.shape[1])
        settings = told.context.model_copy(update={"refine": refine})
        described |= {"prior": "gaussian", "equations": self.search.described(self.chosen, found)}
        metadata = dict(found.base.metadata) | {
            "seed": self.training.seed,
            "settings": told.model_dump(mode="json", exclude={"environments"}),
            "seconds": seconds_before + time.monotonic() - started,
            "context": describe_context(settings, calibration, chosen, described),
        }
        return Context.of(replace(found.base, metadata=metadata))
