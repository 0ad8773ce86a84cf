"""What the encoder of a weight VAE looks at: the attention between the nodes of its weight graph, over a zoo."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from weightcast.core.graph import WeightGraph
from weightcast.core.nets.transformer import Block
from weightcast.environments.vae import WeightVAE

TOGETHER = 8
"""Networks that are encoded at once: of each, attention is a number for every pair of nodes, head and block."""


@torch.no_grad()
def encoder_attention(vae: WeightVAE, deviations: Iterable[Tensor], networks: int) -> Tensor:
    """Attention of each block of the encoder, averaged over heads and networks.

    Args:
        vae: with attention over the nodes.
        deviations: of a zoo's weights from their origins, block by block [network, weight].
        networks: of all blocks.

    Returns:
        [block, node, node]: how much of what a node (second axis) is told comes from each other; these add up to 1.
    """
    blocks = [block for block in vae.encoder if isinstance(block, Block)]
    attention = vae.mean.new_zeros(len(blocks), vae.graph.num_nodes, vae.graph.num_nodes)
    for part in (part for some in deviations for part in some.split(TOGETHER)):
        tokens = vae.embedded(part)
        for number, block in enumerate(blocks):
            attention[number] += block.attention.weights(block.norm_attention(tokens)).mean(1).sum(0)
            tokens = block(tokens)
    return attention / networks


def between_layers(attention: Tensor, graph: WeightGraph) -> Tensor:
    """Attention between nodes [block, node, node] -> between layers of the predictor [block, layer, layer].

    A row says where the nodes of a layer look, on average; it adds up to 1.
    """
    sizes = [layer.nodes for layer in graph.layers]
    columns = torch.stack([part.sum(2) for part in attention.split(sizes, dim=2)], dim=2)  # [block, node, layer]
    return torch.stack([part.mean(1) for part in columns.split(sizes, dim=1)], dim=1)


def received(attention: Tensor) -> Tensor:
    """How much each node is looked at [block, node]: 1 as if all were alike."""
    return attention.mean(1) * attention.shape[2]
