"""Partial differential equations as predictors: exact solutions, and what no equation may do."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from weightcast.core.nets.build import build_predictor
from weightcast.environments.model import PhysicalPredictor
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor

GRID = (12, 16)
TERMS = list[tuple[int, list[tuple[str, int, int]]]]


def equation(terms: TERMS, channels: int = 1, substeps: int = 4) -> StackedPredictor:
    return StackedPredictor(
        build_predictor(
            {
                "kind": "partial-differential-field",
                "channels": channels,
                "grid": list(GRID),
                "terms": [[number, [list(factor) for factor in factors]] for number, factors in terms],
                "substeps": substeps,
            }
        )
    )


def wave(periods_y: int, periods_x: int, shift: float = 0.0) -> Tensor:
    """cos of so many periods along the sides [y, x]."""
    y, x = (torch.arange(points) / points for points in GRID)
    return torch.cos(2 * math.pi * (periods_y * y[:, None] + periods_x * x[None]) - shift)


def after(predictor: StackedPredictor, weights: list[float], *fields: Tensor) -> Tensor:
    """The frame that follows [channel, y, x]."""
    return predictor(torch.tensor([weights]), torch.stack(fields)[None, None])[0, 0]


@pytest.mark.parametrize("kind", ["laplacian", "differences"])
def test_waves_decay_by_diffusion_as_they_should(kind: str) -> None:
    predictor = equation([(0, [(kind, 0, 0)])], substeps=1)
    phase_y, phase_x = 2 * math.pi * 2 / GRID[0], 2 * math.pi * 3 / GRID[1]
    rate = phase_y**2 + phase_x**2
    if kind == "differences":
        rate = 4 - 2 * math.cos(phase_y) - 2 * math.cos(phase_x)
    torch.testing.assert_close(after(predictor, [0.3], wave(2, 3))[0], math.exp(-0.3 * rate) * wave(2, 3))


def test_any_time_is_known_not_whole_steps_alone() -> None:
    network = equation([(0, [("laplacian", 0, 0)])], substeps=1).module
    torch.nn.init.constant_(network.coefficients, 0.3)
    model = PhysicalPredictor(network, Normalisation((0.0,), (2.0,)), {})
    assert model.integrates
    rate = (2 * math.pi / GRID[0]) ** 2
    found = model.rollout(wave(1, 0)[None, None], times=[0.5, 1.7])[0, :, 0]
    expected = torch.stack([math.exp(-0.3 * rate * time) * wave(1, 0) for time in (0.5, 1.7)])
    torch.testing.assert_close(found, expected)


def test_what_is_carried_with_the_wind_moves_by_it() -> None:
    """u' = -2 du/dx + du/dy: two points to the right a frame, one down."""
    predictor = equation([(0, [("x", 0, 0)]), (0, [("y", 0, 0)])], substeps=1)
    moved = after(predictor, [-2.0, 1.0], wave(1, 2))[0]
    torch.testing.assert_close(moved, wave(1, 2).roll((-1, 2), (0, 1)), atol=1e-5, rtol=1e-5)


def test_points_without_neighbours_follow_the_logistic_equation() -> None:
    predictor = equation([(0, [("value", 0, 0)]), (0, [("value", 0, 0), ("value", 0, 0)])])
    start = 0.5 + 0.2 * wave(1, 1)
    grown = after(predictor, [0.7, -0.7], start)[0]
    exact = math.exp(0.7) * start / (1 - start + math.exp(0.7) * start)
    torch.testing.assert_close(grown, exact, atol=2e-5, rtol=1e-4)


def test_a_flow_carries_a_tracer_and_neither_mass_nor_its_own_vorticity_changes() -> None:
    """A single wave of vorticity is a steady flow; a tracer of the same pattern is not mixed by it, another one is."""
    predictor = equation([(1, [("carried", 0, 1)]), (0, [("carried", 0, 0)])], channels=2, substeps=8)
    vorticity, tracer = wave(0, 1), 1.0 + wave(1, 0)
    found = after(predictor, [-2.0, -2.0], vorticity, tracer)
    torch.testing.assert_close(found[0], vorticity, atol=1e-5, rtol=1e-5)
    assert float((found[1] - tracer).abs().max()) > 0.05
    assert float(found[1].mean()) == pytest.approx(1.0, abs=1e-5)
    # A vorticity of one period along x has a flow along y of its own size: each column moves by itself.
    turned = torch.angle(torch.fft.rfft(found[1], dim=0)[1] / torch.fft.rfft(tracer, dim=0)[1])
    assert float(turned.abs().max()) == pytest.approx(2 * math.pi * 2.0 / GRID[0], rel=1e-3)


def test_forces_and_constants_add_up_and_channels_drive_each_other() -> None:
    predictor = equation([(0, [("cos", 1, 2)]), (0, []), (1, [("value", 0, 0)])], channels=2, substeps=1)
    zero = torch.zeros(GRID)
    found = after(predictor, [0.5, 0.25, 1.0], zero, zero)
    torch.testing.assert_close(found[0], 0.5 * wave(1, 2) + 0.25, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[1], 0.5 * found[0], atol=1e-6, rtol=1e-5)  # integral of a straight line


def test_no_wave_grows_by_diffusion_backwards_and_growth_at_a_point_is_free() -> None:
    backwards = equation([(0, [("laplacian", 0, 0)]), (0, [("value", 0, 0)])])
    found = after(backwards, [-5.0, 0.1], wave(3, 3))[0]
    torch.testing.assert_close(found, math.exp(0.1) * wave(3, 3), atol=1e-5, rtol=1e-5)


def test_forward_derivatives_are_those_of_finite_differences() -> None:
    predictor = equation([(0, [("laplacian", 0, 0)]), (0, [("value", 0, 0), ("x", 0, 0)]), (0, [("carried", 0, 0)])])
    weights = torch.tensor([[0.1, 0.3, 0.5]], dtype=torch.double)
    start = (wave(1, 0) + 0.5 * wave(1, 2, 0.3))[None, None, None].double()
    _, derivative = torch.func.jvp(lambda w: predictor(w, start), (weights,), (torch.ones_like(weights),))
    step = 1e-6
    difference = (predictor(weights + step, start) - predictor(weights - step, start)) / (2 * step)
    torch.testing.assert_close(derivative, difference, atol=1e-7, rtol=1e-6)
