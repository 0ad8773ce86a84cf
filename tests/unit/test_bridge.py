"""Samples between two snapshots, against processes whose law in between is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, poisson

from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import BridgeSettings


def bridge(samples, counts, times=(0.0, 10.0), per_interval=4, seed=0, **settings) -> Bridge:
    return Bridge(np.array(times), samples, counts, BridgeSettings(per_interval=per_interval, **settings), seed)


def poisson_sample(rate: float, count: int = 1000) -> np.ndarray:
    """[count, 1] with the frequencies of the law itself, as nearly as so many samples can have them."""
    return poisson.ppf((np.arange(count) + 0.5) / count, rate)[:, None]


def rows_of(values: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in np.asarray(values).tolist()}


# --- times ---


def test_anchors_divide_every_interval_evenly():
    random = np.random.default_rng(0)
    made = bridge([random.normal(size=(20, 2)) for _ in range(3)], False, times=(0, 1, 5), per_interval=4)
    assert made.times == pytest.approx([0, 0.25, 0.5, 0.75, 1, 2, 3, 4, 5])
    assert made.snapshot_positions == [0, 4, 8]
    assert made.draw(7, seed=0).shape == (9, 7, 2)


def test_one_anchor_an_interval_adds_none():
    random = np.random.default_rng(0)
    samples = [random.poisson(4, (20 + part, 2)).astype(float) for part in range(3)]
    made = bridge(samples, True, times=(0, 1, 5), per_interval=1)
    assert made.times.tolist() == [0, 1, 5]
    assert made.snapshot_positions == [0, 1, 2]
    assert all(rows_of(drawn) <= rows_of(part) for drawn, part in zip(made.draw(500, 0), samples, strict=True))


# --- at snapshots ---


@pytest.mark.parametrize("counts", [True, False])
def test_at_a_snapshot_all_of_its_samples_are_drawn_evenly(counts):
    """Chi-square test of 8000 draws of 40 samples, seed 2; snapshots of different size, more than are paired."""
    random = np.random.default_rng(1)
    samples = [random.permutation(np.arange(count))[:, None] + 100.0 * count for count in (40, 25, 60)]
    made = bridge(samples, counts, times=(0, 1, 2), pairs=10, noise=0.5 * (not counts))
    drawn = made.draw(8000, seed=2)
    for position, sample in zip(made.snapshot_positions, samples, strict=True):
        values, found = np.unique(drawn[position].numpy(), return_counts=True)
        assert values.tolist() == sorted(sample[:, 0])
        assert chisquare(found).pvalue > 1e-3


# --- counts ---


def test_between_a_point_and_a_poisson_law_lies_the_poisson_process():
    """Independent arrivals at a constant rate: at the share s of the time, Poisson(6 s). Chi-square test of 20,000
    draws at each of three times, seed 3."""
    made = bridge([np.zeros((1000, 1)), poisson_sample(6.0)], True)
    drawn = made.draw(20_000, seed=3)
    for position, share in ((1, 0.25), (2, 0.5), (3, 0.75)):
        rate, most = 6 * share, int(poisson.ppf(0.9995, 6 * share))
        found = np.bincount(drawn[position, :, 0].long().numpy().clip(max=most), minlength=most + 1)
        expected = np.append(poisson.pmf(np.arange(most), rate), poisson.sf(most - 1, rate)) * 20_000
        assert chisquare(found, expected).pvalue > 1e-3
        assert found.argmax() != np.bincount(drawn[-1, :, 0].long().numpy()).argmax()


@pytest.mark.parametrize("ends", [(3, 23), (23, 3)])
def test_between_two_points_the_share_of_the_steps_is_binomial(ends):
    """20 steps up or down; mean and variance of 20,000 draws to five standard errors, seed 4."""
    start, end = ends
    made = bridge([np.full((50, 1), float(start)), np.full((50, 1), float(end))], True)
    for position, share in ((1, 0.25), (2, 0.5), (3, 0.75)):
        drawn = made.draw(20_000, seed=4)[position, :, 0]
        variance = 20 * share * (1 - share)
        assert float(drawn.mean()) == pytest.approx(start + share * (end - start), abs=5 * np.sqrt(variance / 20_000))
        assert float(drawn.var()) == pytest.approx(variance, rel=5 * np.sqrt(2 / 20_000))


def test_counts_stay_whole_and_between_the_ends_of_their_pairs():
    random = np.random.default_rng(5)
    samples = [random.poisson(rate, (80, 3)).astype(float) for rate in (2, 9, 0.2)]
    drawn = bridge(samples, True, times=(0, 1, 2), noise=3.0).draw(2000, seed=5)
    assert torch.equal(drawn, drawn.round())
    assert drawn.min() == 0
    assert drawn.max() <= max(part.max() for part in samples)
    same = np.full((30, 2), 7.0)
    assert torch.equal(bridge([same, same], True).draw(50, 0), torch.full((5, 50, 2), 7.0).double())


# --- real states ---


def test_between_two_gaussians_mean_and_deviation_move_in_straight_lines():
    """Deviations 1 and 3, means 0 and 8: the optimal map is linear. 800 samples either side, seed 6; tolerances are
    those of so many samples."""
    random = np.random.default_rng(6)
    samples = [random.normal([0, 0], 1, (800, 2)), random.normal([8, 0], 3, (800, 2))]
    drawn = bridge(samples, False).draw(10_000, seed=6).numpy()
    for position, share in ((1, 0.25), (2, 0.5), (3, 0.75)):
        assert drawn[position].mean(0) == pytest.approx([8 * share, 0], abs=0.25)
        assert drawn[position].std(0) == pytest.approx([1 + 2 * share] * 2, rel=0.07)


def test_noise_adds_the_variance_of_a_brownian_bridge():
    """Between equal points: variance noise^2 s (1 - s) dt / T of the data's own variance, with T the whole duration."""
    low, high = np.full((400, 1), -2.0), np.full((400, 1), 2.0)
    both = np.concatenate([low[:200], high[:200]])
    drawn = bridge([both, both, both], False, times=(0, 1, 4), noise=0.5).draw(20_000, seed=7).numpy()[..., 0]
    for position, share, length in ((1, 0.25, 1), (2, 0.5, 1), (3, 0.75, 1), (5, 0.25, 3), (6, 0.5, 3), (7, 0.75, 3)):
        away = drawn[position] - 2 * np.sign(drawn[position])
        expected = 0.25 * share * (1 - share) * length / 4 * both.var()
        assert away.var() == pytest.approx(expected, rel=0.06)
        assert away.mean() == pytest.approx(0, abs=5 * np.sqrt(expected / 20_000))
    assert set(np.unique(drawn[[0, 4, 8]])) == {-2.0, 2.0}


def test_snapshots_of_different_size_keep_their_weights():
    """299 and 300 samples in one dimension: pairs have 300 different masses. The mean moves in a straight line, and so
    do all quantiles; 50,000 draws, seed 8, to five standard errors."""
    random = np.random.default_rng(8)
    start, end = np.sort(random.exponential(1, (299, 1)), 0), np.sort(random.exponential(3, (300, 1)), 0)
    drawn = bridge([start, end], False, per_interval=2).draw(50_000, seed=8)[1, :, 0].numpy()
    assert drawn.mean() == pytest.approx((start.mean() + end.mean()) / 2, abs=5 * drawn.std() / np.sqrt(50_000))
    levels = (np.arange(200_000) + 0.5) / 200_000
    exact = (start[(299 * levels).astype(int), 0] + end[(300 * levels).astype(int), 0]) / 2
    for level in (0.01, 0.05, 0.5, 0.95, 0.99):
        share = (drawn <= np.quantile(exact, level)).mean()
        assert share == pytest.approx(level, abs=5 * np.sqrt(level * (1 - level) / 50_000))


def test_a_population_that_grows_in_one_place_moves_only_where_growth_is_not_told():
    """100 and 100 samples far apart, then 100 and 400: the second population grows evenly. 10,000 draws, seed 8."""
    random = np.random.default_rng(8)
    small, large = (
        np.concatenate([random.normal(0, 0.1, (100, 1)), random.normal(10, 0.1, (count, 1))]) for count in (100, 400)
    )
    grown, balanced = (
        bridge([small, large], False, per_interval=10, growth=growth, relaxation=0.1).draw(10_000, seed=8)[..., 0]
        for growth in (True, False)
    )
    for position in range(11):  # also right after the first snapshot and right before the last
        upper = 0.5 + position / 10 * 1.5
        assert float((grown[position] > 9).double().mean()) == pytest.approx(upper / (upper + 0.5), abs=0.025)
    assert float(((grown > 1) & (grown < 9)).double().mean()) < 0.01
    assert float(((balanced[5] > 4) & (balanced[5] < 6)).double().mean()) == pytest.approx(0.3, abs=0.03)


def test_every_time_has_the_snapshots_of_its_own_interval():
    samples = [np.full((20, 1), value) + np.linspace(0, 0.1, 20)[:, None] for value in (0.0, 10.0, -10.0)]
    means = bridge(samples, False, times=(0, 1, 2), per_interval=2).draw(100, 0).mean((1, 2)).numpy()
    assert means == pytest.approx([0, 5, 10, 0, -10], abs=0.11)


# --- seeds ---


@pytest.mark.parametrize("counts", [True, False])
def test_the_seed_determines_the_draw(counts):
    random = np.random.default_rng(9)
    samples = [random.poisson(rate, (60, 2)).astype(float) for rate in (3, 8)]
    first, again = (bridge(samples, counts, noise=0.3, pairs=30, seed=1) for _ in range(2))
    assert torch.equal(first.draw(40, seed=2), again.draw(40, seed=2))
    assert not torch.equal(first.draw(40, seed=2), first.draw(40, seed=3))
    other = bridge(samples, counts, noise=0.3, pairs=30, seed=5)
    assert not torch.equal(first.draw(40, seed=2), other.draw(40, seed=2))
