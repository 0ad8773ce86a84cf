"""benchmarks/simulation.py: its numbers mean what it says. How large they are is not tested."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from weightcast.core.environment_table import Environment
from weightcast.systems import load_system, lotka_volterra

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ENVIRONMENTS, TRAJECTORIES = 2, 3
WAYS = ("at once", "by environment", "by trajectory")
# Of two frames each: parameters, settings, cells, and inner steps of a trajectory where they are known beforehand.
SMALL: dict[str, tuple[dict[str, float], dict[str, Any], int, int]] = {
    # 0.5 and 0.25 time units in steps of at most 0.1
    "lambda-omega": (
        {"beta": 1.0, "D": 0.5},
        {"grid_size": 10, "oversampling": 2, "inner_step": 0.1, "frame_step": 0.5, "spin_up": 0.25},
        400,
        5 + 3,
    ),
    "gray-scott": ({"F": 0.03, "k": 0.06}, {"grid_size": 8, "inner_step": 0.5, "frame_step": 4.0}, 64, 8),
    # at rest, where no flow asks for shorter steps
    "navier-stokes": (
        {"viscosity": 1e-2, "forcing": 0.0},
        {"grid_size": 8, "initial_scale": 0.0, "inner_step": 0.1, "frame_step": 1.0},
        64,
        10,
    ),
    # 4 solver cells to pass in a frame, twice as fast beside a cylinder of half the height, 0.1 cells a step
    "cylinder": (
        {"reynolds": 20.0, "radius": 16.0},
        {"frame_step": 8.0, "spacing": 8.0, "oversampling": 4, "lattice_speed": 0.1, "spin_up": 0.0},
        32 * 64,
        80,
    ),
}


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import simulation
    finally:
        sys.path.remove(str(BENCHMARKS))
    return simulation


def case(benchmark: ModuleType, system: str, parameters: dict[str, float], **settings: Any) -> Any:
    rows = [Environment(name, parameters, "visible") for name in "ab"]
    return benchmark.Case(system, rows, {"frames": 2, "trajectories": TRAJECTORIES, **settings})


@pytest.mark.parametrize("system", SMALL)
@pytest.mark.parametrize("way", WAYS)
def test_known_numbers_of_steps(system: str, way: str, benchmark: ModuleType) -> None:
    parameters, settings, cells, steps = SMALL[system]
    made = case(benchmark, system, parameters, **settings)
    assert made.points() == cells
    counted = benchmark.count_updates(made, benchmark.ways(made)[way])
    assert counted == ENVIRONMENTS * TRAJECTORIES * steps * cells


def test_a_fast_flow_needs_more_steps(benchmark: ModuleType) -> None:
    calm, fast = (
        case(benchmark, "kolmogorov", {"reynolds": 20.0, "wavenumber": 2.0}, grid_size=12, spin_up=0.0, courant=courant)
        for courant in (1.0, 0.1)
    )
    few, many = (benchmark.count_updates(made, benchmark.ways(made)["at once"]) for made in (calm, fast))
    assert few == ENVIRONMENTS * TRAJECTORIES * 5 * 24**2
    assert many > 1.5 * few


def test_adaptive_steps_are_those_of_the_solver(benchmark: ModuleType) -> None:
    made = case(benchmark, "lotka-volterra", {"beta": 0.8, "delta": 0.6}, frames=11)
    settings = lotka_volterra.LotkaVolterraSettings(frames=11, trajectories=TRAJECTORIES)

    def rate(time: float, state: np.ndarray) -> list[float]:
        return [state[0] * (0.5 - 0.8 * state[1]), state[1] * (0.6 * state[0] - 0.5)]

    expected = 0
    for environment in "ab":
        for start in lotka_volterra.initial_states(environment, settings, benchmark.SEED):
            tolerance = settings.tolerance
            solved = solve_ivp(rate, (0, 5), start, method="DOP853", rtol=tolerance, atol=tolerance * 1e-100)
            expected += len(solved.t) - 1
    assert made.points() == 1
    assert benchmark.count_updates(made, benchmark.ways(made)["at once"]) == expected


def test_rates_and_ratios(benchmark: ModuleType) -> None:
    updates = {"at once": 600, "by environment": 600, "by trajectory": 300}
    seconds = {"at once": [1.0, 2.0], "by environment": [2.0, 2.0], "by trajectory": [0.25, 1.0]}
    parameters, settings, *_ = SMALL["lambda-omega"]
    measured = benchmark.Measurement(case(benchmark, "lambda-omega", parameters, **settings), updates, seconds)
    assert measured.rates("at once") == [600, 300]
    assert measured.ratios("by environment") == [2, 1]
    assert measured.ratios("by trajectory") == [0.5, 1]
    assert measured.steps() == 600 / 400 / (ENVIRONMENTS * TRAJECTORIES)
    assert "no faster: lambda-omega" in benchmark.verdict([measured], "by environment")


def test_counting_leaves_the_solvers_as_they_were(benchmark: ModuleType) -> None:
    before = benchmark.ETDRK4.advance, benchmark.LatticeBoltzmann.advance, benchmark.DOP853.step
    parameters, settings, *_ = SMALL["lambda-omega"]
    made = case(benchmark, "lambda-omega", parameters, **settings)
    benchmark.count_updates(made, benchmark.ways(made)["at once"])
    assert before == (benchmark.ETDRK4.advance, benchmark.LatticeBoltzmann.advance, benchmark.DOP853.step)


def test_every_system_has_its_study(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BENCHMARKS.parent)
    for system, simulator in benchmark.SIMULATORS.items():
        made = benchmark.case_of(system, 2, TRAJECTORIES, frames=2)
        assert len(made.environments) == 2
        assert made.settings["frames"] == 2
        assert (simulator.simulate is None) == (system in ("navier-stokes", "kolmogorov"))
        load_system(system).trajectories(made.environments, made.settings, 0)  # checks them, simulates nothing


def test_the_table(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(BENCHMARKS.parent)
    sizes = ["--environments", "2", "--trajectories", "2", "--frames", "2", "--rounds", "2"]
    benchmark.main([*sizes, "--systems", "lambda-omega", "lotka-volterra"])
    shown = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in shown.splitlines() if line.startswith("|")]
    assert [row[0].strip() for row in rows[2:]] == ["lambda-omega", "lotka-volterra"]
    assert {len(row) for row in rows} == {7}
    assert [rows[2][1].strip(), rows[2][2].strip()] == ["576", "5"]
    assert shown.count("At once, against") == 2
