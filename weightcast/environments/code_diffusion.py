"""A diffusion of codes: what codes of environments are like that were not seen, when one normal distribution does not
tell.

Noise schedule and deterministic sampling are those of the diffusion of weights (weightcast.environments.diffusion); a
code is a few numbers, so that the denoiser is a small perceptron, which predicts the velocity. Several are trained at
once, on a leading member axis: other smoothings, other codes left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.nets.transformer import sinusoidal_features
from weightcast.core.run import Run
from weightcast.environments.config.code_prior import CodeDiffusionSettings
from weightcast.environments.diffusion import noise_schedule

NOISE_STEPS = 1000
SAMPLE_STEPS = 40
"""Denoising steps of a draw."""
TIME_FEATURES = 16


class CodeDiffusion:
    """Denoisers of several members, with their training loss and sampler.

    Args:
        members: trained at once.
        dimensions: numbers of a code.
        width: of the hidden layers.
        draws: source of the first weights.

    Attributes:
        parameters: leaf tensors, each with a leading member axis.
    """

    def __init__(self, members: int, dimensions: int, width: int, draws: Draws) -> None:
        sizes = [dimensions + TIME_FEATURES, width, width, dimensions]
        self.dimensions = dimensions
        self.parameters: list[Tensor] = []
        for inputs, outputs in pairwise(sizes):
            scale = 0.0 if outputs == dimensions else 1.0 / math.sqrt(inputs)
            weight = scale * draws.normal(inputs, outputs).expand(members, -1, -1)  # all members begin alike
            self.parameters += [weight.clone().requires_grad_(), draws.normal(members, 1, outputs).mul(0.0)]
            self.parameters[-1].requires_grad_()
        self.signal, self.noise = (part.to(draws.device) for part in noise_schedule(NOISE_STEPS))

    def __call__(self, codes: Tensor, noise_step: Tensor) -> Tensor:
        """Predict the velocity.

        Args:
            codes: noised [member, batch, dimension].
            noise_step: long [member, batch].

        Returns:
            [member, batch, dimension].
        """
        time = sinusoidal_features(noise_step.flatten(), TIME_FEATURES).unflatten(0, noise_step.shape)
        values = torch.cat([codes, time], 2)
        *hidden, weight, bias = self.parameters
        for inner, shift in zip(hidden[::2], hidden[1::2], strict=True):
            values = torch.nn.functional.silu(values @ inner + shift)
        return values @ weight + bias

    def loss(self, codes: Tensor, draws: Draws) -> Tensor:
        """Mean square error of the predicted velocity at random noise steps [member].

        Args:
            codes: clean [member, batch, dimension].
            draws: source of noise steps and noise.
        """
        noise_step = draws.integers(NOISE_STEPS, *codes.shape[:2])
        noise = draws.normal(*codes.shape)
        signal, spread = self.signal[noise_step][..., None], self.noise[noise_step][..., None]
        predicted = self(signal * codes + spread * noise, noise_step)
        return (predicted - (signal * noise - spread * codes)).square().mean((1, 2))

    @torch.no_grad()
    def sample(self, noise: Tensor, steps: int = SAMPLE_STEPS) -> Tensor:
        """Deterministic sampling from standard normal noise [member, sample, dimension]; the same shape."""
        at = torch.linspace(NOISE_STEPS - 1, 0, steps + 1).round().long().tolist()
        codes = noise
        for now, later in pairwise(at):
            velocity = self(codes, torch.full(codes.shape[:2], now, device=codes.device))
            clean = self.signal[now] * codes - self.noise[now] * velocity
            implied = self.noise[now] * codes + self.signal[now] * velocity
            codes = self.signal[later] * clean + self.noise[later] * implied
        return codes


def train_code_diffusion(
    run: Run,
    codes: Tensor,
    kept: Sequence[Sequence[int]],
    smoothings: Sequence[float],
    settings: CodeDiffusionSettings,
    seed: int,
    name: str,
) -> CodeDiffusion:
    """Train a diffusion for each choice of codes and smoothing.

    Args:
        run: whose device the codes are on.
        codes: standardised [environment, dimension].
        kept: for each member which of them it is trained on, by position.
        smoothings: for each member the standard deviation of the noise on codes.
        settings: width, batch, training.
        seed: of the draws.
        name: of the training.
    """
    members, dimensions = len(kept), codes.shape[1]
    diffusion = CodeDiffusion(members, dimensions, settings.width, run.draws(seed, "denoiser"))
    pools = [torch.tensor(list(rows), device=codes.device) for rows in kept]
    longest = max(len(pool) for pool in pools)
    # Rows of a shorter pool are repeated in a table as long as the longest; its own length alone is drawn from.
    padded = torch.stack([pool.repeat(-(-longest // len(pool)))[:longest] for pool in pools])
    sizes = torch.tensor([len(pool) for pool in pools], device=codes.device)
    smoothing = torch.tensor(list(smoothings), device=codes.device)[:, None, None]

    def loss(step: int) -> Tensor:
        draws = Draws(codes.device, seed, "step", step)
        places = (draws.uniform(members, settings.batch) * sizes[:, None]).long()
        clean = codes[padded.gather(1, places)]  # [member, batch, dimension]
        return diffusion.loss(clean + smoothing * draws.normal(*clean.shape), draws)

    run.fit(diffusion.parameters, loss, settings.training, name=name, stacked=True)
    return diffusion
