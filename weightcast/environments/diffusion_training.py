"""Training the latent diffusion on the latents of a zoo."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.seeds import derive_seed
from weightcast.core.training import Fit, Resume, fit
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.generator import Generator


def train_diffusion(
    generator: Generator,
    weights: Tensor,
    parameters: Tensor,
    settings: DiffusionSettings,
    seed: int,
    resume: Resume | None = None,
) -> Fit:
    """Train the generator's diffusion in place, on the zoo's latents.

    Args:
        generator: with a trained VAE.
        weights: the zoo [member, weight].
        parameters: scaled parameters of each member's environment [member, parameter].
        settings: of the diffusion.
        seed: of the draws.
        resume: where state is kept.
    """
    with torch.no_grad():
        latents = generator.vae.encode(weights, parameters)  # [member, node, latent]

    def loss(step: int) -> Tensor:
        draws = torch.Generator().manual_seed(derive_seed(seed, "diffusion", step))
        chosen = torch.randint(len(latents), (settings.batch,), generator=draws)
        condition = parameters[chosen]
        if settings.parameter_noise > 0.0:
            condition = condition + settings.parameter_noise * torch.randn(condition.shape, generator=draws)
        return generator.diffusion.loss(latents[chosen], condition, draws)

    trained = list(generator.diffusion.parameters())
    return fit(trained, loss, settings.training, resume=resume, label="diffusion")
