"""The cycle of records that nobody has dated."""

from __future__ import annotations

import numpy as np
import pytest
from refusals import refused

from weightcast.records.calendar_inputs import calendar_values
from weightcast.records.cycle import autocorrelation, find_cycle
from weightcast.records.step_calendar import StepCalendar


def seasonal(period: int, steps: int, noise: float, places: int = 6) -> np.ndarray:
    random = np.random.default_rng(2)
    phase = random.uniform(0, 0.3, size=(places, 1))
    cycle = np.sin(2 * np.pi * np.arange(steps) / period + phase)
    return (cycle + noise * random.normal(size=cycle.shape))[..., None]


@pytest.mark.parametrize(("period", "noise"), [(52, 0.2), (52, 1.0), (24, 0.5), (12, 0.2), (7, 0.2)])
def test_the_period_of_a_cycle_is_found_in_noise(period, noise):
    found = find_cycle(seasonal(period, 9 * period, noise))
    assert found is not None
    assert abs(found - period) <= max(1, period // 20)


def test_it_is_found_with_gaps():
    records = seasonal(24, 400, 0.3)
    records[np.random.default_rng(0).uniform(size=records.shape) < 0.2] = np.nan
    assert abs(find_cycle(records) - 24) <= 1


def test_noise_and_what_merely_persists_have_none():
    random = np.random.default_rng(3)
    noise = random.normal(size=(20, 300, 1))
    assert find_cycle(noise) is None
    persistent = noise.copy()
    for step in range(1, 300):
        persistent[:, step] = 0.95 * persistent[:, step - 1] + noise[:, step]
    assert find_cycle(persistent) is None
    assert find_cycle(np.ones((3, 100, 1))) is None


def test_a_record_of_less_than_three_cycles_tells_none():
    assert find_cycle(seasonal(52, 100, 0.1)) is None


def test_autocorrelation_of_white_noise_and_of_a_sine():
    noise = np.random.default_rng(4).normal(size=(50, 2000, 1))
    np.testing.assert_allclose(autocorrelation(noise, 5), [1, 0, 0, 0, 0, 0], atol=0.02)
    sine = np.sin(2 * np.pi * np.arange(1000) / 20)[None, :, None]
    np.testing.assert_allclose(autocorrelation(sine, 20)[[0, 10, 20]], [1, -1, 1], atol=0.01)


def test_places_in_a_cycle_are_angles_of_steps():
    calendar = StepCalendar("numbers", 3.0, 0.5, cycle=4)
    values = calendar_values(calendar, ["cycle"], np.arange(6), "table")
    np.testing.assert_allclose(values[:, 0], [0, 1, 0, -1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(values[:, 1], [1, 0, -1, 0, 1, 0], atol=1e-12)


def test_a_cycle_of_unknown_length_is_refused():
    calendar = StepCalendar("numbers", 0.0, 1.0)
    with refused("calendar: found cycle without settings.cycle"):
        calendar_values(calendar, ["cycle"], np.arange(3), "table")
