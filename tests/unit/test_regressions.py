"""Regressions of the next state, against processes whose coefficients are known, and against what they must not do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weightcast.environments.baselines.autoregression import (
    Autoregression,
    AutoregressionFits,
    Moments,
    Scale,
    drawn_to,
    each,
    pooled,
)
from weightcast.environments.baselines.boosted_trees import TreeFits, TreeSize, fit_trees, glance
from weightcast.environments.baselines.next_frame import Floats, Records, error, folds, roll_out
from weightcast.environments.baselines.seasonal import SeasonalClimatology
from weightcast.environments.config.baselines import AutoregressionSettings, TreesSettings

DECAYS = (0.95, 0.9, 0.8, 0.6, 0.5, 0.3)


def driven(
    decays: tuple[float, ...] = DECAYS, trajectories: int = 20, steps: int = 30, noise: float = 0.3, held: int = 0
) -> Records:
    """x(t + 1) = decay x(t) + 0.7 u(t) + 0.2 + noise, with white u; decays are the environments'."""
    random = np.random.default_rng(5)
    shape = (len(decays), trajectories, steps)
    inputs = random.normal(size=(*shape, 1))
    states = np.empty((*shape, 1))
    states[:, :, 0] = random.normal(size=(*shape[:2], 1))
    for step in range(steps - 1):
        pushed = 0.7 * inputs[:, :, step] + 0.2 + noise * random.normal(size=(*shape[:2], 1))
        states[:, :, step + 1] = np.array(decays)[:, None, None] * states[:, :, step] + pushed
    return Records(states, inputs, held)


def plain(regression: Autoregression) -> Floats:
    """Coefficients in physical units [environment, (constant, state, input)] of the next state, from forecasts."""
    count = len(regression.coefficients)

    def at(state: float, known: float) -> Floats:
        return np.asarray(state + regression(np.broadcast_to([state, known], (count, 1, 2)))[:, 0, 0])

    return np.stack([at(0, 0), at(1, 0) - at(0, 0), at(0, 1) - at(0, 0)], axis=1)


def test_autoregression_finds_the_coefficients_of_a_process():
    records = driven(decays=(0.8,), trajectories=200)
    scale = Scale.of(records)
    found = plain(Autoregression(scale, pooled(Moments.of(records, scale), 0.0)))
    np.testing.assert_allclose(found, [[0.2, 0.8, 0.7]], atol=0.02)


def test_autoregression_of_each_environment_finds_its_own():
    records = driven(trajectories=100)
    scale = Scale.of(records)
    found = plain(Autoregression(scale, each(Moments.of(records, scale), 0.0)))
    np.testing.assert_allclose(found[:, 1], DECAYS, atol=0.04)


def test_steps_with_gaps_tell_nothing():
    records = driven(decays=(0.8,), trajectories=3)
    scale = Scale.of(records)
    gappy = Records(records.states.copy(), records.inputs)
    gappy.states[:, 0, 5] = np.nan
    moments = Moments.of(gappy, scale)
    assert moments.counts[0] == 3 * 29 - 2
    assert np.isfinite(moments.gram).all()


def test_few_frames_draw_as_far_as_the_prior_allows():
    records = driven(trajectories=50)
    scale = Scale.of(records)
    moments = Moments.of(records, scale)
    centre = pooled(moments, 0.0)
    np.testing.assert_allclose(drawn_to(moments, moments, centre, 1e12)[3], centre[0], atol=1e-6)
    np.testing.assert_allclose(drawn_to(moments, moments, centre, 1e-9), each(moments, 0.0), atol=1e-6)


def test_regressions_from_frames_are_better_than_pooled_ones_where_environments_differ():
    """Of decays from 0.2 to 0.95, thirty frames tell which it is."""
    decays = tuple(np.linspace(0.2, 0.95, 12))
    train, held_out = driven(decays, noise=0.1), driven(decays, trajectories=5, noise=0.1)
    shown = train.take(range(12))
    shown = Records(shown.states[:, :1], shown.inputs[:, :1])
    linear = AutoregressionFits(train, held_out, AutoregressionSettings())
    drawn = linear.from_frames(shown, train)(shown)
    assert error(drawn, held_out) < 0.9 * error(linear.pooled(), held_out)
    assert error(linear.own(train), held_out) <= error(drawn, held_out)


def test_what_is_known_of_the_past_alone_stays_as_it_was():
    """A forecast that used later inputs would see the future."""
    records = driven(decays=(0.8, 0.5), trajectories=4, held=1)
    scale = Scale.of(records)
    fitted = Autoregression(scale, pooled(Moments.of(records, scale), 0.0))
    forecast = roll_out(fitted, records, 10)
    changed = Records(records.states, records.inputs.copy(), held=1)
    changed.inputs[:, :, 1:] += 100.0
    np.testing.assert_array_equal(roll_out(fitted, changed, 10), forecast)
    ahead = Records(changed.states, changed.inputs)
    assert not np.allclose(roll_out(fitted, ahead, 10), forecast)


def test_a_forecast_depends_on_no_later_state():
    records = driven(decays=(0.8, 0.5), trajectories=4)
    trees = fit_trees(records, TreeSize(10, 4), TreesSettings()).at(np.empty((2, 0)))
    forecast = roll_out(trees, records, 12)
    later = records.states.copy()
    later[:, :, 1:] = np.nan
    np.testing.assert_array_equal(roll_out(trees, Records(later, records.inputs), 12), forecast)


def test_trees_follow_what_no_line_does():
    """x -> 1 - |2 x - 1|, the tent map, whose increments a line explains badly."""
    random = np.random.default_rng(0)
    states = np.empty((4, 30, 10, 1))
    states[:, :, 0] = random.uniform(size=(4, 30, 1))
    for step in range(9):
        states[:, :, step + 1] = 0.999 * (1 - np.abs(2 * states[:, :, step] - 1))
    records = Records(states, np.empty((*states.shape[:3], 0)))
    one = Records(states[:, :, :2], records.inputs[:, :, :2])
    trees = fit_trees(records, TreeSize(100, 16), TreesSettings()).at(np.empty((4, 0)))
    scale = Scale.of(records)
    line = Autoregression(scale, pooled(Moments.of(records, scale), 0.0))
    assert error(trees, one) < 0.15 * error(line, one)


def test_trees_that_are_told_mean_and_spread_tell_places_apart():
    """Each place returns to a level of its own: frames at a glance say which."""
    levels = np.linspace(-5, 5, 12)[:, None, None, None]
    random = np.random.default_rng(1)
    states = levels + random.normal(size=(12, 20, 12, 1))
    records = Records(states, np.empty((*states.shape[:3], 0)))
    train, held_out = (Records(states[:, part], records.inputs[:, part]) for part in (slice(0, 15), slice(15, 20)))
    fits = TreeFits(train, held_out, TreesSettings(leaves=[8]), choosing=[0, 6])
    shown = Records(states[:, :1, :10], records.inputs[:, :1, :10])
    told = fits.from_frames(shown, train)(shown)
    assert error(told, held_out) < 0.95 * error(fits.pooled(), held_out)


def test_trees_are_the_same_every_time_and_say_how_many_numbers_they_are():
    records = driven(trajectories=5)
    one, other = (fit_trees(records, TreeSize(5, 4), TreesSettings()) for _ in range(2))
    told = np.concatenate([records.states, records.inputs], axis=-1)[:, :, 0]
    nowhere = np.empty((len(records), 0))
    np.testing.assert_array_equal(one.at(nowhere)(told), other.at(nowhere)(told))
    assert one.numbers == 5 * (3 * 4 - 2)  # five trees of four leaves: three splits of two numbers, four values


def test_pooled_regressions_forecast_any_number_of_environments():
    train, held_out, others = driven(trajectories=5), driven(trajectories=2), driven((0.9, 0.7), trajectories=3)
    families = (
        AutoregressionFits(train, held_out, AutoregressionSettings()),
        TreeFits(train, held_out, TreesSettings(iterations=[5], leaves=[4]), choosing=[0, 1]),
    )
    for fits in families:
        assert roll_out(fits.pooled(), others, 8).shape == (2, 3, 8, 1)
        assert roll_out(fits.own(others), others, 8).shape == (2, 3, 8, 1)


def test_a_glance_leaves_gaps_out():
    states = np.array([[1.0], [np.nan], [3.0]])
    np.testing.assert_allclose(glance(states), [2.0, 1.0])
    assert np.isnan(glance(np.full((3, 1), np.nan))).all()


def test_a_diverging_forecast_has_an_infinite_error():
    records = driven(decays=(0.8,), trajectories=2)
    scale = Scale.of(records)
    wild = Autoregression(scale, np.full((1, 3, 1), 1e200))
    assert error(wild, records) == np.inf


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_environment_is_judged_once_by_the_others(count):
    parts = folds(count)
    assert sorted(number for _, judging in parts for number in judging) == list(range(count))
    assert count == 1 or all(not set(fitted) & set(judging) for fitted, judging in parts)


def test_seasonal_climatology_finds_a_cycle_and_carries_along_it():
    """cos with its second harmonic, of which harmonic regression is exact; an anomaly stays as it is."""
    steps = torch.arange(40, dtype=torch.double)
    angle = 2 * torch.pi * steps / 24
    cycle = 3 + torch.cos(angle) + 0.5 * torch.sin(2 * angle)
    calendar = torch.stack([angle.sin(), angle.cos()], dim=-1)
    anomalies = torch.tensor([-1.0, 1.0], dtype=torch.double)  # of two environments, whose mean is nothing
    frames = (cycle + anomalies[:, None, None])[..., None, None, None].float()
    fitted = SeasonalClimatology.fit(frames, calendar.expand(2, 1, -1, -1))
    torch.testing.assert_close(fitted(calendar)[:, 0, 0, 0], cycle.float(), atol=1e-4, rtol=0)
    carried = fitted.carry(frames[1, :, 0], calendar[None])
    torch.testing.assert_close(carried[0], frames[1, 0, 1:], atol=1e-4, rtol=0)
