"""Fine-tuning the whole generator through the predictor's own error."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.config.training import PooledTraining
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Fit, Resume, fit
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.generator import Generator
from weightcast.environments.pooled_training import pooled_loss


def tune_end_to_end(
    generator: Generator,
    frames: Tensor,
    parameters: Tensor,
    settings: EndToEndSettings,
    seed: int,
    resume: Resume | None = None,
) -> Fit:
    """Fine-tune decoder and diffusion together, through sampler, decoder and predictor, on visible environments.

    Args:
        generator: trained; tuned in place.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        parameters: scaled parameters [environment, parameter].
        settings: environments and samples a step, training.
        seed: of the draws.
        resume: where state is kept.
    """
    step_noise = torch.Generator()

    def weights_of(chosen: Tensor) -> Tensor:
        noise = torch.randn((len(chosen), *generator.diffusion.shape), generator=step_noise)
        return generator.weights(parameters[chosen], noise)

    training = PooledTraining(**settings.training.model_dump(), environments=settings.environments)
    over_environments = pooled_loss(weights_of, generator.predictor, frames, training, seed)

    def loss(step: int) -> Tensor:
        step_noise.manual_seed(derive_seed(seed, "end-to-end", step))
        total = over_environments(step)
        for sample in range(1, settings.samples):
            step_noise.manual_seed(derive_seed(seed, "end-to-end", step, sample))
            total = total + over_environments(step)
        return total / settings.samples

    trained = [*generator.vae.decoder_parameters(), *generator.diffusion.parameters()]
    return fit(trained, loss, settings.training, resume=resume, label="end-to-end")
