"""Exact simulation against exact solutions: transient Poisson laws and master equations.

Chi-square tests have fixed seeds and ask for p > 0.001.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from master_equation import assert_drawn_from, exact_distribution
from refusals import refused
from scipy.stats import poisson

from weightcast.systems.cascade import saturating_cascade
from weightcast.systems.ecology import ecology
from weightcast.systems.epidemic import epidemic
from weightcast.systems.jump_process import JumpProcess, Rates, simulate_jumps
from weightcast.systems.toggle_switch import toggle_switch


def one_species(changes: Sequence[int], rates: Rates, initial: int = 0, bound: Rates | None = None) -> JumpProcess:
    return JumpProcess("test", ("X",), (initial,), np.array(changes, np.int64)[:, None], rates, 10.0, bound)


def birth_and_death(birth: float, death: float, initial: int = 0) -> JumpProcess:
    def rates(counts: np.ndarray, time: np.ndarray) -> np.ndarray:
        return np.stack([np.full(len(counts), birth), death * counts[:, 0]], axis=1)

    return one_species([1, -1], rates, initial)


# --- one species


def test_births_and_deaths_are_poisson() -> None:
    times = np.array([0.0, 0.1, 0.7, 3.0])
    counts = simulate_jumps(birth_and_death(8.0, 1.5), times, 5000, seed=1)[..., 0]
    assert (counts[:, 0] == 0).all()
    for column, time in enumerate(times[1:], start=1):
        mean = 8 / 1.5 * (1 - np.exp(-1.5 * time))
        assert_drawn_from(counts[:, column], poisson.pmf(np.arange(60), mean))


def test_a_trajectory_remembers_as_it_should() -> None:
    """Recorded counts belong to one path: their covariance is the earlier variance times exp(-death * lag)."""
    death, times = 1.5, np.array([2.0, 2.3, 3.0])
    counts = simulate_jumps(birth_and_death(8.0, death), times, 20000, seed=2)[..., 0]
    exact = 8 / death * (1 - np.exp(-death * times[0])) * np.exp(-death * (times - times[0]))
    np.testing.assert_allclose(np.cov(counts.T)[0], exact, atol=0.2)  # standard error about 0.05


@pytest.mark.parametrize("slack", [1.0, 3.0])
def test_thinning_gives_an_inhomogeneous_poisson_process(slack: float) -> None:
    """Births at 6 (1 + 0.9 sin(2 t)), each alive for an exponential time: Poisson, whatever the bound's slack."""

    def rates(counts: np.ndarray, time: np.ndarray) -> np.ndarray:
        return np.stack([6 * (1 + 0.9 * np.sin(2 * time)), 1.0 * counts[:, 0]], axis=1)

    def bound(counts: np.ndarray, time: np.ndarray) -> np.ndarray:
        return slack * np.stack([np.full(len(counts), 6 * 1.9), 1.0 * counts[:, 0]], axis=1)

    times = np.array([0.4, 1.0, 2.2, 3.5])
    counts = simulate_jumps(one_species([1, -1], rates, bound=bound), times, 5000, seed=3)[..., 0]
    seasonal = (np.sin(2 * times) - 2 * np.cos(2 * times) + 2 * np.exp(-times)) / 5
    means = 6 * (1 - np.exp(-times)) + 6 * 0.9 * seasonal
    for column, mean in enumerate(means):
        assert_drawn_from(counts[:, column], poisson.pmf(np.arange(60), mean))


def test_absorbing_states_stay() -> None:
    counts = simulate_jumps(birth_and_death(0.0, 2.0, initial=5), np.linspace(0, 50, 11), 300, seed=4)[..., 0]
    assert (np.diff(counts, axis=1) <= 0).all()
    assert (counts[:, 0] == 5).all() and (counts[:, -1] == 0).all()


# --- systems against their master equations


def test_the_epidemic_solves_its_master_equation() -> None:
    """Six people and a strong season, through all six reactions."""
    process = epidemic(infection=0.3, season=0.9, recovery=0.3, waning=0.4, susceptible=4, infected=2, period=2.0)
    times = np.array([0.6, 1.5, 4.0])
    counts = simulate_jumps(process, times, 5000, seed=5)
    for column, time in enumerate(times):
        exact = np.clip(exact_distribution(process, (6, 6, 6), time), 0, None)
        assert_drawn_from(np.ravel_multi_index(counts[:, column].T, (7, 7, 7)), exact)


def test_the_toggle_switch_solves_its_master_equation() -> None:
    process = toggle_switch(production=4.0, binding=0.1, unbinding=0.5)
    times = np.array([1.0, 5.0])
    counts = simulate_jumps(process, times, 5000, seed=6)
    for column, time in enumerate(times):
        exact = exact_distribution(process, (1, 1, 20, 20), time)
        assert_drawn_from(np.ravel_multi_index(counts[:, column].T, (2, 2, 21, 21)), exact)


def test_the_saturating_cascade_solves_its_master_equation() -> None:
    process = saturating_cascade(production=3.0, base=1.0, maximum=10.0, half=5.0, decay=1.0, species=3)
    times = np.array([0.5, 3.0])
    counts = simulate_jumps(process, times, 5000, seed=7)
    for column, time in enumerate(times):
        exact = exact_distribution(process, (15, 15, 15), time)
        assert_drawn_from(np.ravel_multi_index(counts[:, column].T, (16, 16, 16)), exact)


def test_the_ecology_solves_its_master_equation() -> None:
    """In blocks of 5 x 5 alleles, when the walk is between the peaks, and from a corner, where it is reflected."""
    for process, time in ((ecology(), 15.0), (ecology(first=0, second=99), 3.0)):
        counts = simulate_jumps(process, np.array([time]), 4000, seed=8)[:, 0]
        exact = exact_distribution(process, (99, 99), time).reshape(20, 5, 20, 5).sum(axis=(1, 3))
        assert_drawn_from(np.ravel_multi_index((counts // 5).T, (20, 20)), exact.ravel())


# --- what is recorded


def test_the_same_arguments_give_the_same_counts() -> None:
    times = np.linspace(0, 5, 11)
    counts = simulate_jumps(epidemic(), times, 20, seed=9)
    assert counts.dtype == np.int64 and counts.shape == (20, 11, 3)
    np.testing.assert_array_equal(simulate_jumps(epidemic(), times, 20, seed=9), counts)
    assert (simulate_jumps(epidemic(), times, 20, seed=10) != counts).any()


def test_what_is_recorded_does_not_depend_on_the_other_times() -> None:
    many, few = np.linspace(0, 5, 101), np.array([0.0, 2.5, 2.5, 5.0])
    process = toggle_switch()
    counts = simulate_jumps(process, many, 20, seed=11)
    np.testing.assert_array_equal(simulate_jumps(process, few, 20, seed=11), counts[:, [0, 50, 50, 100]])


def test_the_start_is_recorded_at_time_0() -> None:
    assert (simulate_jumps(epidemic(), np.array([0.0]), 3, seed=0)[:, 0] == [50, 10, 0]).all()


def test_nothing_asked_for_gives_nothing() -> None:
    assert simulate_jumps(epidemic(), np.array([0.0, 1.0]), 0, seed=0).shape == (0, 2, 3)
    assert simulate_jumps(epidemic(), np.array([]), 4, seed=0).shape == (4, 0, 3)


# --- refusals


def test_requests_that_cannot_be_met_are_refused() -> None:
    process = birth_and_death(1.0, 1.0)
    with refused("trajectories", -1):
        simulate_jumps(process, np.array([1.0]), -1, seed=0)
    for times, words in (
        ([1.0, 0.5], ("0.5 after 1", "ascending")),
        ([-1.0, 0.5], ("-1", "at least 0")),
        ([0.0, np.inf], ("inf", "finite")),
        ([0.0, np.nan], ("nan", "finite")),
        ([[0.0]], ("2 dimensions",)),
    ):
        with refused("times", *words):
            simulate_jumps(process, np.array(times), 1, seed=0)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_wrong_rates_are_refused(wrong: float) -> None:
    def rates(counts: np.ndarray, time: np.ndarray) -> np.ndarray:
        return np.stack([np.ones(len(counts)), np.where(counts[:, 0] < 3, 1.0, wrong)], axis=1)

    with refused("system test", "reaction 1 at time", f"{wrong:g}"):
        simulate_jumps(one_species([1, 1], rates), np.array([100.0]), 5, seed=0)


def test_rates_above_their_bound_are_refused() -> None:
    def rates(counts: np.ndarray, time: np.ndarray) -> np.ndarray:
        return 2 * time[:, None]

    def bound(counts: np.ndarray, time: np.ndarray) -> np.ndarray:
        return np.full((len(counts), 1), 3.0)

    with refused("system test", "reaction 0 at time", "bound 3"):
        simulate_jumps(one_species([1], rates, bound=bound), np.array([100.0]), 5, seed=0)


def test_a_count_below_0_is_refused() -> None:
    with refused("system test", "X at time", "count -1", "reaction 0"):
        simulate_jumps(
            one_species([-1], lambda counts, time: np.ones((len(counts), 1)), 2), np.array([99.0]), 5, seed=0
        )


def test_too_many_jumps_are_refused() -> None:
    """Pairs that make a third explode in finite time."""
    process = one_species([1], lambda counts, time: 1.0 * counts**2, initial=1)
    with refused("system test", "more than 500 jumps by time", "up to time 10"):
        simulate_jumps(process, np.array([10.0]), 5, seed=0, max_jumps=500)


def test_a_process_must_fit_together() -> None:
    with refused("test", "start of X", "-1"):
        birth_and_death(1.0, 1.0, initial=-1)
    with refused("epidemic", "horizon", "0"):
        epidemic(horizon=0.0)
    with pytest.raises(ValueError, match="changes"):
        JumpProcess("test", ("X", "Y"), (0, 0), np.ones((1, 1), np.int64), lambda counts, time: counts * 1.0, 1.0)
