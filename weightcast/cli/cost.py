"""What a study will cost: the steps of its trainings times the measured time of a step of each."""

from __future__ import annotations

from weightcast.cli.step_times import StepTimes
from weightcast.config.study import Study
from weightcast.config.training import PooledTraining
from weightcast.environments.table import EnvironmentTable

FORWARD_SHARE = 1 / 3
"""Of a training step's time: a backward pass takes about twice as long as a forward pass."""


def estimate_seconds(study: Study, table: EnvironmentTable, times: StepTimes) -> dict[str, float]:
    """Seconds on one core by part of the study.

    Regressions, tables and the report are left out: they take seconds to a minute.
    """
    parts = {
        "simulation": times.simulation * len(table),
        "bases": _pooled_frames(study, table) * times.predictor,
        "experts": _expert_frames(study, table) * times.predictor,
        "generator": _generator_seconds(study, times),
        "fine-tuning": _finetuning_frames(study, table) * times.predictor,
        "evaluation": _evaluation_frames(study, table) * times.predictor * FORWARD_SHARE,
    }
    return {part: seconds for part, seconds in parts.items() if seconds > 0}


def _generator_seconds(study: Study, times: StepTimes) -> float:
    total = 0.0
    for name, arm in study.generator.arms.items():
        step = times.generator[name]
        vae, diffusion = study.generator.of_arm(name)
        total += vae.training.steps * step.vae + diffusion.training.steps * step.diffusion
        if arm.end_to_end:
            total += study.generator.end_to_end.training.steps * step.end_to_end
    return total * len(study.generator.seeds)


# How many frames predictors see in all; what one frame costs is measured.


def _pooled_frames(study: Study, table: EnvironmentTable) -> int:
    """Of the bases, and of the baselines that are trained in the same way."""
    base, baselines = study.base, study.baselines
    trainings = (base.erm, base.conditioned, baselines.film_matched, baselines.hypernetwork.training)
    return sum(training.steps * _frames_a_step(training, table) for training in trainings)


def _frames_a_step(training: PooledTraining, table: EnvironmentTable) -> int:
    return min(training.environments, len(table.visible)) * training.batch * training.unroll


def _expert_frames(study: Study, table: EnvironmentTable) -> int:
    experts = study.zoo.members * len(table.visible) + len(table.unseen)
    trainings = [study.zoo.training_from(base) for base in study.zoo.bases]
    return experts * sum(training.steps * training.batch * training.unroll for training in trainings)


def _finetuning_frames(study: Study, table: EnvironmentTable) -> int:
    """Of both bases: every candidate on the environments to choose on, then the longest, say, on all."""
    settings = study.baselines.finetune
    choosing = min(settings.choosing_environments, len(table.visible))
    tried = sum(settings.steps) * len(settings.learning_rates) * choosing
    return 2 * (tried + max(settings.steps) * len(table)) * (settings.frames - 1)


def _evaluation_frames(study: Study, table: EnvironmentTable) -> int:
    arms = study.generator.arms.values()
    generated = sum(1 + arm.end_to_end for arm in arms) * len(study.generator.seeds) * study.generator.samples
    # Four pooled networks, two fine-tuned bases, and of each zoo: nearest, polynomial, Gaussian process, One-per-Env.
    others = 4 + 2 + 4 * len(study.zoo.bases)
    rollouts = (generated + others) * len(table) * study.data.trajectories.test
    return rollouts * max(study.evaluation.horizons)
