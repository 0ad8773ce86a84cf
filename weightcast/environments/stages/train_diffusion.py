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
from weightcast.environments.examples import Examples
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.jobs import TrainDiffusion
from weightcast.environments.known import training_known_of
from weightcast.environments.labels import Labels
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.zoo import Zoo

_PASSED_ON = ("architecture", "normalisation", "condition", "vae", "origin", "base", "seed")
"""What a generator's metadata take from its VAE's."""


@stage("train_diffusion")
def train_diffusion(
    run: Run,
    settings: TrainDiffusion,
    zoo: Zoo,
    vae: TrainedVae,
    observed: TrajectoryFolder | None = None,
    labels: Labels | None = None,
) -> Generator:
    """Train the diffusion on the latents of the experts that did not diverge.

    Args:
        run: whose device is used.
        settings: of the diffusion.
        zoo: that the VAE was trained on.
        vae: of the same arm.
        observed: trajectories of the visible environments, where a condition sees frames.
        labels: of these environments, where the arm's condition is one.
    """
    training = TrainingZoo.of(zoo, settings, observed)
    taught = training_known_of(settings, observed, training.environments, labels)
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
    generator.condition.load_state_dict(vae.condition.state_dict())
    generator.to(run.device)

    told = taught if labels is not None else training.known
    prepared = run.place(generator.condition.prepare(told))
    environment_of = run.place(training.environment_of)
    with torch.no_grad():
        origins = generator.vae.origins(prepared)[environment_of]
        latents = generator.vae.encode_deviations(run.place(training.zoo.weights) - origins)  # [member, node, latent]
    examples = Examples.of(run, generator.condition, taught)
    result = train_latent_diffusion(
        run, generator.diffusion, latents, prepared, settings.diffusion, seed, environment_of, examples
    )
    generator.metadata |= run.described() | {
        "seconds": result.seconds,
        "seconds_before": training.zoo.seconds + vae.metadata["seconds"] + (labels.seconds if labels else 0.0),
        "metrics": {"last_loss": result.last_loss},
    }
    return generator


def train_latent_diffusion(
    run: Run,
    diffusion: LatentDiffusion,
    latents: Tensor,
    prepared: Tensor,
    settings: DiffusionSettings,
    seed: int,
    environment_of: Tensor | None = None,
    examples: Examples | None = None,
) -> Fit:
    """Train a diffusion in place.

    Args:
        run: whose device everything is on.
        diffusion: to be trained.
        latents: of the zoo's members [member, node, latent].
        prepared: coordinates of the environments [environment, coordinate].
        settings: of the diffusion.
        seed: of the draws.
        environment_of: long [member]; position of each member's environment in ``prepared``; one a member if None.
        examples: what steps are shown of the environments; ``prepared`` in every step if None.
    """
    shown = examples or Examples(None, prepared)

    def loss(step: int) -> Tensor:
        draws = run.draws(seed, "diffusion", step)
        chosen = draws.integers(len(latents), settings.batch)
        rows = chosen if environment_of is None else environment_of[chosen]
        condition = shown.draw(rows, run.draws(seed, "condition", step))
        auxiliary = shown.auxiliary_loss(condition, rows)
        if settings.parameter_noise > 0.0:
            condition = condition + settings.parameter_noise * draws.normal(*condition.shape)
        return diffusion.loss(latents[chosen], condition, draws) + auxiliary

    return run.fit(list(diffusion.parameters()), loss, settings.training, name="diffusion")
