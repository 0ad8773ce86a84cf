"""The perceptron that predicts states."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from weightcast.core.graph import WeightGraph
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


# --- the vector field ---


def rotation(substeps: int = 1, rate: float = 1.3) -> MLP:
    """A network that is exactly the linear vector field of a damped rotation: gelu(x) - gelu(-x) is x."""
    net = MLP(2, 4, 1, "gelu", integrator="rk4", substeps=substeps).double()
    field = torch.tensor([[-0.1, rate], [-rate, -0.1]], dtype=torch.float64)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.layers[0].weight.copy_(torch.cat([torch.eye(2), -torch.eye(2)]))
        net.output.weight.copy_(torch.cat([field, -field], 1))
    return net


STATES = torch.tensor([[1.0, 0.0], [0.3, -2.0]], dtype=torch.float64)[..., None, None]


def exact_rotation(length: float, rate: float = 1.3) -> torch.Tensor:
    field = torch.tensor([[-0.1, rate], [-rate, -0.1]], dtype=torch.float64)
    return (STATES[..., 0, 0] @ torch.linalg.matrix_exp(length * field).mT)[..., None, None]


def test_a_vector_field_is_integrated_to_fourth_order():
    errors = [(rotation(count)(STATES) - exact_rotation(1.0)).abs().max().item() for count in (2, 4, 8)]
    orders = [torch.log2(torch.tensor(one / other)).item() for one, other in itertools.pairwise(errors)]
    assert orders == pytest.approx([4, 4], abs=0.2)
    assert errors[-1] < 1e-4


@pytest.mark.parametrize("length", [0.25, 1.0, 1.7])
def test_steps_of_a_vector_field_have_any_length(length):
    torch.testing.assert_close(rotation(16)(STATES, length), exact_rotation(length), rtol=1e-5, atol=1e-5)
    halves = rotation()(rotation()(STATES, length / 2), length / 2)
    torch.testing.assert_close(halves, rotation(2)(STATES, length))
    torch.testing.assert_close(rotation(8)(rotation(8)(STATES, length), -length), STATES, rtol=1e-4, atol=1e-4)


def test_a_map_knows_no_step_but_its_own():
    net = MLP(2, 4, 1, "gelu")
    assert torch.equal(net(torch.ones(1, 2, 1, 1), 1.0), net(torch.ones(1, 2, 1, 1)))
    with pytest.raises(ValueError, match=r"step of 0\.5"):
        net(torch.ones(1, 2, 1, 1), 0.5)


def test_a_vector_field_survives_its_weight_graph():
    net = MLP(3, 5, 2, "silu", integrator="rk4", substeps=2)
    graph, states = WeightGraph(net), torch.randn(4, 3, 1, 1)
    flat = graph.read(net)
    assert torch.equal(graph.flat(graph.tokens(flat)), flat)
    again = MLP(3, 5, 2, "silu", integrator="rk4", substeps=2)
    graph.write(again, flat)
    assert torch.equal(again(states), net(states))
    assert not torch.equal(MLP(3, 5, 2, "silu")(states), net(states))
