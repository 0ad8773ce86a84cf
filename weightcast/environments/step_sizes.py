"""What a training step of a generator holds for one row of its batch, in numbers of four bytes.

Stages cut their batches into pieces by it, so that no more than the study's ``memory`` is held at once, and forecasts
of memory count with it (:mod:`weightcast.environments.memory`). Only light modules are imported.
"""

from __future__ import annotations

from weightcast.core.nets.sizes import BACKWARD, step_numbers
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings


def kept_in_coding(settings: VAESettings, nodes: int, weights: int) -> int:
    """Numbers kept for the gradient of one network that is encoded and decoded.

    Args:
        settings: of the VAE.
        nodes: of the weight graph.
        weights: of a network.
    """
    if settings.coder == "flat":
        return 8 * weights
    return 2 * _kept_in_blocks(nodes, settings.width, settings.heads, settings.layers) + 4 * weights


def kept_in_denoising(settings: DiffusionSettings, nodes: int) -> int:
    """The same of one network's latents that the diffusion is asked about once."""
    return _kept_in_blocks(nodes, settings.width, settings.heads, settings.layers)


def _kept_in_blocks(nodes: int, width: int, heads: int, layers: int) -> int:
    """Of attention blocks over the nodes: maps of the width, and attention itself."""
    return layers * (nodes * 18 * width + heads * nodes**2)


def coding_step(settings: VAESettings, nodes: int, weights: int, kept: int) -> int:
    """Numbers that a step of the VAE holds for one network.

    Args:
        settings: of the VAE.
        nodes: of the weight graph.
        weights: of a network.
        kept: for the gradient of one frame's step of the predictor (:mod:`weightcast.core.nets.sizes`).
    """
    functional = step_numbers(kept, weights, settings.functional_batch, 1) if settings.functional_weight else 0
    return round(BACKWARD * kept_in_coding(settings, nodes, weights)) + functional


def denoising_step(settings: DiffusionSettings, nodes: int) -> int:
    """Numbers that a step of the diffusion holds for one network's latents."""
    return round(BACKWARD * kept_in_denoising(settings, nodes))


def end_to_end_step(
    settings: EndToEndSettings, vae: VAESettings, diffusion: DiffusionSettings, nodes: int, weights: int, kept: int
) -> int:
    """Numbers that a step holds for one environment, through sampler, decoder and predictor.

    Args:
        settings: of the training.
        vae: of the generator.
        diffusion: likewise.
        nodes: of the weight graph.
        weights: of a network.
        kept: for the gradient of one frame's step of the predictor.
    """
    sampled = diffusion.sample_steps * kept_in_denoising(diffusion, nodes) + kept_in_coding(vae, nodes, weights) // 2
    training = settings.training
    through = step_numbers(kept, weights, training.batch, training.unroll)
    return settings.samples * (round(BACKWARD * sampled) + through)
