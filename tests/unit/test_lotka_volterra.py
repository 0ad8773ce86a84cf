from __future__ import annotations

import numpy as np
import pytest
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.systems.lotka_volterra import SYSTEM, LotkaVolterraSettings, initial_states, simulate, solve


def settings(**changes) -> LotkaVolterraSettings:
    return LotkaVolterraSettings(**({"trajectories": 3, "frames": 21} | changes))


def orbit(start, beta: float, delta: float, chosen: LotkaVolterraSettings) -> np.ndarray:
    """[time, (prey, predator)]"""
    return solve(np.array(start, float)[None, None], [beta], [delta], ["a"], chosen)[0, 0]


def environment(id: str, beta: float = 0.75, delta: float = 0.5) -> Environment:
    return Environment(id, {"beta": beta, "delta": delta}, "visible")


# --- exact solutions


def test_without_the_other_species_both_are_exponential() -> None:
    chosen = settings(alpha=0.3, gamma=0.8)
    prey, predators = (orbit(start, 0.5, 1.0, chosen) for start in ([2, 0], [0, 2]))
    np.testing.assert_allclose(prey, np.stack([2 * np.exp(0.3 * chosen.times), np.zeros(21)], axis=1), rtol=1e-9)
    np.testing.assert_allclose(predators, np.stack([np.zeros(21), 2 * np.exp(-0.8 * chosen.times)], axis=1), rtol=1e-9)


@pytest.mark.parametrize(("beta", "delta"), [(0.5, 0.5), (1.2, 0.5), (0.5, 1.2), (1.2, 1.2)])
@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 0.5), (0.8, 0.3)])
def test_the_invariant_is_constant(beta: float, delta: float, alpha: float, gamma: float) -> None:
    """V = delta x - gamma ln x + beta y - alpha ln y, over 30 units of time, to 1e-8."""
    chosen = settings(frames=61, alpha=alpha, gamma=gamma, initial_high=3.0)
    starts = initial_states("a", chosen, seed=0)[None]
    prey, predators = np.moveaxis(solve(starts, [beta], [delta], ["a"], chosen)[0], -1, 0)
    invariant = delta * prey - gamma * np.log(prey) + beta * predators - alpha * np.log(predators)
    np.testing.assert_allclose(invariant, np.broadcast_to(invariant[:, :1], invariant.shape), rtol=0, atol=1e-8)
    assert np.ptp(delta * prey - gamma * np.log(prey)) > 0.1  # what is constant is the sum alone


def test_the_fixed_point_is_at_rest() -> None:
    chosen = settings(alpha=0.8, gamma=0.3, frame_step=5.0)
    point = np.array([0.3 / 1.1, 0.8 / 0.7])
    np.testing.assert_allclose(orbit(point, 0.7, 1.1, chosen), np.broadcast_to(point, (21, 2)), rtol=1e-12)


@pytest.mark.parametrize(("beta", "delta"), [(0.7, 1.1), (1.2, 0.5)])
def test_small_oscillations_are_harmonic(beta: float, delta: float) -> None:
    """x = gamma / delta (1 + e cos w t), y = alpha / beta (1 + e sqrt(gamma / alpha) sin w t), w^2 = alpha gamma."""
    alpha, gamma, small = 0.8, 0.3, 1e-6
    period = 2 * np.pi / np.sqrt(alpha * gamma)
    chosen = settings(alpha=alpha, gamma=gamma, frames=33, frame_step=period / 16)
    found = orbit([gamma / delta * (1 + small), alpha / beta], beta, delta, chosen)
    phase = 2 * np.pi / 16 * np.arange(33)
    exact = np.stack([np.cos(phase), np.sqrt(gamma / alpha) * np.sin(phase)], axis=1)
    np.testing.assert_allclose((found * [delta / gamma, beta / alpha] - 1) / small, exact, atol=2e-3)


def test_an_environment_is_a_choice_of_scales() -> None:
    """In X = delta x and Y = beta y the equations are the same in every environment."""
    chosen = settings(frames=41)
    scales = np.array([1.1, 0.7])
    start = np.array([1.4, 0.6])
    scaled = orbit(start * scales, 1.0, 1.0, chosen)
    np.testing.assert_allclose(orbit(start, 0.7, 1.1, chosen), scaled / scales, rtol=1e-8)


# --- random starts


def test_starts_are_uniform_in_codas_range() -> None:
    starts = initial_states("a", LotkaVolterraSettings(trajectories=500), seed=0)
    assert starts.shape == (500, 2)
    assert 1 <= starts.min() < 1.01 and 1.99 < starts.max() <= 2
    wider = initial_states("a", LotkaVolterraSettings(trajectories=500, initial_high=3.0), seed=0)
    np.testing.assert_allclose(wider - 1, 2 * (starts - 1), rtol=1e-12)


def test_the_default_settings_are_codas() -> None:
    """Published errors can be compared with under these alone."""
    chosen = LotkaVolterraSettings()
    assert (chosen.alpha, chosen.gamma, chosen.frame_step) == (0.5, 0.5, 0.5)
    assert (chosen.initial_low, chosen.initial_high) == (1, 2)


def test_starts_stay_the_same_between_versions() -> None:
    """A change here changes every study."""
    start = initial_states("beta_0.50-delta_0.50", LotkaVolterraSettings(trajectories=2), seed=0)
    np.testing.assert_allclose(start[1], [1.121251072426226, 1.1998983152680827], rtol=1e-12)


def test_another_environment_in_the_table_changes_no_bit() -> None:
    chosen = settings().model_dump()
    first, second = environment("a"), environment("b", 1.0)
    (alone,) = SYSTEM.trajectories([second], chosen, 0)
    both = list(SYSTEM.trajectories([first, second], chosen, 0))
    assert [each.environment for each in both] == ["a", "b"]
    np.testing.assert_array_equal(both[1].values, alone.values)
    (fewer,) = SYSTEM.trajectories([second], chosen | {"trajectories": 2}, 0)
    np.testing.assert_array_equal(fewer.values, alone.values[:2])
    assert np.abs(both[0].values - both[1].values)[:, 0].max() > 0.1


# --- as a system


def test_trajectories_describe_themselves() -> None:
    (made,) = SYSTEM.trajectories([environment("a")], settings(frames=4).model_dump(), 0)
    assert made.channels == SYSTEM.channels == ("prey", "predator")
    assert made.values.shape == (3, 4, 2, 1, 1)
    assert made.values.dtype == np.float32
    assert made.parameters == {"beta": 0.75, "delta": 0.5}
    np.testing.assert_allclose(made.time, [0, 0.5, 1, 1.5])
    starts = initial_states("a", settings(), 0)
    exact = solve(starts[None], [0.75], [0.5], ["a"], settings(frames=4))[0]
    np.testing.assert_array_equal(made.values[..., 0, 0], exact.astype(np.float32))


@pytest.mark.parametrize(("name", "value"), [("beta", 0.0), ("delta", -0.5)])
def test_a_parameter_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    wrong = Environment("b", {"beta": 0.5, "delta": 0.5} | {name: value}, "visible")
    with refused("environment b", f"parameter {name}", f"{value:g}", "lotka-volterra"):
        SYSTEM.trajectories([environment("a"), wrong], {}, 0)
    with refused("environment b", f"parameter {name}"):
        simulate(**{"beta": [0.5, 0.5], "delta": [0.5, 0.5]} | {name: [0.5, value]}, environments=["a", "b"])


def test_a_missing_parameter_is_refused() -> None:
    with refused("environment a", "parameter delta", "found only beta"):
        SYSTEM.trajectories([Environment("a", {"beta": 1.0}, "visible")], {}, 0)


def test_a_blow_up_names_environment_and_time() -> None:
    with refused("environment b", "no finite rate", "time 0,", "lotka-volterra"):
        simulate([1e-300, 1.0], [1e-300, 1.0], ["a", "b"], settings(frames=2, initial_low=1e200, initial_high=1e200))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame_stp": 0.5}, ["frame_stp", "frame_step"]),
        ({"frames": "61"}, ["frames", "'61'"]),
        ({"alpha": 0.0}, ["alpha", "0.0"]),
        ({"initial_low": -1.0}, ["initial_low", "-1.0"]),
        ({"initial_low": 2.5}, ["initial_low", "initial_high 2"]),
        ({"tolerance": 0.0}, ["tolerance", "0.0"]),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(changes: dict, words: list[str]) -> None:
    with refused("lotka-volterra", *words):
        SYSTEM.trajectories([environment("a")], changes, 0)


def test_the_terms_are_those_of_the_rates() -> None:
    parameters, state = {"beta": 0.7, "delta": 1.1}, (1.3, 0.4)
    known = SYSTEM.terms(parameters, {"alpha": 0.6})
    values = {"prey": state[0], "predator": state[1], "prey predator": state[0] * state[1]}
    rates = [sum(value * values[term] for term, value in known[name].items()) for name in ("prey", "predator")]
    expected = [state[0] * (0.6 - 0.7 * state[1]), state[1] * (1.1 * state[0] - 0.5)]
    np.testing.assert_allclose(rates, expected)
