"""The condition on observed frames: what it takes, what it refuses, and that it tells environments apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from refusals import refused
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.environments.conditions import Known, build_condition, new_condition
from weightcast.environments.conditions.frames import FramesCondition
from weightcast.environments.config.condition import ConditionSettings, FramesSettings
from weightcast.environments.examples import Examples

RATES = (0.1, 0.2, 0.3, 0.4)


def decaying(rate: float, seed: int, trajectories: int = 3, frames: int = 12, grid: int = 6) -> Tensor:
    """Random fields that decay at a rate [trajectory, frame, 1, y, x]: nothing in one frame tells the rate."""
    first = torch.randn(trajectories, 1, 1, grid, grid, generator=torch.Generator().manual_seed(seed))
    return first * torch.exp(-rate * torch.arange(frames))[:, None, None, None]


def visible(grid: int = 6) -> list[Known]:
    return [Known({"rate": rate}, decaying(rate, seed, grid=grid)) for seed, rate in enumerate(RATES)]


def made(grid: int = 6, **settings: Any) -> FramesCondition:
    torch.manual_seed(0)
    frames = FramesSettings(**{"width": 16, "modes": 2} | settings)
    condition = new_condition("frames", visible(grid), (), ConditionSettings(frames=frames))
    assert isinstance(condition, FramesCondition)
    return condition


@pytest.mark.parametrize("grid", [6, 1])
def test_a_description_and_tensors_build_the_same_condition(grid: int) -> None:
    condition = made(grid)
    again = build_condition(condition.describe())
    again.load_state_dict(condition.state_dict())
    known = visible(grid)
    assert torch.equal(again.prepare(known), condition.prepare(known))
    prepared = condition.prepare(known)
    assert condition(prepared).shape == (4, condition.width)
    assert torch.equal(again(prepared), condition(prepared))
    assert isinstance(condition.towards(again), torch.nn.Identity)


BRANCHES = ("statistics", "responses", "spectra")


@pytest.mark.parametrize("only", BRANCHES)
def test_each_branch_works_alone(only: str) -> None:
    condition = made(**{branch: branch == only for branch in BRANCHES})
    known = [Known(frames=decaying(rate, 9)[:1, :5]) for rate in RATES[:2]]
    first, second = condition(condition.prepare(known))
    assert not torch.allclose(first, second)
    assert hasattr(condition, "implicit") == (only == "spectra")
    assert hasattr(condition, "explicit") == (only != "spectra")


def test_without_any_branch_it_is_refused() -> None:
    with refused("condition frames", "switched off"):
        made(**dict.fromkeys(BRANCHES, False))


def test_trajectories_may_come_in_any_order_and_be_absent() -> None:
    condition = made()
    frames = decaying(0.2, 5, trajectories=3, frames=4)
    several = condition(condition.prepare([Known(frames=frames)]))
    turned = condition(condition.prepare([Known(frames=frames.flip(0))]))
    torch.testing.assert_close(several, turned)
    # Beside an environment with more trajectories the places of those that it lacks are empty.
    beside = condition(condition.prepare([Known(frames=frames[:1]), Known(frames=frames)]))
    torch.testing.assert_close(beside[:1], condition(condition.prepare([Known(frames=frames[:1])])))
    torch.testing.assert_close(beside[1:], several)


def test_hidden_frames_count_as_time_that_passed() -> None:
    condition = made()
    frames = decaying(0.2, 5, trajectories=1, frames=5)
    with_gap = frames.clone()
    with_gap[:, [1, 3]] = float("nan")
    told = Known(frames=frames[:, ::2], times=torch.tensor([0.0, 2.0, 4.0]))
    torch.testing.assert_close(condition.prepare([Known(frames=with_gap)]), condition.prepare([told]), equal_nan=True)


@pytest.mark.parametrize("count", [1, 2, 10, 12])
def test_any_number_of_frames_gives_finite_embeddings(count: int) -> None:
    condition = made()
    frames = decaying(0.2, 5, trajectories=1)[:, :count]
    frames[..., ::2] = float("nan")
    assert condition(condition.prepare([Known(frames=frames)])).isfinite().all()


def test_what_cannot_be_used_is_refused() -> None:
    condition = made()
    with refused("frames.nc", "without observed frames"):
        condition.check(Known(parameters={"rate": 1.0}), "frames.nc")
    with refused("frames.nc", "[1, 3, 1, 5, 6]", "y = 6"):
        condition.check(Known(frames=torch.zeros(1, 3, 1, 5, 6)), "frames.nc")
    with refused("frames.nc", "NaN everywhere"):
        condition.check(Known(frames=torch.full((1, 3, 1, 6, 6), float("nan"))), "frames.nc")
    with refused("frames.nc", "Inf"):
        condition.check(Known(frames=torch.full((1, 3, 1, 6, 6), float("inf"))), "frames.nc")
    with refused("another kind"):
        condition.towards(made(frames=5))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_auxiliary_loss_teaches_parameters_where_it_is_asked_for(weight: float) -> None:
    """Trained on four rates through the auxiliary loss alone, it tells the rate of other trajectories."""
    condition, run = made(auxiliary_weight=weight, noise=[0.0, 0.02], masked=0.0, spacings=[1], spectra=False), Run()
    examples = Examples.of(run, condition, visible())
    every = torch.arange(4)
    if weight == 0.0:
        assert examples.targets is None
        assert float(examples.auxiliary_loss(examples.draw(every, run.draws(0)), every)) == 0.0
        return
    optimiser = torch.optim.Adam(condition.parameters(), lr=0.01)
    for step in range(100):
        rows = every.repeat(4)
        loss = examples.auxiliary_loss(examples.draw(rows, run.draws("step", step)), rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    unseen = [Known(frames=decaying(rate, 77)[:1, :5]) for rate in RATES]
    with torch.no_grad():
        told = condition.auxiliary(condition(condition.prepare(unseen)))[:, 0]
    # Of a range from -1 to 1, of which a constant is off by two thirds.
    assert float((told - condition.targets(visible())[:, 0]).abs().mean()) < 0.25


def test_every_step_shows_something_else_and_the_same_step_the_same() -> None:
    condition, run = made(), Run()
    examples = Examples.of(run, condition, visible())
    rows = torch.tensor([0, 3])
    first, again, other = (examples.draw(rows, Draws("cpu", "step", step)) for step in (1, 1, 2))
    assert first.shape == (2, condition.coordinates)
    assert torch.equal(first.nan_to_num(), again.nan_to_num())
    assert not torch.equal(first.nan_to_num(), other.nan_to_num())
