"""Moments of jump processes by closure, and rate constants fitted to samples of a few times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from master_equation import exact_distribution
from refusals import refused
from scipy.optimize import brentq

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.families.baselines.rate_fit import Constants, fit_rates, shown_log_likelihood
from weightcast.families.config.opponents import RateFitSettings
from weightcast.systems.birth_death import birth_death
from weightcast.systems.cascade import linear_cascade
from weightcast.systems.epidemic import epidemic
from weightcast.systems.families import family_table
from weightcast.systems.jump_process import JumpProcess
from weightcast.systems.normal_closure import normal_moments
from weightcast.systems.ornstein_uhlenbeck import ornstein_uhlenbeck
from weightcast.systems.stochastic import build_stochastic_system, simulate, system_settings

TIMES = np.array([0.0, 0.3, 1.5, 4.0])
SETTINGS = RateFitSettings(starts=1)


def table(**columns: list[float]) -> EnvironmentTable:
    """Visible environments with these parameters."""
    rows = zip(*columns.values(), strict=True)
    environments = tuple(
        Environment(f"e{place}", dict(zip(columns, row, strict=True)), "visible") for place, row in enumerate(rows)
    )
    return EnvironmentTable(environments, tuple(columns), Path("t.csv"))


# --- moments


@pytest.mark.parametrize("process", [birth_death(), birth_death(birth=0.0, molecules=9), linear_cascade(species=4)])
def test_moments_are_exact_where_rates_are_linear(process: JumpProcess) -> None:
    """But for the integration's error; the counts of a cascade are independent."""
    means, covariances = normal_moments(process, TIMES)
    assert process.law is not None
    for mean, covariance, time in zip(means, covariances, TIMES, strict=True):
        np.testing.assert_allclose(mean, process.law.mean(time), atol=1e-3)
        np.testing.assert_allclose(covariance, np.diag(process.law.variance(time)), atol=2e-3)


def test_moments_of_an_epidemic_are_near_those_of_its_master_equation() -> None:
    """Fourteen people, with a season: pairs meet at a quadratic rate, so moments are closed. Equations of the mean
    alone, which ignore that the susceptible and the infected are correlated, are off by 0.2 at the later time."""
    process = epidemic(infection=0.02, recovery=0.1, susceptible=10, infected=4)
    size = (10, 14, 14)
    states = np.indices(np.array(size) + 1).reshape(3, -1)
    for time, of_mean, of_covariance in ((1.0, 0.002, 0.03), (5.0, 0.03, 0.45)):
        masses = exact_distribution(process, size, time)
        mean, covariance = (found[0] for found in normal_moments(process, np.array([time])))
        true = states @ masses
        np.testing.assert_allclose(mean, true, atol=of_mean)
        np.testing.assert_allclose(covariance, (states * masses) @ states.T - np.outer(true, true), atol=of_covariance)


def test_moments_that_explode_are_not_numbers() -> None:
    """X + X -> 3 X at ten per ordered pair has no solution after a hundredth of a unit of time."""
    process = JumpProcess(
        "explosion", ("X",), (10,), np.array([[1]]), lambda counts, time: 10.0 * counts * (counts - 1), 1.0
    )
    means, covariances = normal_moments(process, np.array([0.0, 0.5]))
    assert means[0] == 10 and covariances[0] == 0
    assert np.isnan(means[1]) and np.isnan(covariances[1])


# --- constants


def test_places_are_those_of_the_visible_range() -> None:
    constants = Constants.of("birth-death", {}, table(birth=[2.0, 8.0, 4.0], molecules=[10.0, 20.0, 30.0]))

    assert (constants.names, constants.told, constants.logarithmic) == (("birth",), ("molecules",), (True,))
    for place, value in ((0.0, 4.0), (1.0, 8.0), (-1.0, 2.0)):
        assert constants.at(np.array([place]))["birth"] == pytest.approx(value)
    process = constants.process({"birth": 3.0}, {"birth": 99.0, "molecules": 20.0})
    assert isinstance(process, JumpProcess) and process.initial == (20,)
    assert process.rates(np.array([[5]]), np.array([0.0]))[0, 0] == 3.0


def test_places_stay_within_the_bounds_of_the_system() -> None:
    constants = Constants.of("epidemic", {}, table(season=[0.1, 0.5]))
    assert constants.logarithmic == (False,)
    assert constants.at(np.array([0.0]))["season"] == pytest.approx(0.3)
    assert [constants.at(np.array([place]))["season"] for place in (-5.0, 5.0)] == [0.0, 1.0]
    correlated = Constants.of("ornstein-uhlenbeck", {}, table(correlation=[-0.5, 0.9]))
    for place in (-5.0, 5.0):  # an open interval: neither end itself
        build_stochastic_system("ornstein-uhlenbeck", correlated.at(np.array([place])))
    same = Constants.of("ornstein-uhlenbeck", {}, table(mean=[0.0, 0.0]))
    assert same.at(np.array([1.0]))["mean"] == 0.5


def test_a_table_without_rate_constants_is_refused() -> None:
    with refused("t.csv", "no column of a rate constant of birth-death", "opponents.rate_fit"):
        Constants.of("birth-death", {}, table(molecules=[1.0, 2.0]))
    assert system_settings("birth-death")["molecules"].whole


# --- fits


def test_births_are_fitted_to_where_the_exact_likelihood_is_greatest() -> None:
    """Of one constant the derivative of the log-likelihood is 0 there, by another search: within what the search says
    it stops at, a thousandth of half the visible range."""
    constants = Constants.of("birth-death", {"death": 0.8, "molecules": 12}, table(birth=[4.0, 12.0]))
    values = simulate(birth_death(birth=9.0, molecules=12), np.array([1.0, 2.0]), 40, seed=2).astype(np.float64)
    shown = [values[:20, 0], values[20:, 1]]

    def slope(log: float) -> float:
        near = [
            shown_log_likelihood(birth_death(birth=np.exp(log + step), molecules=12), [1.0, 2.0], shown)
            for step in (1e-4, -1e-4)
        ]
        return (near[0] - near[1]) / 2e-4

    exact = np.exp(brentq(slope, np.log(4.0), np.log(20.0)))
    found = fit_rates(constants, [1.0, 2.0], shown, {"birth": 9.0}, SETTINGS)
    assert found["birth"] == pytest.approx(exact, rel=2e-3)


def test_the_diffusion_is_fitted_by_its_normal_law() -> None:
    """4000 samples say relaxation and noise to two percent, three standard errors; both differ by half from the
    middle of the range."""
    constants = Constants.of("ornstein-uhlenbeck", {}, table(relaxation=[0.3, 1.2], noise=[0.4, 1.2]))
    truth = {"relaxation": 0.9, "noise": 1.0}
    values = simulate(ornstein_uhlenbeck(**truth), np.array([0.0, 1.0, 2.0]), 6000, seed=3)
    shown = [values[:2000, 0], values[2000:4000, 1], values[4000:, 2]]
    found = fit_rates(constants, [0.0, 1.0, 2.0], shown, truth, SETTINGS)
    assert found == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize(("system", "times"), [("epidemic", [5.0, 10.0]), ("toggle-switch", [2.0, 4.0])])
def test_rates_of_reaction_networks_are_found_by_closure(system: str, times: list[float]) -> None:
    """400 samples of each of two times: constants are found to a tenth of the visible range, of a family whose
    inside environments differ by far more."""
    family = family_table(system)
    truth = family.interpolation[2].parameters
    constants = Constants.of(system, {}, family)
    values = simulate(build_stochastic_system(system, truth), np.array(times), 800, seed=4).astype(np.float64)
    found = fit_rates(constants, times, [values[:400, 0], values[400:, 1]], truth, SETTINGS)
    for name, half in zip(constants.names, constants.half, strict=True):
        assert abs(np.log(found[name] / truth[name])) < 0.1 * 2 * half


def test_what_is_a_point_says_nothing() -> None:
    process = birth_death()
    start = np.full((3, 1), 30.0)
    later = np.array([[20.0], [22.0]])
    assert shown_log_likelihood(process, [0.0, 1.0], [start, later]) == shown_log_likelihood(process, [1.0], [later])
    assert process.law is not None
    assert shown_log_likelihood(process, [1.0], [later]) == pytest.approx(process.law.log_prob(later, 1.0).sum())
