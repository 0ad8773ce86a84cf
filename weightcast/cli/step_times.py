"""What the steps of a study's trainings take on one core of this machine, measured in seconds; large ones in minutes.

Batches that would take long are measured with one and two samples (`weightcast.cli.step_work`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from weightcast.cli.simulation_time import simulation_seconds
from weightcast.cli.step_work import work_of_a_batch, work_of_a_step
from weightcast.cli.timing import one_quiet_thread
from weightcast.cli.work import FORWARD_SHARE, Work
from weightcast.core.config.training import TrainingSettings
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.training import Fit, fit
from weightcast.environments.commands.untrained import untrained_generator, untrained_predictor
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.study import Study
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.end_to_end import tune_end_to_end
from weightcast.environments.generator import Generator
from weightcast.environments.pooled_training import environment_loss
from weightcast.environments.vae_training import train_vae

MOST_MEMBERS = 8
"""Experts that are stacked for the measurement; more cost in proportion."""
FEW_NETWORKS = 4
"""Samples of the larger of two batches, of VAE and diffusion: most of a step with few is the optimiser's."""


@dataclass(frozen=True)
class GeneratorStepTimes:
    """Of one optimiser step of each training of a generator, and of generating the weights of one predictor."""

    vae: Work
    diffusion: Work
    end_to_end: Work
    sample: Work


@dataclass(frozen=True)
class StepTimes:
    """Attributes:
    predictor: of one predictor on one frame, forward and backward, in a stacked training.
    generator: by arm.
    simulation: of one environment's trajectories; nothing where data is read rather than simulated.
    """

    predictor: Work
    generator: dict[str, GeneratorStepTimes]
    simulation: Work


def measure_step_times(study: Study, table: EnvironmentTable) -> StepTimes:
    """Time a few steps of each kind, on random frames of the study's size; trainings of the same sizes once."""
    with one_quiet_thread():
        predictor = _predictor_work(study)
        generators = _Generators(study, table)
        generator = {arm: generators.of_arm(arm) for arm in study.generator.arms}
        return StepTimes(predictor, generator, Work(simulation_seconds(study, table)))


def _predictor_work(study: Study) -> Work:
    predictor, training = untrained_predictor(study), study.zoo.training
    members = min(MOST_MEMBERS, study.zoo.members * study.zoo.shard_environments)

    def of_members(count: int) -> Work:
        weights = predictor.graph.read(predictor.module).repeat(count, 1).requires_grad_()
        windows = _random_frames(study, count, training.batch, training.unroll + 1)

        def loss(step: int) -> Tensor:
            return environment_loss(predictor.rollout_error(weights, windows))

        return work_of_a_step(lambda steps: _fit([weights], loss, steps, stacked=True))

    return work_of_a_batch(of_members, members) * (1 / (members * training.batch * training.unroll))


class _Generators:
    """Measures each training of a generator once for all arms where it is of the same size."""

    def __init__(self, study: Study, table: EnvironmentTable) -> None:
        self.study = study
        self.table = table
        self._measured: dict[str, Work] = {}

    def of_arm(self, arm: str) -> GeneratorStepTimes:
        vae, diffusion = self.study.generator.of_arm(arm)
        coder = vae.model_dump_json(exclude={"training", "kl_weight", "balanced"})
        size = diffusion.model_dump_json(include={"width", "heads", "layers", "batch"})
        vae_step = self._once(f"vae {coder}", lambda: self._vae(arm, vae))
        diffusion_step = self._once(f"diffusion {vae.latent} {size}", lambda: self._diffusion(arm, diffusion))
        end_to_end = Work()
        if self.study.generator.arms[arm].end_to_end:
            key = f"end to end {coder} {size} {diffusion.sample_steps}"
            end_to_end = self._once(key, lambda: self._end_to_end(arm))
        decoder = vae_step * (1 / vae.batch / 2)  # the other half is the encoder
        denoising = diffusion_step * (diffusion.sample_steps / diffusion.batch)
        return GeneratorStepTimes(vae_step, diffusion_step, end_to_end, (denoising + decoder) * FORWARD_SHARE)

    def _once(self, key: str, measure: Callable[[], Work]) -> Work:
        if key not in self._measured:
            self._measured[key] = measure()
        return self._measured[key]

    def _vae(self, arm: str, settings: VAESettings) -> Work:
        vae, predictor = self._untrained(arm).vae, untrained_predictor(self.study)
        # Two experts are a zoo: those of a batch are drawn with repetition.
        zoo = predictor.graph.read(predictor.module) + 0.01 * torch.randn(2, predictor.graph.num_parameters)
        frames, of = _random_frames(self.study, 2, 1, 2), torch.arange(2)
        parameters = torch.rand(2, len(self.table.parameter_names))

        def of_batch(batch: int) -> Work:
            smaller = settings.model_copy(update={"batch": batch})
            return work_of_a_step(
                lambda steps: train_vae(
                    vae, predictor, zoo, parameters, of, frames, _with_steps(smaller, steps), seed=0
                )
            )

        return work_of_a_batch(of_batch, settings.batch, FEW_NETWORKS)

    def _diffusion(self, arm: str, settings: DiffusionSettings) -> Work:
        diffusion, parameters = self._untrained(arm).diffusion, len(self.table.parameter_names)

        def of_batch(batch: int) -> Work:
            latents, conditions = torch.randn(batch, *diffusion.shape), torch.rand(batch, parameters)
            draws = torch.Generator().manual_seed(0)
            return work_of_a_step(
                lambda steps: _fit(
                    list(diffusion.parameters()), lambda step: diffusion.loss(latents, conditions, draws), steps
                )
            )

        return work_of_a_batch(of_batch, settings.batch, FEW_NETWORKS)

    def _end_to_end(self, arm: str) -> Work:
        generator, settings = self._untrained(arm), self.study.generator.end_to_end
        environments = min(settings.environments, len(self.table.visible))
        frames = _random_frames(self.study, environments, 1, settings.training.unroll + 1)
        parameters = torch.rand(environments, len(self.table.parameter_names))

        def of_environments(count: int) -> Work:
            fewer = settings.model_copy(update={"environments": count})
            return work_of_a_step(
                lambda steps: tune_end_to_end(generator, frames, parameters, _with_steps(fewer, steps), seed=0)
            )

        return work_of_a_batch(of_environments, environments)

    def _untrained(self, arm: str) -> Generator:
        return untrained_generator(self.study, self.table, arm)


def _fit(
    parameters: list[Tensor] | list[torch.nn.Parameter],
    loss: Callable[[int], Tensor],
    steps: int,
    stacked: bool = False,
) -> Fit:
    return fit(parameters, loss, TrainingSettings(steps=steps, learning_rate=1e-4), stacked=stacked)


def _random_frames(study: Study, *shape: int) -> Tensor:
    """[*shape, channel, y, x]."""
    return torch.randn(*shape, len(study.data.channels), *study.data.grid)


Trained = TypeVar("Trained", VAESettings, EndToEndSettings)


def _with_steps(settings: Trained, steps: int) -> Trained:
    return settings.model_copy(update={"training": settings.training.model_copy(update={"steps": steps})})
