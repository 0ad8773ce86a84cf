"""What frames leave open, and what encoders look at, against what is known to be true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weightcast.core.graph import WeightGraph
from weightcast.core.nets.transformer import SelfAttention
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.explain.encoder_attention import between_layers, encoder_attention, received
from weightcast.environments.open_directions import NARROWEST, WIDEST, CodeScale
from weightcast.environments.vae import WeightVAE


@pytest.fixture
def linear() -> tuple[CodeScale, np.ndarray, np.ndarray, np.ndarray]:
    """Codes that are a linear map of two parameters: scale, parameters, map, and the codes' mean."""
    random = np.random.default_rng(1)
    truth, mixing, offset = random.normal(size=(40, 2)) * (0.3, 2.0), random.normal(size=(2, 2)), np.array([1.0, -2.0])
    names = {"beta": truth[:, 0], "D": truth[:, 1], "fixed": np.ones(40)}
    return CodeScale.of(truth @ mixing + offset, names), truth, mixing, offset


def test_visible_environments_are_as_open_as_they_differ(linear) -> None:
    scale, truth, mixing, offset = linear
    everything = {one.quantity: one for one in scale.openness(truth @ mixing + offset, {"beta": 0.0, "D": 0.0})}
    assert list(everything) == ["direction 1", "direction 2", WIDEST, NARROWEST, "beta", "D"]  # one does not vary
    for one in everything.values():
        assert one.spread == pytest.approx(1.0)
    assert everything["beta"].explained == pytest.approx(1.0)
    assert everything["direction 1"].explained + everything["direction 2"].explained == pytest.approx(1.0)
    assert everything["direction 1"].explained > 0.5


def test_a_parameter_that_is_settled_leaves_the_other_alone_open(linear) -> None:
    scale, truth, mixing, offset = linear
    drawn = np.array([0.5, 0.0]) + np.random.default_rng(2).normal(size=(4000, 2)) * (0.0, 0.4)
    found = {one.quantity: one for one in scale.openness(drawn @ mixing + offset, {"beta": 0.5, "D": 0.0})}
    assert found["beta"].spread == pytest.approx(0.0, abs=1e-9) and found["beta"].error == pytest.approx(0.0, abs=1e-9)
    assert found["D"].spread == pytest.approx(0.4 / truth[:, 1].std(), rel=0.05)
    assert found["D"].error < 0.05
    assert found[NARROWEST].spread == pytest.approx(0.0, abs=1e-6)
    assert found[WIDEST].spread >= max(found["direction 1"].spread, found["direction 2"].spread)
    off = {one.quantity: one for one in scale.openness(drawn @ mixing + offset, {"beta": 0.8, "D": 0.0})}
    assert off["beta"].error == pytest.approx(0.3 / truth[:, 0].std(), rel=1e-6)


def test_attention_is_what_the_layer_computes_with() -> None:
    torch.manual_seed(0)
    layer, tokens = SelfAttention(8, 2), torch.randn(3, 5, 8)
    value = layer._parts(tokens)[2]
    mixed = layer.out((layer.weights(tokens) @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixed, layer(tokens))


def test_nodes_that_are_all_alike_are_looked_at_evenly() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Linear(6, 2))
    graph = WeightGraph(module)
    vae = WeightVAE(graph, VAESettings(width=8, heads=2, layers=2, latent=2, training={"steps": 1, "learning_rate": 1}))
    attention = encoder_attention(vae, [torch.randn(11, graph.num_parameters)], 11)
    assert attention.shape == (2, graph.num_nodes, graph.num_nodes)
    torch.testing.assert_close(attention.sum(2), torch.ones(2, graph.num_nodes))
    torch.testing.assert_close(between_layers(attention, graph).sum(2), torch.ones(2, len(graph.layers)))
    even = torch.full_like(attention, 1 / graph.num_nodes)
    torch.testing.assert_close(between_layers(even, graph)[0, 0], torch.tensor([6 / 8, 2 / 8]))
    torch.testing.assert_close(received(even), torch.ones(2, graph.num_nodes))
    torch.nn.init.zeros_(vae.encoder[0].attention.qkv.weight)
    torch.nn.init.zeros_(vae.encoder[0].attention.qkv.bias)
    torch.testing.assert_close(encoder_attention(vae, [torch.randn(2, graph.num_parameters)], 2)[0], even[0])
