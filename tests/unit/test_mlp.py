"""The perceptron that predicts states."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from weightcast.core.nets.mlp import MLP


@pytest.mark.parametrize(("activation", "module"), [("tanh", nn.Tanh()), ("gelu", nn.GELU()), ("silu", nn.SiLU())])
def test_it_is_a_perceptron_of_the_state(activation, module):
    net = MLP(3, 5, 2, activation, residual=False)
    first, second = net.layers
    states = torch.randn(4, 3)

    expected = nn.Sequential(first, module, second, module, net.output)(states)

    torch.testing.assert_close(net(states[..., None, None]), expected[..., None, None])


def test_a_residual_one_predicts_the_increment():
    net = MLP(3, 5, 1, "tanh")
    states = torch.randn(4, 3, 1, 1)
    step = net(states) - states
    net.residual = False

    torch.testing.assert_close(net(states), step)
    assert step.abs().max() > 1e-3


@pytest.mark.parametrize("grid", [(2, 2), (1, 3), (3, 1)])
def test_a_field_is_refused_rather_than_mapped_point_by_point(grid):
    with pytest.raises(RuntimeError, match="shape"):
        MLP(3, 5, 1, "gelu")(torch.randn(4, 3, *grid))
