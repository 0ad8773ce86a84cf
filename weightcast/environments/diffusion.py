"""Latent diffusion of weights, conditioned on the environment's parameters.

Noising is that of Ho et al. (2020): z_t = a_t z_0 + s_t noise, with a linear schedule of a thousand steps. Sampling is
deterministic (DDIM, Song et al., 2021) in a few steps, so that gradients pass through it (end-to-end fine-tuning) and
the same noise always gives the same weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from weightcast.core.nets.transformer import ConditionedBlock, sinusoidal_features
from weightcast.environments.config.diffusion import DiffusionSettings


class DiffusionTransformer(nn.Module):
    """DiT over node latents with adaLN-zero.

    Args:
        nodes: of the weight graph.
        latent: numbers at a node.
        parameters: of an environment.
        settings: widths, depth, prediction, schedule.
    """

    def __init__(self, nodes: int, latent: int, parameters: int, settings: DiffusionSettings) -> None:
        super().__init__()
        width = settings.width
        self.width = width
        self.frequencies = settings.frequencies
        self.embed = nn.Linear(latent, width)
        self.nodes = nn.Parameter(0.02 * torch.randn(nodes, width))
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        features = parameters * (1 + 2 * settings.frequencies)
        self.environment = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(ConditionedBlock(width, settings.heads) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, latent)
        for layer in (self.modulation, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def parameter_features(self, parameters: Tensor) -> Tensor:
        """Scaled parameters [batch, parameter] -> themselves and slow sines and cosines of them [batch, feature].

        The slowest wave has period 8, four times the visible range, so that it stays one-to-one well outside it.
        """
        features = [parameters]
        for octave in range(self.frequencies):
            angle = 0.25 * math.pi * 2**octave * parameters
            features += [torch.sin(angle), torch.cos(angle)]
        return torch.cat(features, dim=-1)

    def forward(self, latents: Tensor, time: Tensor, parameters: Tensor) -> Tensor:
        """Predict x0, v or epsilon.

        Args:
            latents: noised [batch, node, latent].
            time: noise step, long [batch].
            parameters: scaled [batch, parameter].

        Returns:
            [batch, node, latent].
        """
        condition = self.time(sinusoidal_features(time, self.width))
        condition = condition + self.environment(self.parameter_features(parameters))  # [batch, width]
        tokens = self.embed(latents) + self.nodes
        for block in self.blocks:
            tokens = block(tokens, condition)
        shift, scale = self.modulation(nn.functional.silu(condition))[:, None].chunk(2, dim=-1)
        return self.head(self.norm(tokens) * (1.0 + scale) + shift)


class LatentDiffusion(nn.Module):
    """The transformer with its noise schedule, training loss and sampler."""

    signal: Tensor
    noise: Tensor

    def __init__(self, nodes: int, latent: int, parameters: int, settings: DiffusionSettings) -> None:
        super().__init__()
        self.prediction = settings.prediction
        self.shape = (nodes, latent)
        self.transformer = DiffusionTransformer(nodes, latent, parameters, settings)
        # The published schedule for 1000 steps, stretched to the same total noise for any other number.
        steps = settings.noise_steps
        beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.double) * (1000.0 / steps)
        kept = torch.cumprod(1.0 - beta.clamp(max=0.999), dim=0)
        self.register_buffer("signal", kept.sqrt().float(), persistent=False)  # a_t
        self.register_buffer("noise", (1.0 - kept).sqrt().float(), persistent=False)  # s_t

    def loss(self, latents: Tensor, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of what the transformer predicts, at random noise steps: a scalar."""
        time = torch.randint(len(self.signal), (len(latents),), generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        signal, spread = self.signal[time, None, None], self.noise[time, None, None]
        noised = signal * latents + spread * noise
        target = {
            "x0": latents,
            "epsilon": noise,
            "v": signal * noise - spread * latents,
        }[self.prediction]
        return (self.transformer(noised, time, parameters) - target).square().mean()

    def denoise(self, noised: Tensor, time: int, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted clean latents and the noise that they imply, each [batch, node, latent]."""
        signal, spread = self.signal[time], self.noise[time]
        steps = torch.full((len(noised),), time, dtype=torch.long, device=noised.device)
        predicted = self.transformer(noised, steps, parameters)
        if self.prediction == "x0":
            clean = predicted
        elif self.prediction == "v":
            clean = signal * noised - spread * predicted
        else:
            clean = (noised - spread * predicted) / signal
        return clean, (noised - signal * clean) / spread

    def sample(self, noise: Tensor, parameters: Tensor, steps: int) -> Tensor:
        """Deterministic sampling from given noise.

        Args:
            noise: standard normal [batch, node, latent].
            parameters: scaled [batch, parameter].
            steps: denoising steps; differentiable throughout.

        Returns:
            Standardised latents [batch, node, latent].
        """
        times = torch.linspace(len(self.signal) - 1, 0, steps + 1).round().long().tolist()[:-1]
        latents = noise
        for index, time in enumerate(times):
            clean, implied = self.denoise(latents, time, parameters)
            if index == len(times) - 1:
                return clean
            later = times[index + 1]
            latents = self.signal[later] * clean + self.noise[later] * implied
        raise ValueError(f"steps: found {steps}, expected at least 1")
