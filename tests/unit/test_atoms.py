"""Real values that repeat: a mixture of probabilities and a density, against laws that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from weightcast.core.config.training import TrainingSettings
from weightcast.core.run import Run
from weightcast.evolution.atoms import RealsWithAtoms, repeated_values
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.state_space import Reals, build_state_space, state_space_of
from weightcast.samples.snapshots import Snapshots

SPACE = RealsWithAtoms((1.0, -2.0), (2.0, 0.5), 3, ((0.0, 4.0), ()))


def zero_inflated(count: int, seed: int = 0) -> np.ndarray:
    """[sample, 2]: four in five zeros, else normal around 3; beside it a normal number that is higher where it is 0."""
    random = np.random.default_rng(seed)
    zero = random.uniform(size=count) < 0.8
    return np.stack([np.where(zero, 0.0, random.normal(3, 1, count)), random.normal(zero, 0.5)], axis=1)


def test_values_that_repeat_are_found_in_their_own_dimension():
    samples = [zero_inflated(400), np.random.default_rng(1).normal(size=(400, 2))]
    assert repeated_values(samples, 0.05) == ((0.0,), ())
    assert repeated_values(samples, 1.0) == ((), ())
    assert repeated_values([np.repeat(np.arange(100.0), 4)[:, None]], 0.05) == ((),)  # rounded: none stands out
    assert repeated_values([np.array([[1.0], [1.0], [2.0], [3.0]])], 0.05) == ((),)  # two of four are chance


def test_the_law_of_a_dimension_sums_to_one_over_points_and_lengths():
    outputs = torch.randn(11, generator=torch.Generator().manual_seed(0)).expand(2, 11)
    grid = torch.linspace(-30, 30, 60_001, dtype=torch.float64) + 1e-4  # no atom is met
    density = SPACE.log_prob(outputs.expand(len(grid), 2, 11), torch.stack([grid, grid], -1)).double().exp()
    lengths = torch.trapezoid(density, grid, dim=0)
    points = SPACE.log_prob(outputs.expand(2, 2, 11), torch.tensor([[0.0, 0.0], [4.0, 4.0]])).double().exp()
    assert float(lengths[0] + points[:, 0].sum()) == pytest.approx(1.0, abs=1e-4)
    assert float(lengths[1]) == pytest.approx(1.0, abs=1e-4)


def test_draws_have_the_probabilities_that_are_said():
    outputs = torch.randn(11, generator=torch.Generator().manual_seed(2))
    noise = torch.rand(2, 40_000, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    drawn = SPACE.draw(outputs.expand(40_000, 11), 0, noise)
    said = SPACE.log_prob(outputs.expand(1, 2, 11), torch.tensor([[4.0, 0.0]], dtype=torch.float64))[0, 0].exp()
    assert float((drawn == 4.0).double().mean()) == pytest.approx(float(said), abs=0.01)
    assert not (SPACE.draw(outputs.expand(40_000, 11), 1, noise) == 4.0).any()


def test_what_is_described_is_built_again():
    again = build_state_space(SPACE.describe())
    assert again == SPACE
    values = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    assert SPACE.encode(values)[..., 1].tolist() == [[1, 0], [0, 0]]
    for dimension in range(2):
        torch.testing.assert_close(
            SPACE.encode_one(values[:, dimension], dimension), SPACE.encode(values)[:, dimension]
        )
    assert type(build_state_space(Reals((0.0,), (1.0,), 2).describe())) is Reals


def test_a_zero_inflated_law_is_learned_to_its_entropy():
    """Without atoms its likelihood has no bound. With them no density can be above the law's own, on other samples."""
    samples, fresh = zero_inflated(1500), zero_inflated(4000, seed=9)
    snapshots = Snapshots(np.array([0.0, 1.0]), np.ones(2, bool), (samples,) * 2, (samples,) * 2, ("a", "b"), None)
    settings = DensitySettings(hidden=8, components=2)
    space = state_space_of(snapshots, settings)
    assert isinstance(space, RealsWithAtoms) and space.atoms == ((0.0,), ())
    density = StackedDensity.new(settings, space, 0)
    weights = density.initial_weights(0)[None].clone().requires_grad_()
    placed = torch.from_numpy(samples)[None]
    training = TrainingSettings(steps=300, learning_rate=0.03)
    Run().fit([weights], lambda step: -density.log_prob(weights, placed).mean(1), training, name="zeros", stacked=True)
    with torch.no_grad():
        found = float(density.log_prob(weights, torch.from_numpy(fresh)[None]).mean())
    gaussian = 0.5 * math.log(2 * math.pi * math.e)
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.2) + 0.2 * gaussian + gaussian + math.log(0.5)
    assert -entropy - 0.06 < found < -entropy + 0.03
    drawn = density.sample(weights.detach(), 5000, 1)[0]
    assert float((drawn[:, 0] == 0).double().mean()) == pytest.approx(0.8, abs=0.03)
    at_zero = drawn[:, 0] == 0
    assert float(drawn[at_zero, 1].mean()) == pytest.approx(1.0, abs=0.1)  # the second one sees which it was
    assert float(drawn[~at_zero, 1].mean()) == pytest.approx(0.0, abs=0.15)
