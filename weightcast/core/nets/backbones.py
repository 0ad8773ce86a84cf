"""Backbones of autoregressive densities: features of the dimensions before -> outputs for the next dimension.

Both have two ways to be called: over all dimensions at once, for the likelihood of given samples, and one dimension at
a time, for drawing. Both give the same numbers. Their layers are plain linear ones, which ``torch.func.vmap`` batches
over members (a fused recurrent layer could not be), and which :class:`weightcast.core.graph.WeightGraph` reads node by
node.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GRUBackbone(nn.Module):
    """Gated recurrent units (Cho et al., EMNLP 2014), as in the reference of WeightFlow."""

    def __init__(self, features: int, outputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.input_gates = nn.ModuleList(
            nn.Linear(features if layer == 0 else hidden, 3 * hidden) for layer in range(layers)
        )
        self.state_gates = nn.ModuleList(nn.Linear(hidden, 3 * hidden) for _ in range(layers))
        self.head = nn.Linear(hidden, outputs)
        for parameter in [*self.input_gates.parameters(), *self.state_gates.parameters()]:
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden))

    def forward(self, features: Tensor) -> Tensor:
        """[batch, dimension, feature] -> [batch, dimension, output]; output i has seen features 0 to i."""
        sequence = features
        for input_gate, state_gate in zip(self.input_gates, self.state_gates, strict=True):
            projected = input_gate(sequence)  # of all dimensions at once: only the state's part is sequential
            state = features.new_zeros(len(features), self.hidden)
            states = []
            # Taken apart at once: the gradient of taking one at a time would fill the whole tensor for each.
            for from_input in projected.unbind(1):
                state = _gated(from_input, state_gate(state), state)
                states.append(state)
            sequence = torch.stack(states, dim=1)
        return self.head(sequence)

    def start(self, batch: int, device: torch.device | str = "cpu") -> Tensor:
        """What is known before the first dimension: [batch, layer, hidden]."""
        return torch.zeros(batch, len(self.state_gates), self.hidden, device=device)

    def step(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features [batch, feature] of one more dimension -> outputs [batch, output] for it, and the new state."""
        values, states = features, []
        for layer, (input_gate, state_gate) in enumerate(zip(self.input_gates, self.state_gates, strict=True)):
            values = _gated(input_gate(values), state_gate(state[:, layer]), state[:, layer])
            states.append(values)
        return self.head(values), torch.stack(states, dim=1)


class TransformerBackbone(nn.Module):
    """Causal self-attention over the dimensions (Vaswani et al., NeurIPS 2017), with learned positions."""

    def __init__(self, features: int, outputs: int, hidden: int, layers: int, heads: int, dimensions: int) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Linear(features, hidden)
        self.position = nn.Linear(dimensions, hidden, bias=False)  # of one-hot positions: one node a hidden unit
        self.query_key_value = nn.ModuleList(nn.Linear(hidden, 3 * hidden) for _ in range(layers))
        self.mix = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.widen = nn.ModuleList(nn.Linear(hidden, 4 * hidden) for _ in range(layers))
        self.narrow = nn.ModuleList(nn.Linear(4 * hidden, hidden) for _ in range(layers))
        self.head = nn.Linear(hidden, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """[batch, dimension, feature] -> [batch, dimension, output]; output i has seen features 0 to i."""
        return self._extend(features, self.start(len(features), features.device))[0]

    def start(self, batch: int, device: torch.device | str = "cpu") -> Tensor:
        """What is known before the first dimension: no keys and values yet [batch, 0, layer, 2 hidden]."""
        return torch.zeros(batch, 0, len(self.mix), 2 * self.head.in_features, device=device)

    def step(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features [batch, feature] of one more dimension -> outputs [batch, output] for it, and the new state.

        The state holds keys and values of the dimensions before, so that a draw costs one pass, not one a dimension.
        """
        outputs, new = self._extend(features[:, None], state)
        return outputs[:, 0], torch.cat([state, torch.stack(new, dim=2)], dim=1)

    def _extend(self, features: Tensor, state: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Features of further dimensions -> outputs, and for each layer its keys and values [batch, new, 2 hidden]."""
        new, seen = features.shape[1], state.shape[1]
        later = torch.full((new, seen + new), -torch.inf, device=features.device).triu(seen + 1)
        tokens = self.embed(features) + self.position.weight.T[seen : seen + new]
        keys_values = []
        for layer, mix in enumerate(self.mix):
            query, key_value = self.query_key_value[layer](_normed(tokens)).tensor_split([tokens.shape[-1]], dim=-1)
            keys_values.append(key_value)
            key, value = torch.cat([state[:, :, layer], key_value], dim=1).chunk(2, dim=-1)
            tokens = tokens + mix(self._attend(query, key, value, later))
            tokens = tokens + self.narrow[layer](F.gelu(self.widen[layer](_normed(tokens))))
        return self.head(_normed(tokens)), keys_values

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, later: Tensor) -> Tensor:
        """Queries [batch, new, hidden] of keys and values [batch, seen and new, hidden] -> [batch, new, hidden]."""
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for part in (query, key, value))
        weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]) + later).softmax(-1)
        return (weights @ value).transpose(-3, -2).flatten(-2)


def _gated(from_input: Tensor, from_state: Tensor, state: Tensor) -> Tensor:
    reset_input, update_input, new_input = from_input.chunk(3, dim=-1)
    reset_state, update_state, new_state = from_state.chunk(3, dim=-1)
    reset = torch.sigmoid(reset_input + reset_state)
    update = torch.sigmoid(update_input + update_state)
    return torch.lerp(torch.tanh(new_input + reset * new_state), state, update)


def _normed(tokens: Tensor) -> Tensor:
    """Layer norm without weights of its own: scale and shift are the next layer's."""
    return F.layer_norm(tokens, tokens.shape[-1:])
