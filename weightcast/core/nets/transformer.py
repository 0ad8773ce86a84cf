"""Attention blocks over the nodes of a weight graph, plain or modulated by a condition (adaLN-zero).

After Peebles and Xie, "Scalable Diffusion Models with Transformers" (ICCV 2023).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Multi-head self-attention over all nodes."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, node, width] -> [batch, node, width]."""
        query, key, value = self._parts(tokens)
        mixed = F.scaled_dot_product_attention(query, key, value)  # [batch, head, node, width / heads]
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(self, tokens: Tensor) -> Tensor:
        """How much of each node goes to each: [batch, node, width] -> [batch, head, node, node]; rows add up to 1."""
        query, key, _ = self._parts(tokens)
        return (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)

    def _parts(self, tokens: Tensor) -> Tensor:
        """Query, key and value [3, batch, head, node, width / heads]."""
        return self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)


class Block(nn.Module):
    """Pre-norm attention and feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = _feed_forward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, node, width] -> [batch, node, width]."""
        tokens = tokens + self.attention(self.norm_attention(tokens))
        return tokens + self.mlp(self.norm_mlp(tokens))


class ConditionedBlock(nn.Module):
    """The same with adaLN-zero: the condition scales, shifts and gates both branches, and starts as the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = SelfAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = _feed_forward(width)
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)  # the zero of adaLN-zero: every block starts as the identity
        nn.init.zeros_(self.modulation.bias)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Tokens [batch, node, width], condition [batch, width] -> [batch, node, width]."""
        modulation = self.modulation(F.silu(condition))[:, None].chunk(6, dim=-1)  # each [batch, 1, width]
        shift_attention, scale_attention, gate_attention, shift_mlp, scale_mlp, gate_mlp = modulation
        normed = self.norm_attention(tokens) * (1.0 + scale_attention) + shift_attention
        tokens = tokens + gate_attention * self.attention(normed)
        normed = self.norm_mlp(tokens) * (1.0 + scale_mlp) + shift_mlp
        return tokens + gate_mlp * self.mlp(normed)


def _feed_forward(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def sinusoidal_features(values: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """Transformer position features of scalars: [batch] -> [batch, width], wavelengths from 2 pi to ``longest``."""
    half = width // 2
    frequencies = torch.exp(-math.log(longest) * torch.arange(half, device=values.device) / half)
    angle = values[:, None].float() * frequencies
    return torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1)
