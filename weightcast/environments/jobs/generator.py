"""What jobs are told that train generators, and that find the labels which some are told."""

from __future__ import annotations

from weightcast.environments.config.condition import ConditionName
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.jobs.told import Plan, Told


class LabelEnvironments(Told):
    """Surrogate labels of the visible environments, from the experts of one base."""

    base: str
    seed: int

    @classmethod
    def of(cls, plan: Plan, base: str) -> LabelEnvironments:
        return cls(shown=plan.shown, environments=plan.table.visible, base=base, seed=plan.study.seed)


class TrainVae(Told):
    """The weight VAE of one arm and seed."""

    data: DataSettings
    vae: VAESettings
    condition: ConditionName
    logarithmic_parameters: list[str]
    seed: int
    generator_seed: int

    @classmethod
    def of(cls, plan: Plan, arm: str, seed: str) -> TrainVae:
        generator = plan.study.generator
        return cls(
            shown=plan.shown_to(arm),
            environments=plan.table.visible,
            data=plan.study.data.of_role("visible"),
            vae=generator.of_arm(arm)[0],
            condition=generator.arms[arm].condition,
            logarithmic_parameters=plan.study.logarithmic_parameters,
            seed=plan.study.seed,
            generator_seed=int(seed),
        )

    @property
    def most_processes(self) -> int:
        """Experts of a step."""
        return self.vae.batch


class TrainDiffusion(Told):
    """The latent diffusion of one arm and seed."""

    diffusion: DiffusionSettings
    arm: str
    seed: int
    generator_seed: int

    @classmethod
    def of(cls, plan: Plan, arm: str, seed: str) -> TrainDiffusion:
        return cls(
            shown=plan.shown_to(arm),
            environments=plan.table.visible,
            diffusion=plan.study.generator.of_arm(arm)[1],
            arm=arm,
            seed=plan.study.seed,
            generator_seed=int(seed),
        )

    @property
    def most_processes(self) -> int:
        """Latents of a step."""
        return self.diffusion.batch


class TuneGenerator(Told):
    """The end-to-end fine-tuning of one arm and seed."""

    data: DataSettings
    end_to_end: EndToEndSettings
    seed: int
    generator_seed: int

    @classmethod
    def of(cls, plan: Plan, arm: str, seed: str) -> TuneGenerator:
        return cls(
            shown=plan.shown_to(arm),
            environments=plan.table.visible,
            data=plan.study.data.of_role("visible"),
            end_to_end=plan.study.generator.end_to_end,
            seed=plan.study.seed,
            generator_seed=int(seed),
        )

    @property
    def most_processes(self) -> int:
        """Environments of a step."""
        return min(self.end_to_end.environments, len(self.environments))
