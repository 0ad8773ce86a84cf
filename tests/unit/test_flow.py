"""The flow of weights: its integration against exact solutions, its paths, and its artifact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from refusals import refused
from scipy.interpolate import CubicSpline
from scipy.linalg import expm
from tiny_flows import DENSITY, EVEN, UNEVEN, anchors, arm, flow_of, settings
from torch import Tensor, nn

from weightcast.core.artifacts import save_artifact
from weightcast.evolution.config.flow import SolverSettings
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.flow_artifact import FlowArtifact


class Linear(nn.Module):
    """A known field: a matrix times the weights, times a function of time."""

    def __init__(self, matrix: Tensor, rate=lambda times: torch.ones_like(times)) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)
        self.rate = rate

    def forward(self, times: Tensor, weights: Tensor) -> Tensor:
        return (self.rate(times)[:, None] * (weights @ self.matrix.T))[:, None]


class Clock(nn.Module):
    """A field of time alone."""

    def __init__(self, rate) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, times: Tensor, weights: Tensor) -> Tensor:
        return self.rate(times)[:, None, None].expand(-1, 1, weights.shape[1])


PARAMETERS = DENSITY.graph.num_parameters
MATRIX = torch.from_numpy(np.random.default_rng(2).normal(size=(PARAMETERS, PARAMETERS)) / PARAMETERS**0.5).double()
STARTS = torch.from_numpy(np.random.default_rng(3).normal(size=(2, PARAMETERS)))
STRETCHES = torch.tensor([[0.0, 0.1, 0.5, 0.7], [0.3, 0.6, 0.65, 1.0]]).double()


def wave(times: Tensor) -> Tensor:
    return 1 + torch.sin(4 * times)


def wave_integral(times: np.ndarray) -> np.ndarray:
    return times - np.cos(4 * times) / 4


def exact_linear() -> np.ndarray:
    """[point, stretch, parameter]: the matrix commutes with itself, so its exponential solves the equation."""
    found = np.zeros((4, 2, PARAMETERS))
    for stretch, (start, times) in enumerate(zip(STARTS.numpy(), STRETCHES.numpy(), strict=True)):
        for point, time in enumerate(times):
            found[point, stretch] = expm(MATRIX.numpy() * (wave_integral(time) - wave_integral(times[0]))) @ start
    return found


def linear_flow() -> WeightFlow:
    flow = flow_of(anchors(), start="rest")
    flow.field = Linear(MATRIX.clone(), wave)
    return flow


# --- integration ---


@pytest.mark.parametrize(("method", "order"), [("rk4", 4), ("midpoint", 2), ("euler", 1)])
def test_fixed_steps_solve_a_linear_equation_with_the_order_of_their_method(method, order):
    """Stretches of uneven pieces; between 8, 16 and 32 steps a piece the error falls by 2 to the order, to a tenth."""
    flow, exact = linear_flow(), exact_linear()
    with torch.no_grad():
        errors = [
            np.abs(flow.integrate(STARTS, STRETCHES, SolverSettings(method=method, steps=steps)).numpy() - exact).max()
            for steps in (8, 16, 32)
        ]
    orders = -np.diff(np.log2(errors))
    assert orders == pytest.approx([order, order], rel=0.1)
    assert errors[-1] < {4: 1e-7, 2: 1e-3, 1: 0.1}[order]


def test_the_adaptive_solver_solves_a_linear_equation_to_its_tolerance():
    flow, exact = linear_flow(), exact_linear()
    with torch.no_grad():
        errors = [
            np.abs(
                flow.integrate(STARTS, STRETCHES, SolverSettings(method="dopri5", tolerance=tolerance)).numpy() - exact
            )
            for tolerance in (1e-3, 1e-6, 1e-9)
        ]
    for error, most in zip(errors, (1e-1, 1e-4, 1e-7), strict=True):
        assert error.max() < most
    assert errors[2].max() < errors[1].max() < errors[0].max()


@pytest.mark.parametrize("method", ["rk4", "midpoint", "dopri5"])
def test_every_stretch_is_integrated_at_its_own_times(method):
    """The field depends on time alone, so the displacement is its integral from the stretch's start."""
    flow = flow_of(anchors(), start="rest")
    flow.field = Clock(lambda times: torch.cos(5 * times))
    times = torch.tensor([[0.0, 0.2, 0.3], [0.3, 0.5, 0.9], [0.7, 0.75, 1.0]]).double()
    starts = torch.zeros(3, PARAMETERS).double()
    with torch.no_grad():
        found = flow.integrate(starts, times, SolverSettings(method=method, steps=50, tolerance=1e-9))
    expected = (torch.sin(5 * times) - torch.sin(5 * times[:, :1])) / 5
    for parameter in (0, -1):
        torch.testing.assert_close(found[..., parameter].T, expected, atol=1e-4, rtol=0)
    alone = torch.cat([flow.integrate(starts[:1], row[None], SolverSettings(method=method, steps=50, tolerance=1e-9))
                       for row in times], dim=1)  # fmt: skip
    torch.testing.assert_close(found, alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_the_adjoint_gradient_is_the_direct_one(method):
    """Of the start and of the field's own parameters; 16 steps a piece or tolerance 1e-9, relative error 1e-5."""
    gradients = []
    for adjoint in (False, True):
        flow, starts = linear_flow(), STARTS.clone().requires_grad_()
        solver = SolverSettings(method=method, steps=16, tolerance=1e-9, adjoint=adjoint)
        reached = flow.integrate(starts, STRETCHES, solver)
        weighting = torch.linspace(-1, 1, reached.numel()).double().reshape(reached.shape)
        (reached.square() * weighting).sum().backward()
        gradients.append((starts.grad, flow.field.matrix.grad))
    for direct, adjoint in zip(*gradients, strict=True):
        assert (direct - adjoint).abs().max() < 1e-5 * direct.abs().max()


def test_the_adjoint_gradient_reaches_the_field_of_a_controlled_flow():
    """The attention network in single precision, its output layers away from zero; 16 steps, relative error 2e-3."""
    of = anchors(UNEVEN)
    gradients = []
    for adjoint in (False, True):
        flow = flow_of(of, "cde", "rest")
        times = flow.grid[torch.tensor([[0, 1, 2], [2, 3, 4]])]
        solver = SolverSettings(steps=16, adjoint=adjoint)
        flow.integrate(flow.standardise(of.weights[[0, 2]]), times, solver)[1:].square().sum().backward()
        gradients.append([parameter.grad for parameter in flow.field.parameters()])
    assert all(gradient.abs().max() > 0 for gradient in gradients[0])
    for direct, adjoint in zip(*gradients, strict=True):
        assert (direct - adjoint).abs().max() < 2e-3 * max(direct.abs().max(), 1.0)


# --- the equation ---


@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_the_velocity_is_the_field_times_the_control_paths_and_the_splines(dynamics):
    of = anchors(UNEVEN)
    flow = flow_of(of, dynamics, control_path={"kind": "pca", "dimensions": 3})
    channels = 3 if dynamics == "cde" else 1
    assert flow.field.channels == channels
    matrix = torch.randn(2, channels, PARAMETERS, generator=torch.Generator().manual_seed(0))
    flow.field.forward = lambda times, weights: matrix
    times = torch.tensor([0.13, 0.71])
    grid = (UNEVEN - UNEVEN[0]) / (UNEVEN[-1] - UNEVEN[0])
    drive = np.ones((2, 1))
    if dynamics == "cde":
        drive = CubicSpline(grid, flow.control.codes.double(), bc_type="natural")(times, 1)
    spline = CubicSpline(grid, flow.standardise(of.weights).double(), bc_type="natural")(times, 1)
    expected = np.einsum("bc,bcp->bp", drive, matrix.double()) + spline
    found = flow.velocity(times, torch.zeros(2, PARAMETERS))
    assert found.detach().double().numpy() == pytest.approx(expected, abs=1e-3 * np.abs(expected).max())
    flow.spline = None
    assert flow.velocity(times, torch.zeros(2, PARAMETERS)).numpy() == pytest.approx(expected - spline, abs=1e-3)


def test_the_field_sees_weights_and_time():
    flow = flow_of(anchors(), "cde", "rest")
    weights = flow.standardise(anchors().weights)[:2]
    with torch.no_grad():
        one = flow.field(torch.tensor([0.2, 0.2]), weights)
        later = flow.field(torch.tensor([0.7, 0.2]), weights)
        moved = flow.field(torch.tensor([0.2, 0.2]), weights + torch.tensor([[1.0], [0.0]]))
    assert one.shape == (2, 2, PARAMETERS)
    for other in (later, moved):
        assert (other[0] - one[0]).abs().max() > 1e-3
        torch.testing.assert_close(other[1], one[1])


def test_standardised_anchors_have_unit_scale_in_every_layer():
    of = anchors()
    flow = flow_of(of)
    standardised = flow.standardise(of.weights)
    torch.testing.assert_close(flow.restore(standardised), of.weights)
    for tokens in DENSITY.graph.tokens(standardised):
        assert float(tokens.square().mean()) == pytest.approx(1, abs=1e-3)
        assert float(tokens.mean(0).abs().max()) < 1e-4


# --- paths ---


@pytest.mark.parametrize("solver", [{}, {"steps": 3}, {"method": "dopri5", "tolerance": 1e-6}], ids=str)
@pytest.mark.parametrize("times", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_an_untrained_flow_from_the_anchors_is_their_natural_cubic_spline(dynamics, times, solver):
    """At the anchors, between them and beyond the last."""
    of = anchors(times)
    flow = flow_of(of, dynamics, solver=solver)
    grid = (times - times[0]) / (times[-1] - times[0])
    spline = CubicSpline(grid, of.weights.double(), bc_type="natural")
    wanted = np.concatenate([grid, np.linspace(0, 1, 23)])
    found = flow.path(torch.from_numpy(wanted).float())
    assert found.double().numpy() == pytest.approx(spline(wanted), abs=1e-4)
    torch.testing.assert_close(found[: len(times)], of.weights, atol=1e-4, rtol=0)
    beyond = np.array([1.05, 1.3])
    assert flow.path(torch.from_numpy(beyond).float()).double().numpy() == pytest.approx(spline(beyond), abs=1e-3)


@pytest.mark.parametrize("start", ["anchors", "rest"])
@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_weights_at_a_time_do_not_depend_on_which_other_times_are_asked(dynamics, start):
    of = anchors(UNEVEN)
    flow = flow_of(of, dynamics, start)
    for layer in flow.field.unembed:
        nn.init.normal_(layer.weight, std=0.1)
    times = torch.tensor([0.9, 0.0, 0.31, 1.0, 0.31, 1.4])
    together = flow.path(times)
    for time, found in zip(times, together, strict=True):
        torch.testing.assert_close(flow.path(time[None])[0], found, atol=1e-5, rtol=1e-5)
    assert torch.equal(together[2], together[4])
    torch.testing.assert_close(flow.path(torch.tensor([-0.5, 0.0])), of.weights[[0, 0]], atol=1e-6, rtol=0)
    assert (together[0] - of.weights[0]).abs().max() > 1e-3


def test_a_path_is_one_integration_from_the_start():
    """Asked between anchors, it is where the equation solved from the very start arrives."""
    flow = flow_of(anchors(UNEVEN), "cde", "rest", solver={"steps": 8})
    time = torch.tensor([[0.0, 0.42]])
    with torch.no_grad():
        direct = flow.restore(flow.integrate(flow.standardise(flow.start)[None], time, SolverSettings(steps=80))[-1])
    torch.testing.assert_close(flow.path(time[0, 1:]), direct, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_a_flow_moves_smoothly_in_time(dynamics):
    """From rest: one step between two of eleven anchors finds the path that 20 find, to a twentieth of its length, and
    asked at 401 times it is not longer by more than a fiftieth, as it would be if the field knew time too finely."""
    of = anchors(np.linspace(0, 1, 11))
    flow = flow_of(of, dynamics, "rest")
    coarse = flow.path(torch.linspace(0, 1, 401))
    flow.solver = SolverSettings(steps=20)
    fine = flow.path(torch.linspace(0, 1, 401))
    length = fine.diff(dim=0).norm(dim=1).sum()
    assert (coarse - fine).norm(dim=1).max() < 0.05 * length
    assert coarse.diff(dim=0).norm(dim=1).sum() < 1.02 * length


# --- artifact ---


@pytest.mark.parametrize("start", ["anchors", "rest"])
@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_a_flow_survives_its_artifact(dynamics, start, tmp_path):
    flow = flow_of(anchors(UNEVEN), dynamics, start, solver={"steps": 2})
    for layer in flow.field.unembed:
        nn.init.normal_(layer.weight, std=0.1)
    path = tmp_path / "flow.safetensors"
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    chosen, metadata = settings(solver={"steps": 2}), {"times": [2.0, 10.0]}
    FlowArtifact(flow, DENSITY, arm(dynamics, start), chosen, metadata).save(path)
    read = FlowArtifact.load(path)
    again, density, metadata = read.flow, read.density, read.metadata
    assert torch.equal(torch.rand(2), expected)
    times = torch.tensor([0.0, 0.3, 0.77, 1.0, 1.2])
    torch.testing.assert_close(again.path(times), flow.path(times), atol=1e-6, rtol=1e-6)
    assert all(torch.equal(found, flow.state_dict()[name]) for name, found in again.state_dict().items())
    assert density.architecture == DENSITY.architecture
    assert metadata["flow_arm"]["dynamics"] == dynamics
    assert metadata["times"] == [2.0, 10.0]
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert path.read_bytes()[8:9] == b"{"


def test_an_artifact_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "anchors.safetensors"
    save_artifact(path, "anchors", {"weights": torch.zeros(1)}, {})
    with refused(path, "'anchors'", "'flow'"):
        FlowArtifact.load(path)
