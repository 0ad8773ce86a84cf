"""Latent diffusion of weights, conditioned on what is known of the environment.

Noising is that of Ho et al. (2020): z_t = a_t z_0 + s_t noise, with a linear schedule of a thousand steps. Sampling is
deterministic (DDIM, Song et al., 2021) in a few steps, so that gradients pass through it (end-to-end fine-tuning) and
the same noise always gives the same weights.

What is diffused are standardised latents, or what a regression of them on the condition's coordinates leaves over, in
units of its size. Regression says where latents lie far from the visible environments better than a transformer does,
which the diffusion then need not learn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.nets.transformer import ConditionedBlock, sinusoidal_features
from weightcast.core.run import Run
from weightcast.core.stored_tensor import Rows
from weightcast.environments.conditions.condition import Embedding
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.latent_regression import LatentRegression


def noise_schedule(steps: int) -> tuple[Tensor, Tensor]:
    """What is left of the signal and how much noise there is, a_t and s_t, each [step].

    The published schedule for 1000 steps, stretched to the same total noise for any other number.
    """
    beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.double) * (1000.0 / steps)
    kept = torch.cumprod(1.0 - beta.clamp(max=0.999), dim=0)
    return kept.sqrt().float(), (1.0 - kept).sqrt().float()


class DiffusionTransformer(nn.Module):
    """DiT over node latents with adaLN-zero.

    Args:
        nodes: of the weight graph.
        latent: numbers at a node.
        condition: what is known of an environment.
        settings: widths, depth, prediction, schedule.
    """

    def __init__(self, nodes: int, latent: int, condition: Embedding, settings: DiffusionSettings) -> None:
        super().__init__()
        self.condition = condition
        width = settings.width
        self.width = width
        self.frequencies = settings.frequencies
        self.embed = nn.Linear(latent, width)
        self.nodes = nn.Parameter(0.02 * torch.randn(nodes, width))
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        features = condition.width * (1 + 2 * settings.frequencies)
        self.environment = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(ConditionedBlock(width, settings.heads) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, latent)
        # What stands in the environment's place where nothing is known of it.
        self.unknown = nn.Parameter(torch.zeros(width)) if settings.condition_dropout > 0.0 else None
        for layer in (self.modulation, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def environment_features(self, embedding: Tensor) -> Tensor:
        """An embedding [batch, width] -> itself and slow sines and cosines of it [batch, feature].

        The slowest wave has period 8, four times the visible range of a parameter, so that it stays one-to-one well
        outside it.
        """
        features = [embedding]
        for octave in range(self.frequencies):
            angle = 0.25 * math.pi * 2**octave * embedding
            features += [torch.sin(angle), torch.cos(angle)]
        return torch.cat(features, dim=-1)

    def environments(self, prepared: Tensor | None, hidden: Tensor | None) -> Tensor:
        """Coordinates [batch, coordinate] -> [batch, width], as blocks are told of the environment.

        Args:
            prepared: coordinates; None: nothing is known of any [1, width].
            hidden: bool [batch]; of which nothing is to be told; None: all are told.
        """
        if prepared is not None:
            told = self.environment(self.environment_features(self.condition(prepared)))
            return told if hidden is None else torch.where(hidden[:, None], self._nothing, told)
        return self._nothing[None]

    @property
    def _nothing(self) -> Tensor:
        if self.unknown is None:
            raise InputError(
                "generator: found a diffusion that was trained with the condition alone, expected one that was trained "
                "with generator.diffusion.condition_dropout above 0"
            )
        return self.unknown

    def forward(
        self, latents: Tensor, noise_step: Tensor, prepared: Tensor | None, hidden: Tensor | None = None
    ) -> Tensor:
        """Predict x0, v or epsilon.

        Args:
            latents: noised [batch, node, latent].
            noise_step: long [batch].
            prepared: the condition's coordinates [batch, coordinate]; None: nothing is known.
            hidden: bool [batch]; of which latents the condition is not told; None: of none.

        Returns:
            [batch, node, latent].
        """
        condition = self.time(sinusoidal_features(noise_step, self.width))
        condition = condition + self.environments(prepared, hidden)  # [batch, width]
        tokens = self.embed(latents) + self.nodes
        for block in self.blocks:
            tokens = block(tokens, condition)
        shift, scale = self.modulation(nn.functional.silu(condition))[:, None].chunk(2, dim=-1)
        return self.head(self.norm(tokens) * (1.0 + scale) + shift)


class LatentDiffusion(nn.Module):
    """The transformer with its noise schedule, training loss and sampler, and the regression beside it, if any."""

    signal: Tensor
    noise: Tensor
    left_over: Tensor

    def __init__(self, nodes: int, latent: int, condition: Embedding, settings: DiffusionSettings) -> None:
        super().__init__()
        self.prediction = settings.prediction
        self.dropout = settings.condition_dropout
        self.shape = (nodes, latent)
        self.transformer = DiffusionTransformer(nodes, latent, condition, settings)
        self.regression: LatentRegression | None = None
        if settings.relative_to == "regression":
            self.regression = LatentRegression(condition.coordinates, max(settings.regression.degrees), self.shape)
            self.register_buffer("left_over", torch.ones(()))  # root mean square of what the regression leaves over
        signal, noise = noise_schedule(settings.noise_steps)
        self.register_buffer("signal", signal, persistent=False)  # a_t
        self.register_buffer("noise", noise, persistent=False)  # s_t

    def residuals(self, latents: Tensor, prepared: Tensor) -> Tensor:
        """What the transformer models: latents [batch, node, latent] themselves, or what regression leaves of them.

        Args:
            latents: standardised, as the VAE encodes.
            prepared: coordinates [batch, coordinate].
        """
        return latents if self.regression is None else (latents - self.regression(prepared)) / self.left_over

    def whole(self, residuals: Tensor, prepared: Tensor | None) -> Tensor:
        """The inverse of :meth:`residuals`.

        Raises:
            InputError: nothing is known, and regression needs something that is.
        """
        if self.regression is None:
            return residuals
        if prepared is None:
            raise InputError(
                "generator: found a diffusion relative to regression on the condition, which must be told of an "
                "environment, expected one that was trained with generator.diffusion.relative_to: mean"
            )
        return residuals * self.left_over + self.regression(prepared)

    @torch.no_grad()
    def fit_regression(
        self, latents: Rows, prepared: Tensor, settings: DiffusionSettings, run: Run | None = None
    ) -> None:
        """Regress, where latents are modelled relative to regression.

        Args:
            latents: standardised, of the zoo's members [member, node, latent].
            prepared: coordinates of each member's environment [member, coordinate].
            settings: degrees, folds.
            run: whose memory says how many latents are looked at at once.
        """
        if self.regression is None:
            return
        run, regressed = run or Run(), settings.regression
        chosen = self.regression.fit(prepared, latents, regressed.degrees, regressed.folds, run)
        square = torch.zeros_like(self.left_over)
        for members in torch.arange(len(latents)).split(run.together(4 * math.prod(self.shape))):
            rest = latents[members].to(prepared.device) - self.regression(prepared[members])
            square = square + len(members) / len(latents) * rest.square().mean()
        left_over = square.sqrt()
        self.left_over.copy_(left_over.clamp(min=1e-8))
        print(f"diffusion: relative to regression ({chosen}), which leaves {float(left_over):.3g} over", flush=True)

    def loss(self, latents: Tensor, prepared: Tensor, draws: Draws) -> Tensor:
        """Mean squared error of what the transformer predicts, at random noise steps: a scalar.

        Args:
            latents: clean :meth:`residuals` [batch, node, latent].
            prepared: coordinates [batch, coordinate].
            draws: source of noise steps and noise.
        """
        noise_step = draws.integers(len(self.signal), len(latents))
        noise = draws.normal(*latents.shape)
        signal, spread = self.signal[noise_step, None, None], self.noise[noise_step, None, None]
        noised = signal * latents + spread * noise
        target = {
            "x0": latents,
            "epsilon": noise,
            "v": signal * noise - spread * latents,
        }[self.prediction]
        if self.dropout == 0.0:
            return (self.transformer(noised, noise_step, prepared) - target).square().mean()
        hidden = draws.uniform(len(latents)) < self.dropout
        return (self.transformer(noised, noise_step, prepared, hidden) - target).square().mean()

    def denoise(self, noised: Tensor, noise_step: int, prepared: Tensor | None) -> tuple[Tensor, Tensor]:
        """The predicted clean :meth:`residuals` and the noise that they imply, each [batch, node, latent]."""
        signal, spread = self.signal[noise_step], self.noise[noise_step]
        steps = torch.full((len(noised),), noise_step, dtype=torch.long, device=noised.device)
        predicted = self.transformer(noised, steps, prepared)
        if self.prediction == "x0":
            clean = predicted
        elif self.prediction == "v":
            clean = signal * noised - spread * predicted
        else:
            clean = (noised - spread * predicted) / signal
        return clean, (noised - signal * clean) / spread

    def sample(self, noise: Tensor, prepared: Tensor | None, steps: int) -> Tensor:
        """Deterministic sampling from given noise.

        Args:
            noise: standard normal [batch, node, latent].
            prepared: coordinates [batch, coordinate]; None samples the prior, of which nothing is known.
            steps: denoising steps; differentiable throughout.

        Returns:
            Standardised latents [batch, node, latent].

        Raises:
            InputError: nothing is known, and the diffusion was trained without condition dropout, or relative to
                regression.
        """
        noise_steps = torch.linspace(len(self.signal) - 1, 0, steps + 1).round().long().tolist()[:-1]
        latents = noise
        for index, noise_step in enumerate(noise_steps):
            clean, implied = self.denoise(latents, noise_step, prepared)
            if index == len(noise_steps) - 1:
                return self.whole(clean, prepared)
            later = noise_steps[index + 1]
            latents = self.signal[later] * clean + self.noise[later] * implied
        raise ValueError(f"steps: found {steps}, expected at least 1")
