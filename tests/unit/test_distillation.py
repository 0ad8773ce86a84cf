"""Distillation of one-step maps whose equations are known, exact and disturbed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
import pytest
import yaml
from refusals import refused
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from sklearn.preprocessing import PolynomialFeatures
from tiny_study import ROOT

from weightcast.core.run import Run
from weightcast.environments.config.load import parse_study
from weightcast.environments.explain.distillation import DistilledEquations, StepPairs, distil, pairs_within
from weightcast.environments.explain.polynomials import Monomials, flow
from weightcast.environments.jobs import ResolveConfig
from weightcast.environments.plan import check_packages
from weightcast.environments.stages.resolve_config import resolve_config

RESOLUTION = 0.02
Map = Callable[[np.ndarray], np.ndarray]


def lotka_volterra(beta: float, delta: float) -> dict[str, dict[str, float]]:
    return {
        "prey": {"prey": 0.5, "prey predator": -beta},
        "predator": {"predator": -0.5, "prey predator": delta},
    }


def exact_step(beta: float, delta: float, frame_step: float) -> Map:
    """The flow of Lotka-Volterra over one step, to ten digits."""

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        prey, predator = flat.reshape(-1, 2).T
        return np.stack([prey * (0.5 - beta * predator), predator * (delta * prey - 0.5)], axis=1).ravel()

    def step(states: np.ndarray) -> np.ndarray:
        solution = solve_ivp(rate, (0, frame_step), states.ravel(), method="DOP853", rtol=1e-10, atol=1e-12)
        return solution.y[:, -1].reshape(-1, 2)

    return step


def rolled(step: Map, starts: np.ndarray, steps: int) -> np.ndarray:
    """[start, frame, component]."""
    frames = [starts]
    for _ in range(steps):
        frames.append(step(frames[-1]))
    return np.stack(frames, axis=1)


def starts_of(seed: int, low: float = 1.0, high: float = 2.0, components: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (32, components))


def distilled(rollouts: np.ndarray, frame_step: float, components: list[str], degree: int = 2) -> DistilledEquations:
    pytest.importorskip("pysindy", reason="the extra `symbolic` is not installed")
    pairs = pairs_within(rollouts, np.full(len(components), -1e6), np.full(len(components), 1e6))
    return distil(pairs, frame_step, components, degree, RESOLUTION)


def terms_of(found: DistilledEquations, components: list[str]) -> dict[str, dict[str, float]]:
    """The equations without the terms that they lack."""
    return {
        component: {term: value for term, value in zip(found.terms, row, strict=True) if value != 0}
        for component, row in zip(components, found.coefficients.tolist(), strict=True)
    }


def assert_equations(
    found: DistilledEquations, components: list[str], truth: dict[str, dict[str, float]], tolerance: float
) -> None:
    """The same terms, and coefficients to a relative tolerance."""
    for component, terms in terms_of(found, components).items():
        assert terms == pytest.approx(truth[component], rel=tolerance), component


SPECIES = ["prey", "predator"]


# --- equations that are known ---


@pytest.mark.parametrize(("frame_step", "steps"), [(0.1, 40), (0.5, 20), (2.0, 10)])
@pytest.mark.parametrize(("beta", "delta"), [(0.625, 0.75), (1.125, 1.125)])
def test_exact_steps_give_the_exact_equations(beta, delta, frame_step, steps):
    """Also with six steps a period and a collapse of the prey within one, where divided differences say nothing."""
    found = distilled(rolled(exact_step(beta, delta, frame_step), starts_of(0), steps), frame_step, SPECIES)
    assert_equations(found, SPECIES, lotka_volterra(beta, delta), 1e-6 if frame_step < 1 else 1e-3)
    assert found.residuals.max() < (1e-6 if frame_step < 1 else 1e-3)


@pytest.mark.filterwarnings("error")
def test_units_do_not_matter():
    """Columns of a regression differ by many orders of magnitude here; none may warn that it is ill-conditioned."""
    units = np.array([1e4, 1e-3])
    found = distilled(rolled(exact_step(0.7, 0.9, 0.5), starts_of(2), 20) * units, 0.5, SPECIES, degree=3)
    truth = lotka_volterra(0.7 / units[1], 0.9 / units[0])
    assert_equations(found, SPECIES, truth, 1e-5)


def test_terms_of_a_higher_degree_are_looked_for_and_not_found():
    found = distilled(rolled(exact_step(0.7, 0.9, 0.5), starts_of(1), 20), 0.5, SPECIES, degree=3)
    assert "prey^2 predator" in found.terms
    assert_equations(found, SPECIES, lotka_volterra(0.7, 0.9), 1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_half_a_percent_of_noise_is_borne(seed):
    """Independent noise of 0.5 % of each amount in each step: 2 to 3 % of the step itself."""
    step, random = exact_step(0.625, 0.875, 0.5), np.random.default_rng(seed)
    noisy = rolled(lambda states: step(states) * (1 + 0.005 * random.normal(size=states.shape)), starts_of(seed), 20)
    found = distilled(noisy, 0.5, SPECIES)
    assert_equations(found, SPECIES, lotka_volterra(0.625, 0.875), 0.02)
    assert 0.01 < found.residuals.max() < 0.04


@pytest.mark.parametrize("seed", range(3))
def test_errors_that_are_smooth_in_the_state_are_not_taken_for_terms(seed):
    """What a network does wrong: waves over the states that are the same whenever it comes by, 0.5 % of an amount."""
    step, random = exact_step(0.625, 0.875, 0.5), np.random.default_rng(seed)
    waves, phases = random.normal(size=(2, 20, 2)), random.uniform(0, 2 * np.pi, (20, 2))
    heights = random.normal(size=(20, 2)) / math.sqrt(10)
    wrong = rolled(
        lambda states: step(states) + 0.004 * (heights * np.cos(np.tensordot(states, waves, 1) + phases)).sum(1),
        starts_of(seed),
        20,
    )
    found = distilled(wrong, 0.5, SPECIES)
    assert_equations(found, SPECIES, lotka_volterra(0.625, 0.875), 0.1)
    assert found.residuals.max() > 0.002


def test_damped_oscillator():
    """A term of a tenth of the size of the other one in its equation is kept."""
    matrix = np.array([[0.0, 1.5], [-1.5, -0.15]])
    states = rolled(lambda states: states @ expm(0.4 * matrix).T, starts_of(3, -1.0, 1.0), 15)
    found = distilled(states, 0.4, ["x", "v"])
    assert_equations(found, ["x", "v"], {"x": {"v": 1.5}, "v": {"x": -1.5, "v": -0.15}}, 1e-5)


def test_relaxation_has_a_constant_term_and_a_component_at_rest_has_none():
    def step(states: np.ndarray) -> np.ndarray:
        return np.stack([2.0 + (states[:, 0] - 2.0) * math.exp(-0.3), states[:, 1]], axis=1)

    found = distilled(rolled(step, starts_of(4), 10), 0.5, ["x", "fixed"])
    assert_equations(found, ["x", "fixed"], {"x": {"1": 1.2, "x": -0.6}, "fixed": {}}, 1e-5)
    assert found.residuals[1] == 0.0


def test_cubic_limit_cycle():
    """The homogeneous Lambda-Omega system, five terms an equation, from starts inside and outside its cycle."""
    beta, frame_step = 0.8, 0.5

    def step(states: np.ndarray) -> np.ndarray:
        # In polar coordinates r changes at the rate r - r^3, and the angle at -beta r^2.
        radius, angle = np.hypot(*states.T), np.arctan2(states[:, 1], states[:, 0])
        after = 1 / np.sqrt(1 + (radius**-2 - 1) * math.exp(-2 * frame_step))
        turned = angle - beta * (frame_step - np.log(after / radius))  # the integral of r^2
        return after[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=1)

    found = distilled(rolled(step, starts_of(5, -1.3, 1.3), 10), frame_step, ["u", "v"], degree=3)
    truth = {
        "u": {"u": 1.0, "u^3": -1.0, "u v^2": -1.0, "u^2 v": beta, "v^3": beta},
        "v": {"v": 1.0, "v^3": -1.0, "u^2 v": -1.0, "u^3": -beta, "u v^2": -beta},
    }
    assert_equations(found, ["u", "v"], truth, 1e-3)


# --- what is no polynomial equation ---


def test_a_map_that_is_no_flow_is_not_believed():
    """The logistic map folds its interval: no differential equation does that."""
    states = rolled(lambda states: 3.9 * states * (1 - states), starts_of(6, 0.1, 0.9, components=1), 20)
    assert distilled(states, 1.0, ["x"]).residuals[0] > 0.5


def test_an_equation_that_is_no_polynomial_is_not_believed():
    def step(states: np.ndarray) -> np.ndarray:
        rate = lambda _, flat: 0.3 * np.cos(6 * flat)  # noqa: E731
        return solve_ivp(rate, (0, 0.2), states.ravel(), rtol=1e-8).y[:, -1:]

    assert distilled(rolled(step, starts_of(7, -1.5, 1.5, components=1), 5), 0.2, ["x"]).residuals[0] > 0.3


def test_noise_alone_has_no_equations():
    random = np.random.default_rng(8)
    states = rolled(lambda states: random.normal(size=states.shape), starts_of(8), 20)
    assert distilled(states, 1.0, SPECIES).residuals.min() > 0.5


def test_too_little_to_tell_gives_no_terms():
    states = rolled(exact_step(0.7, 0.7, 0.5), starts_of(9), 20)
    for few in (states[:4], states[:5, :2], np.full_like(states, np.nan)):
        found = distilled(few, 0.5, SPECIES)
        assert not found.coefficients.any()
        assert np.isinf(found.residuals).all()


def test_without_pysindy_it_is_said_what_to_install(monkeypatch):
    for module in ("pysindy", "pysindy.optimizers"):
        monkeypatch.setitem(sys.modules, module, None)
    pairs = StepPairs(starts_of(10), starts_of(11), np.arange(32))
    with refused("pysindy", "pip install 'pysindy"):
        distil(pairs, 0.5, SPECIES, 2, RESOLUTION)


def test_what_is_missing_is_said_before_a_study_begins(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysindy", None)
    config = yaml.safe_load((ROOT / "tests/workflow/mini-ode.yaml").read_text())
    with refused("explain", "pysindy", "pip install 'pysindy"):
        resolve_config(Run(), ResolveConfig(config=config), None)
    assert set(resolve_config(Run(), ResolveConfig(config=config | {"explain": None}), None)) == {
        "config",
        "environments",
    }


@pytest.mark.parametrize("config", ["config.yaml", "config/gray-scott.yaml", "tests/workflow/mini-frames.yaml"])
def test_studies_that_distil_no_equations_need_no_pysindy(config, monkeypatch):
    """`make run` installs nothing optional."""
    monkeypatch.setitem(sys.modules, "pysindy", None)
    check_packages(parse_study(yaml.safe_load((ROOT / config).read_text())))


# --- parts ---


def test_rollouts_end_where_they_leave_the_range():
    rollouts = np.array([[0.1, 0.5, 1.5, 0.5, 0.6], [0.2, 0.3, np.nan, 0.4, 0.5], [2.0, 0.5, 0.5, 0.5, 0.5]])[..., None]
    pairs = pairs_within(rollouts, np.array([0.0]), np.array([1.0]))
    assert pairs.before[:, 0].tolist() == [0.1, 0.5, 0.2]
    assert pairs.after[:, 0].tolist() == [0.5, 1.5, 0.3]
    assert pairs.start.tolist() == [0, 0, 1]


@pytest.mark.parametrize("components", [1, 2, 3])
def test_monomials_are_those_of_scikit_learn(components):
    names = ["a", "b", "c"][:components]
    states = np.random.default_rng(0).normal(size=(7, components))
    monomials, features = Monomials(names, 4), PolynomialFeatures(4)
    assert monomials(states) == pytest.approx(features.fit_transform(states), rel=1e-12)
    assert monomials.names == features.get_feature_names_out(names).tolist()


def test_flow_is_of_fourth_order():
    monomials = Monomials(["x"], 2)
    coefficients, states = np.array([[0.0, 1.0, -1.0]]), np.array([[0.2], [1.7]])  # logistic growth
    exact = states / (states + (1 - states) * math.exp(-2.0))
    errors = [np.abs(flow(coefficients, states, 2.0, steps, monomials)[-1] - exact).max() for steps in (8, 16, 32)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders == pytest.approx([4.0, 4.0], abs=0.3)
