"""Training the weight VAE on a zoo."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.seeds import derive_seed
from weightcast.core.training import Fit, Resume, fit
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.dataset import draw_windows
from weightcast.environments.pooled_training import environment_loss
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.vae import WeightVAE


def train_vae(
    vae: WeightVAE,
    predictor: StackedPredictor,
    weights: Tensor,
    parameters: Tensor,
    environment_of: Tensor,
    frames: Tensor,
    settings: VAESettings,
    seed: int,
    resume: Resume | None = None,
) -> Fit:
    """Reconstruction + beta KL + functional loss (EnvAd-Diff, weight VAE); trains ``vae`` in place.

    The functional loss is the root mean square difference between what the decoded and the original network predict
    on states of the original's environment, in units of the mean one-step increment, so that 1 means "no better than
    standing still" whatever the time step.

    Args:
        vae: to be trained; its statistics are set from ``weights``.
        predictor: whose weights they are.
        weights: the zoo [member, weight].
        parameters: scaled, of the environments [environment, parameter].
        environment_of: long [member]; position of each member's environment in ``parameters`` and ``frames``.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        settings: of the VAE.
        seed: of the draws.
        resume: where state is kept.
    """
    with torch.no_grad():
        origins = vae.origins(parameters)[environment_of]  # [member, weight]
    deviations = weights - origins
    vae.fit_statistics(deviations)
    increment = (frames[:, :, 1:] - frames[:, :, :-1]).square().mean().sqrt().clamp(min=1e-8)

    def loss(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(seed, "vae", step))
        chosen = torch.randint(len(weights), (settings.batch,), generator=generator)
        mean, log_variance = vae.posterior(deviations[chosen])
        latents = mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=generator)
        decoded = vae.decode_tokens(latents)
        total = _reconstruction(decoded, vae.standardise(deviations[chosen]), settings.balanced)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).mean()
        total = total + settings.kl_weight * divergence
        if settings.functional_weight > 0.0:
            states = draw_windows(frames, environment_of[chosen], settings.functional_batch, 1, generator)[:, :, 0]
            with torch.no_grad():
                wanted = predictor(weights[chosen], states)
            behaviour = predictor(origins[chosen] + vae.deviations(decoded), states) - wanted
            total = total + settings.functional_weight * environment_loss(behaviour.square()).mean() / increment
        return total

    trained = [parameter for parameter in vae.parameters() if parameter.requires_grad]  # its origin stays as it is
    result = fit(trained, loss, settings.training, resume=resume, label="vae")
    vae.fit_latent_statistics(deviations)
    return result


def _reconstruction(decoded: list[Tensor], target: list[Tensor], balanced: bool) -> Tensor:
    """Mean squared error in units of each layer's spread: over layers if ``balanced``, else over all weights."""
    errors = [(a - b).square() for a, b in zip(decoded, target, strict=True)]
    if balanced:
        return torch.stack([error.mean() for error in errors]).mean()
    return torch.cat([error.flatten() for error in errors]).mean()
