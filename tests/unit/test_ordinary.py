from __future__ import annotations

import numpy as np
import pytest
from refusals import refused
from scipy.integrate import cumulative_simpson

from weightcast.core.environment_table import Environment
from weightcast.systems import ordinary, require_positive
from weightcast.systems.ordinary import (
    OrdinarySettings,
    as_fields,
    integrate,
    point_trajectories,
    uniform_starts,
)


def solve(rate, start, **changes) -> np.ndarray:
    """[time, component]"""
    chosen = OrdinarySettings(**({"frames": 11, "frame_step": 0.5} | changes))
    return integrate([rate], np.array(start, float)[None, None], ["a"], chosen, 1e-100, "test")[0, 0]


# --- accuracy


def decay_chain(time: float, state: np.ndarray) -> list[float]:
    """A -> B -> C with the rates 2 and 1."""
    a, b, _ = state
    return [-2 * a, 2 * a - b, b]


def decay_chain_exactly(time: np.ndarray) -> np.ndarray:
    a, b = np.exp(-2 * time), 2 * (np.exp(-time) - np.exp(-2 * time))
    return np.stack([a, b, 1 - a - b], axis=-1)


def test_a_linear_system_is_solved_exactly() -> None:
    np.testing.assert_allclose(solve(decay_chain, [1, 0, 0]), decay_chain_exactly(0.5 * np.arange(11)), rtol=2e-9)


def test_errors_follow_the_tolerance() -> None:
    exact = decay_chain_exactly(0.5 * np.arange(11))[1:]
    tolerances = (1e-4, 1e-7, 1e-10)
    errors = [np.abs(solve(decay_chain, [1, 0, 0], tolerance=each)[1:] / exact - 1).max() for each in tolerances]
    assert errors[0] > 30 * errors[1] > 900 * errors[2]
    np.testing.assert_array_less(errors, 30 * np.array(tolerances))


def test_what_has_almost_vanished_is_as_accurate_as_the_rest() -> None:
    """e^-150 beside 1: an absolute tolerance would lose every digit of it."""
    states = solve(lambda time, state: [-30 * state[0], 0.0], [1, 1])
    np.testing.assert_allclose(states[:, 0], np.exp(-15.0 * np.arange(11)), rtol=1e-7)


def test_what_is_negligible_may_be_unknown() -> None:
    """A difference of two numbers near 1 is known to 1e-16 alone, and so is what is made from it."""

    def rate(time: float, state: np.ndarray) -> list[float]:
        return [-time * state[0], 1 - state[0], state[1]]

    chosen = OrdinarySettings(frames=5, frame_step=0.25)
    found = integrate([rate], np.array([[[1.0, 0, 0]]]), ["a"], chosen, 1e-6, "test")[0, 0]
    np.testing.assert_allclose(found[:, 0], np.exp(-(chosen.times**2) / 2), rtol=1e-9)
    fine = np.linspace(0, 1, 4001)
    second = cumulative_simpson(1 - np.exp(-(fine**2) / 2), x=fine, initial=0)
    third = cumulative_simpson(second, x=fine, initial=0)
    np.testing.assert_allclose(found[:, 1:], np.stack([second, third], axis=1)[::1000], atol=1e-11)


def test_rates_know_the_time() -> None:
    states = solve(lambda time, state: [np.cos(time) * state[0]], [1])
    np.testing.assert_allclose(states[:, 0], np.exp(np.sin(0.5 * np.arange(11))), rtol=1e-9)


def test_one_frame_is_the_start() -> None:
    np.testing.assert_array_equal(solve(decay_chain, [1, 0.5, 0], frames=1), [[1, 0.5, 0]])


def test_a_trajectory_does_not_depend_on_its_batch() -> None:
    """To the bit, also beside one that needs a hundred times as many steps."""

    def slow(time: float, state: np.ndarray) -> list[float]:
        return [-state[0] * state[1], state[0]]

    def fast(time: float, state: np.ndarray) -> list[float]:
        return [state[0] * np.sin(300 * time), 0.0]

    chosen = OrdinarySettings(frames=5)
    starts = np.array([[[1.0, 2.0], [3.0, 0.1]], [[1.0, 1.0], [2.0, 2.0]]])
    together = integrate([slow, fast], starts, ["a", "b"], chosen, 1e-100, "test")
    alone = integrate([slow], starts[:1, 1:], ["a"], chosen, 1e-100, "test")
    np.testing.assert_array_equal(together[0, 1], alone[0, 0])


# --- solutions that cannot be followed


def test_a_blow_up_names_environment_and_time() -> None:
    """y_t = y^2 from 1 is 1 / (1 - t)."""
    chosen = OrdinarySettings(frames=5)
    rates = [lambda time, state: [0.0], lambda time, state: [state[0] ** 2]]
    with refused("environment b", "time 1,", "tolerance"):
        integrate(rates, np.ones((2, 1, 1)), ["a", "b"], chosen, 1e-100, "test")


def test_a_rate_that_is_not_finite_is_refused_at_once() -> None:
    with refused("environment a", "no finite rate", "time 0,"):
        solve(lambda time, state: [np.inf], [1])


def test_a_solution_that_needs_too_many_steps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordinary, "_MOST_EVALUATIONS", 1000)
    with refused("environment a", "1000 evaluations", "time 0.0"):
        solve(lambda time, state: [1e6 * (1 - state[0])], [0.5])


def test_a_negative_amount_is_refused() -> None:
    with refused("environment a", "negative value -0.", "time 1,"):
        solve(lambda time, state: [-1.0], [0.7])


# --- starts and records


def test_starts_are_uniform_in_their_range() -> None:
    starts = uniform_starts("a", [1.0, -2.0], [2.0, 4.0], OrdinarySettings(trajectories=2000), seed=0)
    assert starts.shape == (2000, 2)
    scaled = (starts - [1, -2]) / [1, 6]
    assert scaled.min() >= 0 and scaled.max() <= 1
    np.testing.assert_allclose(scaled.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(scaled.var(axis=0), 1 / 12, atol=0.004)
    assert abs(np.corrcoef(scaled.T)[0, 1]) < 0.05


def test_starts_belong_to_seed_environment_and_trajectory() -> None:
    def starts(environment: str = "a", trajectories: int = 3, seed: int = 0) -> np.ndarray:
        return uniform_starts(environment, [0.0] * 2, [1.0] * 2, OrdinarySettings(trajectories=trajectories), seed)

    np.testing.assert_array_equal(starts(trajectories=2), starts()[:2])
    for others in (starts("b"), starts(seed=1), starts()[[1, 2, 0]]):
        assert np.abs(others - starts()).max(axis=1).min() > 0.02


@pytest.mark.parametrize("value", [0.0, -1.5, float("nan")])
def test_a_parameter_must_be_positive(value: float) -> None:
    require_positive([1.0, 2.0], "beta", ["a", "b"], "test")
    with refused("environment b", "parameter beta", f"{value:g}", "above 0"):
        require_positive([1.0, value], "beta", ["a", "b"], "test")


def test_a_state_is_a_field_on_one_point() -> None:
    chosen = OrdinarySettings(trajectories=2, frames=3, frame_step=0.25)
    environment = Environment("a", {"beta": 1.0}, "visible")
    states = np.arange(12.0).reshape(2, 3, 2)
    made = point_trajectories(as_fields(states), ("x", "y"), environment, chosen, {"x": "mM"})
    assert made.values.shape == (2, 3, 2, 1, 1)
    np.testing.assert_array_equal(made.values[..., 0, 0], states)
    np.testing.assert_array_equal(made.time, [0, 0.25, 0.5])
    assert made.y.tolist() == made.x.tolist() == [0.0]
    assert (made.environment, made.parameters, made.units) == ("a", {"beta": 1.0}, {"x": "mM"})


def test_positions_may_be_negative_where_a_system_says_so() -> None:
    settings = OrdinarySettings(frames=9, trajectories=1, frame_step=0.5)
    start = np.array([[[1.0, 0.0]]])
    rate = lambda time, state: [state[1], -state[0]]  # noqa: E731
    (states,) = integrate([rate], start, ["harmonic"], settings, 1e-9, "test", signed=True)
    np.testing.assert_allclose(states[0, :, 0], np.cos(settings.times), atol=1e-8)
    with refused("environment harmonic", "the negative value", "settings of test"):
        integrate([rate], start, ["harmonic"], settings, 1e-9, "test")
