"""The flow of weights: its integration against exact solutions, its training, and its artifact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from refusals import refused
from scipy.interpolate import CubicSpline
from scipy.linalg import expm
from torch import Tensor, nn

from weightcast.artifacts import save_artifact
from weightcast.config.time.anchors import BridgeSettings
from weightcast.config.time.density import DensitySettings
from weightcast.config.time.flow import ControlPathSettings, FlowArm, FlowSettings, FlowTraining, SolverSettings
from weightcast.time import flow_training
from weightcast.time.anchors import Anchors
from weightcast.time.bridge import Bridge
from weightcast.time.control_path import ControlPath, encode_anchors
from weightcast.time.density import StackedDensity
from weightcast.time.flow import WeightFlow
from weightcast.time.flow_artifact import load_flow, save_flow
from weightcast.time.flow_training import bridge_of, draw_stretches, new_flow, train_flow
from weightcast.time.snapshots import Snapshots
from weightcast.time.state_space import Counts
from weightcast.training import Resume

DENSITY = StackedDensity.new(DensitySettings(hidden=3), Counts(4, 2), seed=0)
EVEN = np.array([2.0, 3.0, 4.0, 5.0, 6.0])
UNEVEN = np.array([2.0, 2.5, 4.0, 5.5, 10.0])
SHORT = {"steps": 40, "learning_rate": 0.003, "segments": 4, "longest": 3, "batch": 64}


def arm(dynamics: str = "ode", start: str = "anchors", **changes) -> FlowArm:
    return FlowArm(dynamics=dynamics, anchors="joint", start=start, **changes)


def settings(**changes) -> FlowSettings:
    plain = {"arms": {"a": arm()}, "width": 16, "heads": 2, "layers": 1, "anchor_training": SHORT,
             "likelihood_training": SHORT}  # fmt: skip
    return FlowSettings.model_validate(plain | changes)


def anchors(times: np.ndarray = EVEN, size: float = 0.6) -> Anchors:
    """Weights that follow a curve in three dimensions, around those of a freshly initialised density."""
    random = np.random.default_rng(0)
    scaled = (times - times[0]) / (times[-1] - times[0])
    curve = np.stack([np.sin(3 * scaled), scaled**2, np.cos(5 * scaled)], axis=1)
    moved = torch.from_numpy(size * curve @ random.normal(size=(3, DENSITY.graph.num_parameters))).float()
    return Anchors(times, DENSITY.initial_weights(0) + moved, DENSITY, {"anchors": "joint"})


def flow_of(of: Anchors, dynamics: str = "ode", start: str = "anchors", **changes) -> WeightFlow:
    return new_flow(of, arm(dynamics, start), settings(**changes), seed=1)


def snapshots_of(times: np.ndarray = EVEN, count: int = 100) -> Snapshots:
    """Counts in 0 to 3 whose mean rises with time."""
    random = np.random.default_rng(1)
    shares = np.linspace(0.1, 0.9, len(times))
    train, held_out = (tuple(random.binomial(3, share, (count, 2)).astype(float) for share in shares) for _ in range(2))
    return Snapshots(times, np.ones(len(times), bool), train, held_out, ("a", "b"), 4)


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


# --- the control path ---


@pytest.mark.parametrize("kind", ["pca", "mds", "isomap", "autoencoder"])
@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.filterwarnings("error")
def test_every_projection_gives_centred_codes_of_unit_variance(kind, dimensions):
    times = np.linspace(0, 1, 9)
    weights = anchors(times).weights - anchors(times).weights.mean(0)
    chosen = ControlPathSettings(kind=kind, dimensions=dimensions, steps=60, neighbours=4)
    codes = encode_anchors(weights, chosen, seed=0)
    assert codes.shape == (9, dimensions)
    torch.testing.assert_close(codes.mean(0), torch.zeros(dimensions), atol=1e-5, rtol=0)
    torch.testing.assert_close(codes.square().mean(0), torch.ones(dimensions), atol=1e-4, rtol=0)
    assert torch.equal(encode_anchors(weights, chosen, seed=0), codes)
    # neighbours in time stay neighbours: steps along the path are shorter than jumps across it
    steps = (codes[1:] - codes[:-1]).norm(dim=1).mean()
    assert steps < 0.8 * torch.cdist(codes, codes).mean() * 9 / 8


def test_anchors_on_a_line_have_codes_in_their_order():
    weights = torch.linspace(-1, 1, 6)[:, None] * torch.randn(40, generator=torch.Generator().manual_seed(0))
    for kind in ("pca", "mds", "isomap", "autoencoder"):
        codes = encode_anchors(weights, ControlPathSettings(kind=kind, dimensions=1, steps=100), seed=0)[:, 0]
        assert torch.equal(codes.diff().sign().abs(), torch.ones(5))
        assert abs(float(codes.diff().sign().sum())) == 5


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # scikit-learn's, of equal anchors
def test_no_more_codes_than_anchors_span():
    weights = anchors().weights
    assert encode_anchors(weights[:3], ControlPathSettings(dimensions=8), 0).shape == (3, 2)
    assert encode_anchors(torch.outer(torch.arange(5.0), weights[0]), ControlPathSettings(dimensions=3), 0).shape == (
        5,
        1,
    )
    assert encode_anchors(weights[[0, 0, 0]], ControlPathSettings(dimensions=2), 0).tolist() == [[0.0]] * 3


def test_the_control_path_is_the_natural_cubic_spline_through_its_codes():
    times, codes = torch.tensor([0.0, 0.1, 0.5, 1.0]), torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    path = ControlPath(times, codes)
    spline = CubicSpline(times.double(), codes.double(), bc_type="natural")
    wanted = torch.linspace(0, 1, 31)
    assert path.position(wanted).double().numpy() == pytest.approx(spline(wanted), abs=1e-4)
    assert path.velocity(wanted).double().numpy() == pytest.approx(spline(wanted, 1), abs=1e-3)


# --- training ---


def distance_to_anchors(flow: WeightFlow, of: Anchors) -> float:
    return float((flow.standardise(flow.path(flow.grid)) - flow.standardise(of.weights)).square().mean())


@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_training_towards_the_anchors_brings_the_path_to_them(dynamics):
    """From rest, 100 steps: the squared distance along the whole path, held against that before, at least halves."""
    of = anchors()
    training = SHORT | {"steps": 100, "learning_rate": 0.008}
    flow = flow_of(of, dynamics, "rest")
    before = distance_to_anchors(flow, of)
    bridge = Bridge(EVEN, snapshots_of().train, True, BridgeSettings(per_interval=1), 0)
    results = train_flow(flow, of, bridge, "anchors", settings(anchor_training=training), seed=0)
    assert list(results) == ["anchors"]
    losses = results["anchors"].losses[:, 0]
    assert losses[-25:].mean() < 0.5 * losses[:25].mean()
    assert distance_to_anchors(flow, of) < 0.5 * before


def path_likelihood(flow: WeightFlow, of: Anchors, bridge: Bridge, times: np.ndarray) -> float:
    """Mean negative log-likelihood along the path of samples that training has not drawn."""
    scaled = torch.from_numpy((bridge.times - times[0]) / (times[-1] - times[0])).float()
    with torch.no_grad():
        return -float(of.density.log_prob(flow.path(scaled), bridge.draw(400, seed=12345)).mean())


@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_likelihood_training_improves_a_path_of_bad_anchors(dynamics):
    """From random anchors, 40 steps, along a bridge twice as fine: by at least 0.1 nats, and towards the entropy."""
    of, snapshots = anchors(UNEVEN), snapshots_of(UNEVEN)
    bridge = bridge_of(snapshots, of, arm(), BridgeSettings(per_interval=2), seed=0)
    flow = flow_of(of, dynamics)
    before = path_likelihood(flow, of, bridge, UNEVEN)
    chosen = settings(likelihood_training=SHORT | {"steps": 40, "learning_rate": 0.005})
    results = train_flow(flow, of, bridge, "likelihood", chosen, seed=0)
    assert list(results) == ["likelihood"]
    assert path_likelihood(flow, of, bridge, UNEVEN) < before - 0.1


@pytest.mark.parametrize("per_interval", [1, 3])
def test_the_likelihood_loss_by_hand(per_interval, monkeypatch):
    """A stretch from the second anchor to the fourth: the likelihood of each time's own samples, and the energy."""
    of, snapshots = anchors(UNEVEN), snapshots_of(UNEVEN)
    bridge = bridge_of(snapshots, of, arm(), BridgeSettings(per_interval=per_interval), seed=0)
    flow = flow_of(of, "ode", "rest")
    draws = []
    draw = Bridge.draw
    monkeypatch.setattr(Bridge, "draw", lambda self, *arguments: draws.append(draw(self, *arguments)) or draws[-1])
    monkeypatch.setattr(flow_training, "draw_stretches", lambda *_: (torch.tensor([1]), 2))
    passed = range(per_interval, 3 * per_interval + 1)
    scaled = torch.from_numpy((bridge.times[passed] - 2) / 8).float()
    with torch.no_grad():
        losses = [
            float(flow_training._likelihood_loss(flow, of, bridge, settings(energy=energy), 0)(0))
            for energy in (0.0, 0.02)
        ]
        path = flow.restore(flow.integrate(flow.standardise(of.weights[1:2]), scaled[None])[:, 0])
        likelihoods = [
            DENSITY.log_prob(weights[None], draws[0][place][None]).mean()
            for weights, place in zip(path[1:], passed[1:], strict=True)
        ]
    assert losses[0] == pytest.approx(-float(torch.stack(likelihoods).mean()), abs=1e-4)
    speed = path.diff(dim=0) / scaled.diff()[:, None]
    assert losses[1] - losses[0] == pytest.approx(0.5 * 0.02 * float(speed.square().sum(1).mean()), rel=1e-3)


def test_the_anchor_loss_by_hand(monkeypatch):
    """Two stretches over two anchors each, from their own anchors at their own times."""
    of = anchors(UNEVEN)
    flow = flow_of(of, "cde", "rest")
    monkeypatch.setattr(flow_training, "draw_stretches", lambda *_: (torch.tensor([0, 2]), 2))
    standardised = flow.standardise(of.weights)
    errors = []
    with torch.no_grad():
        for first in (0, 2):
            reached = flow.integrate(standardised[first][None], flow.grid[first : first + 3][None])[1:, 0]
            errors.append((reached - standardised[first + 1 : first + 3]).square().mean())
        loss = flow_training._anchor_loss(flow, of, FlowTraining(**SHORT), 0)(0)
    assert float(loss) == pytest.approx(float(torch.stack(errors).mean()), rel=1e-4)


def test_both_objectives_are_trained_one_after_the_other_and_go_on_after_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr("weightcast.training.SAVE_EVERY_SECONDS", 0.0)
    of, snapshots = anchors(), snapshots_of()
    bridge = bridge_of(snapshots, of, arm(), BridgeSettings(per_interval=1), seed=0)
    chosen = settings(anchor_training=SHORT | {"steps": 5}, likelihood_training=SHORT | {"steps": 6})
    whole = flow_of(of, "cde", "rest")
    results = train_flow(whole, of, bridge, "both", chosen, seed=0)
    assert {name: len(result.losses) for name, result in results.items()} == {"anchors": 5, "likelihood": 6}

    resume = Resume(tmp_path, "0" * 64)
    draw, drawn = Bridge.draw, []

    def interrupted(self, batch, seed):
        drawn.append(seed)
        if len(drawn) == 4:
            raise InterruptedError
        return draw(self, batch, seed)

    monkeypatch.setattr(Bridge, "draw", interrupted)
    with pytest.raises(InterruptedError):
        train_flow(flow_of(of, "cde", "rest"), of, bridge, "both", chosen, 0, resume)
    again = flow_of(of, "cde", "rest")
    train_flow(again, of, bridge, "both", chosen, 0, resume)
    assert len(drawn) == 4 + 3  # of six steps three were done
    assert all(torch.equal(*pair) for pair in zip(again.parameters(), whole.parameters(), strict=True))


def test_stretches_lie_on_the_path_and_a_quarter_of_the_steps_take_all_of_it():
    training = FlowTraining(steps=1, learning_rate=1, segments=6, longest=3)
    drawn = [draw_stretches(8, training, seed) for seed in range(400)]
    whole = [first for first, length in drawn if length == 7]
    assert len(whole) / 400 == pytest.approx(0.25, abs=0.08)
    assert all(first.tolist() == [0] for first in whole)
    short = [(first, length) for first, length in drawn if length != 7]
    assert {length for _, length in short} == {1, 2, 3}
    assert all(len(first) == 6 for first, _ in short)
    for length in (1, 2, 3):
        starts = torch.cat([first for first, found in short if found == length])
        assert (int(starts.min()), int(starts.max())) == (0, 7 - length)
    assert {length for _, length in (draw_stretches(2, training, seed) for seed in range(20))} == {1}


def test_a_likelihood_is_of_samples_between_the_snapshots_where_the_arm_or_its_anchors_say_so():
    snapshots, chosen = snapshots_of(), BridgeSettings(per_interval=3)
    at_snapshots = anchors()
    finer = anchors(np.linspace(2, 6, 13))
    lengths = [
        len(bridge_of(snapshots, of, arm(bridged=bridged), chosen, 0).times)
        for of, bridged in itertools.product((at_snapshots, finer), (False, True))
    ]
    assert lengths == [5, 13, 13, 13]


def test_the_seed_determines_a_new_flow_and_leaves_the_callers_random_state():
    of = anchors()
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    first, again = (new_flow(of, arm("cde", "rest"), settings(), 7) for _ in range(2))
    assert torch.equal(torch.rand(2), expected)
    other = new_flow(of, arm("cde", "rest"), settings(), 8)
    times = torch.tensor([0.5])
    assert torch.equal(first.path(times), again.path(times))
    assert not torch.equal(first.path(times), other.path(times))


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
    save_flow(path, flow, DENSITY, arm(dynamics, start), settings(solver={"steps": 2}), {"times": [2.0, 10.0]})
    again, density, metadata = load_flow(path)
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
        load_flow(path)
