"""The stage ``train_diffusion``: the latent diffusion of one arm and seed, on a zoo encoded by its VAE."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.core.training import Fit
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.jobs import TrainDiffusion
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.zoo import Zoo

_PASSED_ON = ("architecture", "normalisation", "condition", "vae", "origin", "base", "seed")
"""What a generator's metadata take from its VAE's."""


@stage("train_diffusion")
def train_diffusion(
    run: Run, settings: TrainDiffusion, zoo: Zoo, vae: TrainedVae, observed: TrajectoryFolder | None = None
) -> Generator:
    """Train the diffusion on the latents of the experts that did not diverge."""
    training = TrainingZoo.of(zoo, settings, observed)
    metadata = {key: vae.metadata[key] for key in _PASSED_ON} | {
        "arm": settings.arm,
        "stage_of_training": "diffusion",
        "diffusion": settings.diffusion.model_dump(mode="json"),
        "vae_digest": vae.metadata["digest"],
        "zoo_digest": training.zoo.metadata["digest"],
    }
    seed = derive_seed(settings.seed, "diffusion", settings.generator_seed)
    generator = new_generator(metadata, seed)
    generator.vae = vae.vae.requires_grad_(False)
    generator.to(run.device)

    prepared = run.place(generator.condition.prepare(training.known))[run.place(training.environment_of)]
    with torch.no_grad():
        latents = generator.vae.encode(run.place(training.zoo.weights), prepared)  # [member, node, latent]
    result = train_latent_diffusion(run, generator.diffusion, latents, prepared, settings.diffusion, seed)
    generator.metadata |= run.described() | {
        "seconds": result.seconds,
        "seconds_before": training.zoo.seconds + vae.metadata["seconds"],
        "metrics": {"last_loss": result.last_loss},
    }
    return generator


def train_latent_diffusion(
    run: Run, diffusion: LatentDiffusion, latents: Tensor, prepared: Tensor, settings: DiffusionSettings, seed: int
) -> Fit:
    """Train a diffusion in place.

    Args:
        run: whose device everything is on.
        diffusion: to be trained.
        latents: of the zoo's members [member, node, latent].
        prepared: coordinates of each member's environment [member, coordinate].
        settings: of the diffusion.
        seed: of the draws.
    """

    def loss(step: int) -> Tensor:
        draws = run.draws(seed, "diffusion", step)
        chosen = draws.integers(len(latents), settings.batch)
        condition = prepared[chosen]
        if settings.parameter_noise > 0.0:
            condition = condition + settings.parameter_noise * draws.normal(*condition.shape)
        return diffusion.loss(latents[chosen], condition, draws)

    return run.fit(list(diffusion.parameters()), loss, settings.training, name="diffusion")
