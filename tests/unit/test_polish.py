"""Second-order training of linear contexts, against ridge regressions that are solved exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.environments import polish as module
from weightcast.environments.polish import (
    LinearContext,
    Polish,
    _Equations,
    _Normal,
    iteration_operations,
    try_penalties,
)

WEIGHTS, ENVIRONMENTS = 5, 3


def linear(weights: Tensor, frames: Tensor) -> Tensor:
    """Residuals of a linear model: frames [row, weight + 1] hold its inputs and what it should give."""
    return frames[:, :-1] @ weights - frames[:, -1]


def curved(weights: Tensor, frames: Tensor) -> Tensor:
    return torch.tanh(frames[:, :-1] @ weights) - frames[:, -1]


def context(entries: int, dimension: int = 2) -> LinearContext:
    draws = Draws("cpu", "context")
    return LinearContext(
        draws.normal(WEIGHTS, dtype=torch.float64),
        draws.normal(dimension, entries, dtype=torch.float64),
        draws.normal(ENVIRONMENTS, dimension, dtype=torch.float64),
        torch.arange(WEIGHTS - entries, WEIGHTS),
    )


def frames(rows: int) -> Tensor:
    return Draws("cpu", "frames").normal(ENVIRONMENTS, rows, WEIGHTS + 1, dtype=torch.float64)


def test_weights_move_with_codes_in_their_own_entries_alone() -> None:
    start = context(2)
    weights = start.weights()
    torch.testing.assert_close(weights[:, :3], start.mean[:3].expand(ENVIRONMENTS, -1))
    torch.testing.assert_close(weights[:, 3:], start.mean[3:] + start.codes @ start.directions)


@pytest.mark.parametrize(("residual", "rows"), [(linear, 2), (linear, 12), (curved, 4)])
@pytest.mark.parametrize("damping", [1e-3, 10.0])
@pytest.mark.parametrize("together", [500, 0])
def test_all_forms_of_the_equations_give_the_same_step(residual, rows, damping, together, monkeypatch) -> None:
    """Over residuals, and over unknowns: those of environments together with all others, or eliminated before."""
    monkeypatch.setattr(module, "MOST_TOGETHER", together)
    start, data = context(3), frames(rows)
    polish = Polish(start, residual, data, 0.1)
    weights = start.weights()
    errors, jacobian = polish._errors(weights, data), polish._jacobian(weights, data)
    systems = [_Normal(start, errors, jacobian, 0.1) for _ in range(2)]
    for system, dual in zip(systems, (True, False), strict=True):
        system.dual = dual
        system.equations, system.right = system._over_residuals() if dual else system._over_unknowns()
    curvature = Draws("cpu", "curvature").normal(*errors.shape, dtype=torch.float64)
    for one, other in zip(systems[0].step(damping), systems[1].step(damping), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)
    for one, other in zip(*(system.correction(curvature, damping) for system in systems), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("indefinite", ["shared", "own"])
def test_indefinite_equations_have_no_solution(indefinite: str, monkeypatch) -> None:
    draws = Draws("cpu", "indefinite")
    parts = {"shared": 9.0 * torch.eye(4), "own": torch.eye(2).repeat(3, 1, 1)}
    crossed = 0.1 * draws.normal(3, 2, 4)
    parts[indefinite] = -parts[indefinite]
    for together in (500, 0):
        monkeypatch.setattr(module, "MOST_TOGETHER", together)
        solve = _Equations(parts["shared"], crossed, parts["own"]).solver(0.1)
        assert not torch.isfinite(solve(torch.ones(10))).all()


def test_errors_change_along_a_step_as_they_are_said_to() -> None:
    start, data = context(3), frames(6)
    polish = Polish(start, curved, data, 0.1)
    weights = start.weights()
    errors = polish._errors(weights, data)
    system = _Normal(start, errors, polish._jacobian(weights, data), 0.1)
    step = system.step(1.0)
    small = 1e-6
    moved = polish._errors(start.moved(*(small * part for part in step)).weights(), data)
    torch.testing.assert_close((moved - errors) / small, system.along(step), rtol=1e-4, atol=1e-5)


def trained(start: LinearContext, data: Tensor, penalty: float, iterations: int = 60) -> Polish:
    polish = Polish(start, linear, data, penalty)
    for _ in range(iterations):
        if not polish.iterate():
            break
    return polish


@pytest.mark.parametrize("rows", [1, 20])
def test_without_directions_it_ends_in_the_exact_ridge_regression(rows) -> None:
    """Fewer residuals than unknowns, and more of them: the normal equations are solved among either."""
    data = frames(rows)
    found = trained(context(0, 1), data, 0.3).context
    inputs, wanted = data.flatten(0, 1)[:, :-1], data.flatten(0, 1)[:, -1]
    exact = torch.linalg.solve(inputs.mT @ inputs + 0.3 * torch.eye(WEIGHTS).double(), inputs.mT @ wanted)
    torch.testing.assert_close(found.mean, exact, rtol=1e-5, atol=1e-7)
    assert found.codes.abs().max() < 1e-4  # nothing but the penalty pulls at them


def test_at_the_end_the_objective_has_no_gradient() -> None:
    data, start = frames(12), context(3)

    def steepness(context: LinearContext) -> float:
        parts = [part.clone().requires_grad_() for part in (context.mean, context.directions, context.codes)]
        there = LinearContext(*parts, context.entries)
        errors = torch.einsum("erw,ew->er", data[..., :-1], there.weights()) - data[..., -1]
        gradients = torch.autograd.grad(errors.square().sum() + 0.2 * there.size, parts)
        return max(float(gradient.abs().max()) for gradient in gradients)

    assert steepness(trained(start, data, 0.2, 200).context) < 1e-3 * steepness(start)


def test_the_penalty_that_the_noise_asks_for_is_chosen() -> None:
    """Weights of variance 1 and noise of variance s: the ridge regression of penalty s is the best there is."""
    variance, weights, rows = 4.0, 60, 30
    draws = Draws("cpu", "penalty")
    truth = draws.normal(weights, dtype=torch.float64)
    inputs = draws.normal(2, rows, weights, dtype=torch.float64)
    data = torch.cat([inputs, (inputs @ truth + 2.0 * draws.normal(2, rows, dtype=torch.float64))[..., None]], -1)
    none = torch.zeros(0, dtype=torch.long)
    start = LinearContext(torch.zeros(weights).double(), torch.zeros(1, 0).double(), torch.zeros(2, 1).double(), none)

    def judge(context: LinearContext) -> float:
        return float((context.mean - truth).square().sum())

    penalties = [1e-3 * variance, variance, 1e3 * variance]
    tried = try_penalties(Run(), start, linear, data, judge, penalties, 20)
    assert [one.penalty for one in tried] == sorted(penalties, reverse=True)
    best = min(tried, key=lambda one: one.error)
    assert best.penalty == variance
    assert all(judge(one.context) == one.error for one in tried)


def test_what_is_not_finite_is_no_step() -> None:
    polish = Polish(context(3), lambda weights, frames: linear(weights, frames) * torch.nan, frames(4), 0.1)
    before = polish.context
    assert not polish.iterate() and polish.context is before


def test_an_iteration_of_many_environments_grows_linearly_and_one_of_few_residuals_with_these_alone() -> None:
    """722 weights, three numbers of a code: 2,000 environments of predator and prey, and what is near them."""
    many = [iteration_operations(count, 60 * count, 722, 3) for count in (2_000, 4_000, 6_000)]
    assert many[2] - many[1] == pytest.approx(many[1] - many[0], rel=1e-9) and many[1] / many[0] > 1.8
    assert iteration_operations(9, 600, 722, 3) == iteration_operations(4, 600, 722, 3)
    below, above = (iteration_operations(count, 16_000, 722, 3) for count in (166, 167))
    assert above == pytest.approx(below, rel=0.5)  # where codes begin to be eliminated
