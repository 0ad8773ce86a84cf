from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused
from scipy.integrate import simpson, solve_ivp

from weightcast.core.environment_table import Environment
from weightcast.systems.glycolytic_oscillator import (
    CHANNELS,
    SYSTEM,
    GlycolyticSettings,
    initial_states,
    simulate,
    solve,
)
from weightcast.trajectories import read_trajectories, write_trajectories

# P. Ruoff et al., Biophys. Chem. 106 (2003) 179, Table 2: a state on the limit cycle for k1 = 100 and K1 = 0.52.
PUBLISHED_STATE = np.array([1.187, 0.193, 0.050, 0.115, 0.077, 2.475, 0.077])
# v1, v2, v3, v4, v5 (use of ATP), v6, J, v7 (loss outside, per volume outside); J0 comes on top.
STOICHIOMETRY = np.array(
    [
        [-1, 0, 0, 0, 0, 0, 0, 0],
        [2, -1, 0, 0, 0, -1, 0, 0],
        [0, 1, -1, 0, 0, 0, 0, 0],
        [0, 0, 1, -1, 0, 0, -1, 0],
        [0, 1, 0, -1, 0, -1, 0, 0],
        [-2, 0, 2, 0, -1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0.1, -1],
    ]
)


def settings(**changes) -> GlycolyticSettings:
    return GlycolyticSettings(**({"trajectories": 2, "frames": 21} | changes))


def environment(id: str, k1: float = 90.0, K1: float = 0.6) -> Environment:
    return Environment(id, {"k1": k1, "K1": K1}, "visible")


def run(start: np.ndarray, k1: float, K1: float, chosen: GlycolyticSettings) -> np.ndarray:
    """[time, species]"""
    return solve(start[None, None], [k1], [K1], ["a"], chosen)[0, 0]


def fluxes(states: np.ndarray, k1: float, K1: float) -> np.ndarray:
    """v1 to v6, J and v7 at states [..., species], with the published constants: [..., flux]."""
    S1, S2, S3, S4, NADH, ATP, S4_outside = np.moveaxis(states, -1, 0)
    NAD, ADP = 1.0 - NADH, 4.0 - ATP
    kinase = k1 * S1 * ATP / (1 + (ATP / K1) ** 4)
    return np.stack(
        [
            kinase,
            6.0 * S2 * NAD,
            16.0 * S3 * ADP,
            100.0 * S4 * NADH,
            1.28 * ATP,
            12.0 * S2 * NADH,
            13.0 * (S4 - S4_outside),
            1.8 * S4_outside,
        ],
        axis=-1,
    )


# --- the equations


@pytest.mark.parametrize(("k1", "K1"), [(100.0, 0.5), (80.0, 1.0)])
def test_another_integrator_of_the_network_agrees(k1: float, K1: float) -> None:
    """The model as stoichiometry times fluxes, by an implicit method: to 1e-6 of each concentration."""
    chosen = settings()
    start = initial_states("a", chosen, seed=0)[0]

    def rate(time: float, state: np.ndarray) -> np.ndarray:
        return STOICHIOMETRY @ fluxes(state, k1, K1) + np.eye(7)[0] * 2.5

    other = solve_ivp(rate, (0, 1), start, method="Radau", t_eval=chosen.times, rtol=1e-8, atol=1e-12).y.T
    np.testing.assert_allclose(run(start, k1, K1, chosen), other, rtol=1e-6)


def test_carbon_is_balanced() -> None:
    """2 S1 + S2 + S3 + S4 + S7 / psi changes by what comes in, 2 J0, and what leaves by v4, v6 and S7's loss."""
    chosen = settings(frames=801, frame_step=0.00125)
    states = run(initial_states("a", chosen, seed=0)[0], 90.0, 0.5, chosen)
    carbon = states @ [2, 1, 1, 1, 0, 0, 10]
    flows = fluxes(states, 90.0, 0.5)
    gain = simpson(2 * 2.5 - flows[:, 3] - flows[:, 5] - flows[:, 7] / 0.1, dx=0.00125)
    assert abs(carbon[-1] - carbon[0]) > 0.1
    np.testing.assert_allclose(carbon[-1] - carbon[0], gain, atol=1e-6)


@pytest.mark.parametrize("extreme", [[0, 0, 0, 0, 1, 4, 0], [0, 2, 0, 0, 0, 0, 0], [2, 0, 0, 0, 1, 0, 0]])
def test_pools_stay_within_their_totals(extreme: list[float]) -> None:
    """0 <= NADH <= N, 0 <= ATP <= A and nothing negative, from the edges of that region."""
    states = run(np.array(extreme, float), 100.0, 0.52, settings(frame_step=0.01))
    assert states.min() >= 0
    assert states[:, 4].max() <= 1 and states[:, 5].max() <= 4
    assert states[-1, :5].min() > 0 or extreme[5] == extreme[1] == 0  # without ATP glucose stays as it is


def test_without_influx_it_ends_at_rest() -> None:
    """Glucose and NADH that nothing consumes any more stay; everything else is gone."""
    rest = np.array([1.3, 0, 0, 0, 0.2, 0, 0])
    chosen = settings(J0=0.0, frames=3, frame_step=1.0)
    np.testing.assert_array_equal(run(rest, 100.0, 0.52, chosen), np.broadcast_to(rest, (3, 7)))
    late = run(PUBLISHED_STATE, 100.0, 0.52, settings(J0=0.0, frames=2, frame_step=20.0))[-1]
    assert late[[1, 2, 3, 5, 6]].max() < 1e-6


@pytest.mark.parametrize(("k1", "K1"), [(100.0, 0.75), (80.0, 1.0)])
def test_at_rest_only_glucose_tells_environments_apart(k1: float, K1: float) -> None:
    late = run(PUBLISHED_STATE, k1, K1, settings(frames=2, frame_step=25.0))[-1]
    v1, v2, v3, v4, v5, v6, J, v7 = fluxes(late, k1, K1)
    np.testing.assert_allclose([v1, v2 + v6, v3, v4 + J, v5], [2.5, 2 * v1, v2, v3, 2 * (v3 - v1)], rtol=1e-7)
    np.testing.assert_allclose([J, v7], [v6, 0.1 * J], rtol=1e-7)
    np.testing.assert_allclose(late[5], 1.9187, rtol=1e-4)
    np.testing.assert_allclose(late[0], 2.5 * (1 + (late[5] / K1) ** 4) / (k1 * late[5]), rtol=1e-7)


# --- the published oscillation


@pytest.fixture(scope="module")
def cycle() -> np.ndarray:
    """Three minutes from the published state, at steps of 0.002 minutes: [time, species]."""
    return run(PUBLISHED_STATE, 100.0, 0.52, settings(frames=1501, frame_step=0.002))


def test_the_published_state_lies_on_the_limit_cycle(cycle: np.ndarray) -> None:
    """It has three decimals; period 1.168 min, at 2 x 584 steps: it returns to within 4e-3 mM, twice."""
    distance = np.abs(cycle - PUBLISHED_STATE).max(axis=1)
    for start in (400, 984):
        assert distance[start : start + 350].argmin() + start == pytest.approx(584 * round(start / 584), abs=2)
        assert distance[start : start + 350].min() < 4e-3
    assert distance[100:500].min() > 0.05


def test_the_cycle_fills_the_published_ranges(cycle: np.ndarray) -> None:
    """The default ranges of the start are B. C. Daniels and I. Nemenman's, two decimals that enclose the cycle.

    Theirs are wider than the cycle for NADH (0.30 against 0.20) and for BPG (0.20 against 0.18).
    """
    chosen = settings()
    np.testing.assert_allclose(cycle.min(axis=0), chosen.initial_low, atol=0.01)
    others = [0, 1, 3, 5, 6]
    np.testing.assert_allclose(cycle.max(axis=0)[others], np.array(chosen.initial_high)[others], atol=0.01)
    np.testing.assert_allclose(cycle.max(axis=0)[[2, 4]], [0.184, 0.201], atol=0.001)


@pytest.mark.parametrize(("k1", "K1", "lasts"), [(80.0, 0.56, True), (80.0, 0.58, False), (100.0, 0.52, True)])
def test_oscillations_last_below_the_hopf_bifurcation(k1: float, K1: float, lasts: bool) -> None:
    """Close to rest they grow below it and shrink above it: ATP's swing over one minute, against a later one."""
    rest = run(PUBLISHED_STATE, k1, 1.0, settings(frames=2, frame_step=25.0))[-1]
    rest[0] = 1.001 * 2.5 * (1 + (rest[5] / K1) ** 4) / (k1 * rest[5])
    ATP = run(rest, k1, K1, settings(frames=801, frame_step=0.02))[:, 5]
    early, late = np.ptp(ATP[200:300]), np.ptp(ATP[700:])
    assert (late > 1.2 * early) if lasts else (late < early / 1.2)


# --- random starts


def test_starts_stay_the_same_between_versions() -> None:
    """A change here changes every study."""
    start = initial_states("k1_50-K1_0.400", GlycolyticSettings(trajectories=2), seed=0)[1]
    np.testing.assert_allclose(start[[0, 5, 6]], [0.20590484639504242, 1.8492914471374418, 0.08407273733464085])


def test_another_environment_in_the_table_changes_no_bit() -> None:
    chosen = settings(frames=3).model_dump()
    first, second = environment("a"), environment("b", 100.0, 0.5)
    (alone,) = SYSTEM.trajectories([second], chosen, 0)
    both = list(SYSTEM.trajectories([first, second], chosen, 0))
    assert [each.environment for each in both] == ["a", "b"]
    np.testing.assert_array_equal(both[1].values, alone.values)


# --- as a system


def test_trajectories_survive_their_file(tmp_path: Path) -> None:
    """k1 and K1 are two parameters, S1 to S7 fields on one grid point."""
    (made,) = SYSTEM.trajectories([environment("a", 90.0, 0.6)], settings(frames=4).model_dump(), 0)
    assert made.channels == SYSTEM.channels == CHANNELS
    assert made.values.shape == (2, 4, 7, 1, 1)
    np.testing.assert_allclose(made.time, [0, 0.05, 0.1, 0.15])
    path = tmp_path / "a.nc"
    write_trajectories(path, made)
    read = read_trajectories(path)
    assert dict(read.parameters) == {"k1": 90.0, "K1": 0.6}
    assert read.units["S5"] == "mM"
    np.testing.assert_array_equal(read.values, made.values)


@pytest.mark.parametrize(("name", "value"), [("k1", 0.0), ("K1", -0.5)])
def test_a_parameter_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    wrong = Environment("b", {"k1": 90.0, "K1": 0.5} | {name: value}, "visible")
    with refused("environment b", f"parameter {name}", f"{value:g}", "glycolytic-oscillator"):
        SYSTEM.trajectories([environment("a"), wrong], {}, 0)
    with refused("environment b", f"parameter {name}"):
        simulate(**{"k1": [90, 90], "K1": [0.5, 0.5]} | {name: [0.5, value]}, environments=["a", "b"])


def test_a_missing_parameter_is_refused() -> None:
    with refused("environment a", "parameter K1", "found only k1"):
        SYSTEM.trajectories([Environment("a", {"k1": 90.0}, "visible")], {}, 0)


def test_a_blow_up_names_environment_and_time() -> None:
    with refused("environment b", "no finite rate", "time 0,", "glycolytic-oscillator"):
        simulate([90.0, 1e308], [0.5, 1e300], ["a", "b"], settings(frames=2, initial_high=[50, 3, 1, 1, 1, 4, 1]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k7": 0.5}, ["k7", "k6"]),
        ({"k2": -6.0}, ["k2", "-6.0"]),
        ({"J0": "2.5"}, ["J0", "'2.5'"]),
        ({"initial_low": [0.1, 0.1]}, ["initial_low with 7 numbers"]),
        ({"initial_low": [-0.1, 0.19, 0.04, 0.1, 0.08, 0.14, 0.05]}, ["S1", "-0.1"]),
        ({"N": 0.25}, ["S5", "0.3", "0.25"]),
        ({"A": 2.0}, ["S6", "2.67"]),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(changes: dict, words: list[str]) -> None:
    with refused("glycolytic-oscillator", *words):
        SYSTEM.trajectories([environment("a")], changes, 0)
