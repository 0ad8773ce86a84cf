"""The stage ``train_context``: codes of all visible environments together with a map from codes to weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.calibration import calibrate
from weightcast.environments.code_priors import fit_prior
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.code_prior import CodePriorName
from weightcast.environments.config.context import PolishSettings
from weightcast.environments.context import (
    PRIOR_WIDENED,
    Calibration,
    Candidate,
    Context,
    TrainedCodes,
    describe_context,
    forecast_errors,
    infer,
    left_out_environments,
    train_codes,
    trained_residuals,
)
from weightcast.environments.dataset import (
    TrainingFrames,
    TrajectoryFolder,
    any_trajectory,
    tensor_digest,
)
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.jobs import TrainContext
from weightcast.environments.polish import LinearContext, Polish, choose_penalty
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import CodePrior
from weightcast.environments.rollout_jacobian import rollout, rollout_jacobian
from weightcast.environments.stages.train_base import record_environments
from weightcast.environments.weight_maps import LinearWeights

AS_GOOD = 0.05
"""Difference of mean log errors that a few left-out environments do not decide: the first candidate is then taken."""


@stage("train_context")
def train_context(run: Run, settings: TrainContext, trajectories: TrajectoryFolder) -> Context:
    """Choose a map and a size of codes on left-out visible environments, calibrate there, and train on all."""
    record_environments(run, settings.ids)
    started = time.monotonic()
    training = _Training(run, settings, trajectories)
    candidates = [
        Candidate(kind, dimensions) for kind in settings.context.maps for dimensions in settings.context.dimensions
    ]
    inner, edge, inside = training.split(candidates[0])
    choice, tried = {}, {}
    for candidate in candidates:
        tried[candidate] = training.train(candidate, f"choice {candidate.name}", inner, short=True)
        choice[candidate.name] = training.judge(tried[candidate], edge, inside)
    least = min(judged["score"] for judged in choice.values())
    chosen = next(candidate for candidate in candidates if choice[candidate.name]["score"] <= least + AS_GOOD)
    described: dict[str, Any] = {"candidates": choice, "edge": [settings.ids[one] for one in edge]}
    polish, judge = settings.context.polish, tried[chosen]
    polished = polish is not None and isinstance(judge.weight_map, LinearWeights)
    if polish is not None and polished:
        described["polish"] = training.choose_penalty(judge, polish, edge, inside)
    prior, calibration = training.choose_prior(judge, [*edge, *inside])
    described["prior"] = prior
    trained = training.train(chosen, f"context {chosen.name}", range(len(settings.ids)), short=polished)
    if polish is not None and polished:
        described["polish"]["iterations"] = training.polish(trained, described["polish"]["penalty"], polish)
    calibration = calibration.of_better_map(
        training.residual(trained), training.own_error(trained) / training.own_error(judge)
    )
    further = training.prior(trained, prior, "prior")
    base = training.base(trained, chosen, calibration, further, described, time.monotonic() - started)
    return Context.of(base)


class _Training:
    """What all trainings of the stage share: data, predictor, seed."""

    def __init__(self, run: Run, settings: TrainContext, trajectories: TrajectoryFolder) -> None:
        self.run, self.settings = run, settings
        data, ids = settings.data, settings.ids
        self.physical, self.normalisation, self.frames, self.held_out = TrainingFrames.read(
            run, trajectories, ids, data
        )
        self.space = FrameSpace.of(self.frames)
        self.seed = derive_seed(settings.seed, "base", "context")
        self.architecture = describe_architecture(settings.predictor, len(data.channels))
        self.module = build_predictor(self.architecture, self.seed)
        plain = StackedPredictor(self.module)
        self.graph, self.initial = plain.graph, plain.graph.read(self.module)
        self.predictor = plain.on(run)

    @property
    def has_validation(self) -> bool:
        return any_trajectory(self.held_out)

    def train(self, candidate: Candidate, name: str, environments: Sequence[int], short: bool = False) -> TrainedCodes:
        """Train on some environments, by position."""
        context = self.settings.context
        training = context.training
        if short:
            training = training.model_copy(update={"steps": min(context.choice.steps, training.steps)})
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
        )

    def split(self, first: Candidate) -> tuple[list[int], list[int], list[int]]:
        """Environments to train candidates on, and those that judge: at the edge, by codes of a first training on all,
        and inside."""
        count = len(self.settings.ids)
        codes = self.train(first, "choice", range(count), short=True).codes
        edge, inside = left_out_environments(
            codes, self.settings.context.choice.left_out, self.run.draws(self.seed, "left out")
        )
        return [one for one in range(count) if one not in (*edge, *inside)], edge, inside

    def judge(self, trained: TrainedCodes, edge: list[int], inside: list[int]) -> dict[str, float]:
        """Errors of forecasts for left-out environments, whose code was inferred from a few frames; medians, and the
        mean logarithm, which decides."""
        errors = self.errors(trained, [*edge, *inside])
        return {
            "edge": float(errors[: len(edge)].median()),
            "inside": float(errors[len(edge) :].median()) if inside else float("nan"),
            "score": _mean_logarithm(errors),
        }

    def errors(self, trained: TrainedCodes, rows: list[int]) -> Tensor:
        """Of forecasts for environments that were not trained on, by the most probable code [environment]."""
        calibration = Calibration(1.0, self.residual(trained), [], 0.0)
        refine = self.settings.context.refine
        posterior = infer(
            trained.weight_map, self.predictor, trained.codes, self.shown(rows), self.space, refine, calibration
        )
        return forecast_errors(trained.weight_map(posterior.best), self.predictor, self.judged(rows))

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
        return calibrate(
            trained.weight_map,
            self.predictor,
            trained.codes,
            self.shown(rows),
            self.judged(rows),
            self.space,
            self.settings.context.refine,
            self.residual(trained),
            derive_seed(self.seed, "calibration"),
            prior,
        )

    def shown(self, rows: list[int]) -> Tensor:
        """The first frames of the first training trajectory."""
        return self.frames[rows][:, :1, : self.settings.context.choice.frames]

    def judged(self, rows: list[int]) -> Tensor:
        """Trajectories that forecasts are compared with: validation's, or all further ones of the training."""
        if self.has_validation:
            return self.held_out[rows]
        return self.frames[rows][:, 1:] if self.frames.shape[1] > 1 else self.frames[rows]

    def residual(self, trained: TrainedCodes) -> list[float]:
        """What the map leaves of frames of the environments that it was trained on."""
        context = self.settings.context
        frames = self.shown(trained.rows)
        return trained_residuals(trained.weight_map, trained.codes, self.predictor, frames, context.refine)

    def own_error(self, trained: TrainedCodes) -> Tensor:
        """Of forecasts for the environments that were trained on, by their own codes; the median environment's root
        mean square, step by step of the trained horizon [step, channel]."""
        frames = self.judged(trained.rows)
        with torch.no_grad():
            weights = trained.weight_map(trained.codes)
            forecast = self.predictor.rollout(weights, frames[:, :, 0], frames.shape[2] - 1)
        errors = torch.nan_to_num(forecast - frames[:, :, 1:], nan=torch.inf).square().mean((1, 4, 5)).sqrt()
        return errors.median(0).values.clamp(1e-9, 1e9)

    def choose_penalty(
        self, trained: TrainedCodes, settings: PolishSettings, edge: list[int], inside: list[int]
    ) -> dict[str, Any]:
        """The penalty of a second-order training that serves left-out environments best; the training that judged it
        ends where that penalty led."""

        frames, held_out = self.frames[trained.rows], self.held_out[trained.rows]
        frames = frames[:, : self.polished(settings)]
        if not self.has_validation and frames.shape[1] > 1:
            kept = frames.shape[1] // 2
            frames, held_out = frames[:, :kept], frames[:, kept:]

        def judge(context: LinearContext) -> float:
            _write(trained, context)
            errors = self.errors(trained, [*edge, *inside])
            if held_out.shape[1]:
                known = forecast_errors(trained.weight_map(trained.codes), self.predictor, held_out)
                errors = torch.cat([errors, known])
            return float(errors.clamp(max=10.0).square().mean().sqrt())

        penalty, errors, best = choose_penalty(
            _read(trained),
            self._rollout_residual,
            frames.double(),
            judge,
            settings.penalties,
            settings.choosing_iterations,
            self._rollout_jacobian,
        )
        _write(trained, best)
        return {"penalty": penalty, "errors": errors}

    def polished(self, settings: PolishSettings) -> int:
        """Training trajectories of each environment that second-order training can hold."""
        environments, _, frames = self.frames.shape[:3]
        of_trajectory = environments * (frames - 1) * self.frames[0, 0, 0].numel()
        return max(1, settings.most_residuals // of_trajectory)

    def polish(self, trained: TrainedCodes, penalty: float, settings: PolishSettings) -> int:
        """Second-order training in place, in double precision; how many iterations helped."""
        frames, iterations = self.frames[:, : self.polished(settings)].double(), settings.iterations
        polish = Polish(_read(trained), self._rollout_residual, frames, penalty, jacobian=self._rollout_jacobian)
        done = 0
        while done < iterations and polish.iterate():
            done += 1
            if done % 10 == 0:
                print(f"polish: {done} of {iterations}, {polish.objective(polish.context):.4g}", flush=True)
        _write(trained, polish.context)
        return done

    def _rollout_residual(self, weights: Tensor, frames: Tensor) -> Tensor:
        """Weights [weight], frames [trajectory, frame, ...] -> errors of whole rollouts [residual]."""
        return (rollout(self._step, weights, frames[:, 0], frames.shape[1] - 1) - frames[:, 1:]).flatten()

    def _rollout_jacobian(self, weights: Tensor, frames: Tensor) -> Tensor:
        """The same -> derivative of the errors by the weights [residual, weight]."""
        return rollout_jacobian(self._step, weights, frames[:, 0], frames.shape[1] - 1).flatten(0, 2)

    def _step(self, weights: Tensor, states: Tensor) -> Tensor:
        """Weights [weight], states [state, channel, y, x] -> those a frame later."""
        return self.predictor(weights[None], states[None])[0]

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
            "data_digest": tensor_digest(self.physical),
            "seconds": seconds,
            "metrics": {"last_loss": trained.fit.last_loss},
            "context": describe_context(settings.context, calibration, chosen, choice),
        }
        metadata |= self.run.described()
        further = self.space.tensors() | prior.tensors()
        return BaseNetwork(trained.weight_map, self.predictor, self.normalisation, metadata, further)


def _mean_logarithm(errors: Tensor) -> float:
    """Factors count; what blows up is as bad as ten standard deviations."""
    return float(errors.clamp(1e-9, 10.0).log().mean())


def _read(trained: TrainedCodes) -> LinearContext:
    """The numbers of a linear map and its codes, in double precision."""
    weight_map = trained.weight_map
    assert isinstance(weight_map, LinearWeights)
    mean, directions = weight_map.weights.detach().double(), weight_map.directions.detach().double()
    return LinearContext(mean, directions, trained.codes.double(), weight_map.entries)


@torch.no_grad()
def _write(trained: TrainedCodes, context: LinearContext) -> None:
    """The inverse of :func:`_read`, in place."""
    weight_map, condition = trained.weight_map, trained.weight_map.condition
    assert isinstance(weight_map, LinearWeights) and isinstance(condition, CodeCondition)
    weight_map.weights.copy_(context.mean)
    weight_map.directions.copy_(context.directions)
    trained.codes.copy_(context.codes)
    condition.codes.copy_(context.codes)
