"""What a study will cost: the steps of its trainings times what a step of each was measured to take."""

from __future__ import annotations

from weightcast.cli.step_times import StepTimes
from weightcast.cli.work import FORWARD_SHARE, Work
from weightcast.core.config.training import PooledTraining
from weightcast.core.environment_table import EnvironmentTable
from weightcast.environments.config.study import Study


def estimate_work(study: Study, table: EnvironmentTable, times: StepTimes) -> dict[str, Work]:
    """What each part of the study takes.

    Regressions, tables and the report are left out: they take seconds to minutes.
    """
    parts = {
        "simulation": times.simulation * len(table),
        "bases": times.predictor * _pooled_frames(study, table),
        "experts": times.predictor * _expert_frames(study, table),
        "generator": _generator_work(study, times),
        "generation": _generation_work(study, table, times),
        "fine-tuning": times.predictor * _finetuning_frames(study, table),
        "evaluation": times.predictor * FORWARD_SHARE * _evaluation_frames(study, table),
    }
    return {part: work for part, work in parts.items() if work.seconds > 0}


def _generator_work(study: Study, times: StepTimes) -> Work:
    total = Work()
    for name, arm in study.generator.arms.items():
        step = times.generator[name]
        vae, diffusion = study.generator.of_arm(name)
        total += step.vae * vae.training.steps + step.diffusion * diffusion.training.steps
        if arm.end_to_end:
            total += step.end_to_end * study.generator.end_to_end.training.steps
    return total * len(study.generator.seeds)


def _generation_work(study: Study, table: EnvironmentTable, times: StepTimes) -> Work:
    """Of every arm's predictors in every environment, once more before a fine-tuning end to end."""
    total = Work()
    for name, arm in study.generator.arms.items():
        total += times.generator[name].sample * (1 + arm.end_to_end)
    return total * (len(study.generator.seeds) * study.generator.samples * len(table))


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
    """Of both bases: every candidate on the environments to choose on, then the longest, say, on the unseen ones."""
    settings = study.baselines.finetune
    choosing = min(settings.choosing_environments, len(table.visible))
    tried = sum(settings.steps) * len(settings.learning_rates) * choosing
    return 2 * (tried + max(settings.steps) * len(table.unseen or table)) * (settings.frames - 1)


def _evaluation_frames(study: Study, table: EnvironmentTable) -> int:
    rollouts = evaluated_networks(study) * len(table) * study.data.trajectories.test
    return rollouts * max(study.evaluation.horizons)


def evaluated_networks(study: Study) -> int:
    """Networks that are kept and rolled out for every environment."""
    arms = study.generator.arms.values()
    generated = sum(1 + arm.end_to_end for arm in arms) * len(study.generator.seeds) * study.generator.samples
    # Four pooled networks, two fine-tuned bases, and of each zoo: nearest, polynomial, Gaussian process, One-per-Env.
    return generated + 4 + 2 + 4 * len(study.zoo.bases)
