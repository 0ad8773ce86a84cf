"""The weight VAE: a network's weights <-> a few latent numbers at each node of its weight graph.

EnvAd-Diff (arXiv 2505.13919): a map of each layer's own to a common width, attention over the nodes, and back. What is
coded is how weights deviate from their origin (:mod:`weightcast.environments.origin`), relative to the deviations' mean
over the zoo and in units of their layer's spread. Without an origin that is relative to the zoo's mean, as published.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from weightcast.core.graph import WeightGraph
from weightcast.core.nets.transformer import Block
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.origin import Origin
from weightcast.environments.weight_statistics import WeightStatistics, by_layer_of, extremes, of_all, of_each_weight


class WeightVAE(nn.Module):
    """Variational autoencoder over weight vectors of one architecture.

    Args:
        graph: of the predictor.
        settings: widths, depth, latent size.
        origin: a condition's coordinates -> the weights that deviations are from; none if None.
    """

    mean: Tensor
    spread: Tensor
    latent_mean: Tensor
    latent_scale: Tensor

    def __init__(self, graph: WeightGraph, settings: VAESettings, origin: Origin | None = None) -> None:
        super().__init__()
        self.graph = graph
        self.origin = origin
        self.latent = settings.latent
        self.normalisation = settings.normalisation
        self._build(settings)
        # Statistics of the zoo's deviations; set once, saved with the weights.
        self.register_buffer("mean", torch.zeros(graph.num_parameters))
        self.register_buffer("spread", torch.ones(graph.num_parameters))
        # Statistics of the encoded zoo: the diffusion sees latents of unit variance.
        self.register_buffer("latent_mean", torch.zeros(graph.num_nodes, settings.latent))
        self.register_buffer("latent_scale", torch.ones(graph.num_nodes, settings.latent))

    def _build(self, settings: VAESettings) -> None:
        """Make what encodes and decodes."""
        width, graph = settings.width, self.graph
        self.embed = nn.ModuleList(nn.Linear(layer.width, width) for layer in graph.layers)
        self.encoder_nodes = nn.Parameter(0.02 * torch.randn(graph.num_nodes, width))
        self.encoder = nn.Sequential(*(Block(width, settings.heads) for _ in range(settings.layers)))
        self.to_latent = nn.Linear(width, 2 * settings.latent)
        self.from_latent = nn.Linear(settings.latent, width)
        self.decoder_nodes = nn.Parameter(0.02 * torch.randn(graph.num_nodes, width))
        self.decoder = nn.Sequential(*(Block(width, settings.heads) for _ in range(settings.layers)))
        self.norm = nn.LayerNorm(width)
        self.unembed = nn.ModuleList(nn.Linear(width, layer.width) for layer in graph.layers)

    def decoder_parameters(self) -> list[nn.Parameter]:
        """What turns latents into weights, without the encoder."""
        parts = (self.from_latent, self.decoder, self.norm, self.unembed)
        return [self.decoder_nodes, *(parameter for part in parts for parameter in part.parameters())]

    def origins(self, prepared: Tensor) -> Tensor:
        """Coordinates [batch, coordinate] -> what deviations are from [batch, weight]; zeros without an origin."""
        if self.origin is None:
            return self.mean.new_zeros(len(prepared), len(self.mean))
        return self.origin(prepared)

    def fit_statistics(self, blocks: Iterable[Tensor]) -> None:
        """Take the units of weights, as the settings say, from a zoo's deviations, block by block [member, weight]."""
        if self.normalisation == "min-max":
            low, high = extremes(blocks, self.graph)  # each [layer]
            self.mean.copy_(self._of_layers(0.5 * (low + high)))
            self.spread.copy_(self._of_layers((0.5 * (high - low)).clamp(min=1e-8)))
            return
        squared = of_each_weight if self.normalisation == "weight" else by_layer_of(self.graph)
        found = WeightStatistics.of(blocks, squared)
        self.mean.copy_(found.mean)
        spread = found.square.sqrt().clamp(min=1e-8)
        self.spread.copy_(spread if self.normalisation == "weight" else self._of_layers(spread))

    def _of_layers(self, values: Tensor) -> Tensor:
        """A value of each layer [layer] for each of its weights [weight]."""
        layers = zip(values, self.graph.layers, strict=True)
        return self.graph.flat([value.expand(layer.nodes, layer.width) for value, layer in layers])

    @property
    def coding_numbers(self) -> int:
        """Numbers that coding one network takes, inside a block of attention: tokens, and four times their width."""
        return self.graph.num_nodes * 10 * self.norm.normalized_shape[0]

    @torch.no_grad()
    def fit_latent_statistics(self, blocks: Iterable[Tensor]) -> None:
        """Take mean and scale of each latent from the zoo's deviations, block by block [member, weight]."""
        # One scale for all keeps the latents' relative sizes: a latent that carries nothing must not be blown up.
        found = WeightStatistics.of((self.posterior(deviations)[0] for deviations in blocks), of_all)
        self.latent_mean.copy_(found.mean)
        self.latent_scale.copy_(found.square.sqrt().clamp(min=1e-8))

    def standardise(self, deviations: Tensor) -> list[Tensor]:
        """Deviations [batch, weight] -> tokens of each layer [batch, nodes, width], as they are coded."""
        return self.graph.tokens((deviations - self.mean) / self.spread)

    def embedded(self, deviations: Tensor) -> Tensor:
        """Deviations [batch, weight] -> nodes as the encoder is given them [batch, node, width]."""
        tokens = self.standardise(deviations)
        embedded = torch.cat([embed(layer) for embed, layer in zip(self.embed, tokens, strict=True)], dim=1)
        return embedded + self.encoder_nodes

    def posterior(self, deviations: Tensor) -> tuple[Tensor, Tensor]:
        """Deviations [batch, weight] -> mean and log-variance of the latents, each [batch, node, latent]."""
        mean, log_variance = self.to_latent(self.encoder(self.embedded(deviations))).chunk(2, dim=-1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def decode_tokens(self, latents: Tensor) -> list[Tensor]:
        """Latents [batch, node, latent] -> tokens of each layer [batch, nodes, width], as they are coded."""
        hidden = self.norm(self.decoder(self.from_latent(latents) + self.decoder_nodes))  # [batch, node, width]
        layers = hidden.split([layer.nodes for layer in self.graph.layers], dim=1)
        return [unembed(layer) for unembed, layer in zip(self.unembed, layers, strict=True)]

    def deviations(self, tokens: list[Tensor]) -> Tensor:
        """The inverse of :meth:`standardise`: tokens of each layer -> deviations [batch, weight]."""
        return self.mean + self.spread * self.graph.flat(tokens)

    def encode(self, weights: Tensor, prepared: Tensor) -> Tensor:
        """Mean latents of weights.

        Args:
            weights: [batch, weight].
            prepared: coordinates of the weights' environments [batch, coordinate].

        Returns:
            Standardised latents [batch, node, latent].
        """
        return self.encode_deviations(weights - self.origins(prepared))

    def encode_deviations(self, deviations: Tensor) -> Tensor:
        """The same of deviations from their origins [batch, weight]."""
        codes = self.posterior(deviations)[0]
        return (codes - self.latent_mean) / self.latent_scale

    def decode(self, latents: Tensor, prepared: Tensor) -> Tensor:
        """The inverse of :meth:`encode`: standardised latents and coordinates -> weights [batch, weight]."""
        tokens = self.decode_tokens(latents * self.latent_scale + self.latent_mean)
        return self.origins(prepared) + self.deviations(tokens)


class FlatVAE(WeightVAE):
    """The same without a weight graph: fully connected layers over all weights in a row, to latents and back.

    What attention over nodes is worth is seen beside it. Latents are as many, and the diffusion takes them as it does
    others, though a node's then say nothing of that node alone.
    """

    def _build(self, settings: VAESettings) -> None:
        width, weights = settings.width, self.graph.num_parameters
        latents = self.graph.num_nodes * settings.latent
        self.encoder = nn.Sequential(nn.Linear(weights, width), nn.GELU(), *_hidden(settings), nn.LayerNorm(width))
        self.to_latent = nn.Linear(width, 2 * latents)
        self.from_latent = nn.Linear(latents, width)
        self.decoder = nn.Sequential(nn.GELU(), *_hidden(settings), nn.LayerNorm(width))
        self.output = nn.Linear(width, weights)

    def decoder_parameters(self) -> list[nn.Parameter]:
        parts = (self.from_latent, self.decoder, self.output)
        return [parameter for part in parts for parameter in part.parameters()]

    def posterior(self, deviations: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder((deviations - self.mean) / self.spread)
        mean, log_variance = self.to_latent(hidden).unflatten(-1, (self.graph.num_nodes, -1)).chunk(2, dim=-1)
        return mean, log_variance.clamp(-12.0, 4.0)

    @property
    def coding_numbers(self) -> int:
        return self.graph.num_parameters

    def decode_tokens(self, latents: Tensor) -> list[Tensor]:
        return self.graph.tokens(self.output(self.decoder(self.from_latent(latents.flatten(1)))))


def new_vae(graph: WeightGraph, settings: VAESettings, origin: Origin | None = None) -> WeightVAE:
    """An untrained VAE with the coder that the settings name; see :class:`WeightVAE`."""
    return (FlatVAE if settings.coder == "flat" else WeightVAE)(graph, settings, origin)


def _hidden(settings: VAESettings) -> list[nn.Module]:
    width = settings.width
    return [layer for _ in range(settings.layers - 1) for layer in (nn.Linear(width, width), nn.GELU())]
