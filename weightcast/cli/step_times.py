"""How long the steps of a study's trainings take on one core of this machine, measured in a second or two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from weightcast.cli.timing import LONG, one_quiet_thread, processor_seconds, seconds_a_step
from weightcast.cli.untrained import untrained_generator, untrained_predictor
from weightcast.config.diffusion import DiffusionSettings
from weightcast.config.end_to_end import EndToEndSettings
from weightcast.config.study import Study
from weightcast.config.training import TrainingSettings
from weightcast.config.vae import VAESettings
from weightcast.environments.diffusion_training import train_diffusion
from weightcast.environments.end_to_end import tune_end_to_end
from weightcast.environments.pooled_training import environment_loss
from weightcast.environments.table import EnvironmentTable
from weightcast.environments.vae_training import train_vae
from weightcast.errors import InputError
from weightcast.plan import source_settings
from weightcast.systems import load_system
from weightcast.training import Fit, fit

MOST_MEMBERS = 8
"""Experts that are stacked for the measurement; more cost in proportion."""


@dataclass(frozen=True)
class GeneratorStepTimes:
    """Seconds of one optimiser step of each training of a generator."""

    vae: float
    diffusion: float
    end_to_end: float


@dataclass(frozen=True)
class StepTimes:
    """Seconds on one core.

    Attributes:
        predictor: of one predictor on one frame, forward and backward, in a stacked training.
        generator: by arm.
        simulation: of one environment's trajectories; 0 where data is read rather than simulated.
    """

    predictor: float
    generator: dict[str, GeneratorStepTimes]
    simulation: float


def measure_step_times(study: Study, table: EnvironmentTable) -> StepTimes:
    """Time a few steps of each kind, on random frames of the study's size; arms of the same sizes are timed once."""
    timed: dict[str, GeneratorStepTimes] = {}
    generator = {}
    with one_quiet_thread():
        predictor = _predictor_seconds(study)
        for arm in study.generator.arms:
            sizes = "".join(part.model_dump_json() for part in study.generator.of_arm(arm))
            if sizes not in timed:
                timed[sizes] = _generator_seconds(study, table, arm)
            generator[arm] = timed[sizes]
        return StepTimes(predictor, generator, _simulation_seconds(study, table))


def _predictor_seconds(study: Study) -> float:
    predictor, training = untrained_predictor(study), study.zoo.training
    members = min(MOST_MEMBERS, study.zoo.members * study.zoo.shard_environments)
    weights = predictor.graph.read(predictor.module).repeat(members, 1).requires_grad_()
    windows = _random_frames(study, members, training.batch, training.unroll + 1)

    def loss(step: int) -> Tensor:
        return environment_loss(predictor.rollout_error(weights, windows))

    def train(steps: int) -> Fit:
        settings = TrainingSettings(steps=steps, learning_rate=training.learning_rate)
        return fit([weights], loss, settings, stacked=True)

    return seconds_a_step(train) / (members * training.batch * training.unroll)


def _generator_seconds(study: Study, table: EnvironmentTable, arm: str) -> GeneratorStepTimes:
    vae, diffusion = study.generator.of_arm(arm)
    tuning, environments = study.generator.end_to_end, len(table.visible)
    generator, predictor = untrained_generator(study, table, arm), untrained_predictor(study)
    zoo = predictor.graph.read(predictor.module) + 0.01 * torch.randn(environments, predictor.graph.num_parameters)
    frames = _random_frames(study, environments, 1, tuning.training.unroll + 1)
    parameters = torch.rand(environments, len(table.parameter_names))
    of = torch.arange(environments)
    return GeneratorStepTimes(
        vae=seconds_a_step(
            lambda steps: train_vae(generator.vae, predictor, zoo, of, frames, _with_steps(vae, steps), seed=0)
        ),
        diffusion=seconds_a_step(
            lambda steps: train_diffusion(generator, zoo, parameters, _with_steps(diffusion, steps), seed=0)
        ),
        end_to_end=seconds_a_step(
            lambda steps: tune_end_to_end(generator, frames, parameters, _with_steps(tuning, steps), seed=0)
        ),
    )


def _random_frames(study: Study, *shape: int) -> Tensor:
    """[*shape, channel, y, x]."""
    return torch.randn(*shape, len(study.data.channels), *study.data.grid)


def _simulation_seconds(study: Study, table: EnvironmentTable) -> float:
    """Of one environment; where that takes long, of one of its trajectories, times their number."""
    if study.data.imported:
        return 0.0
    system, settings = load_system(study.data.source), source_settings(study.data)

    def seconds(trajectories: int) -> float:
        made = system.trajectories([table.environments[0]], settings | {"trajectories": trajectories}, study.seed)
        return processor_seconds(lambda: next(made))

    count = int(settings["trajectories"])
    try:
        longest = seconds(1) * count
    except InputError:  # not a simulator: what it reads has its own number of trajectories
        return 0.0
    return seconds(count) if longest < LONG else longest


Trained = TypeVar("Trained", VAESettings, DiffusionSettings, EndToEndSettings)


def _with_steps(settings: Trained, steps: int) -> Trained:
    return settings.model_copy(update={"training": settings.training.model_copy(update={"steps": steps})})
