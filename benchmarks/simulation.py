"""How fast simulators are, in cell updates per second, and whether a batch is faster than a plain loop.

    OMP_NUM_THREADS=1 python benchmarks/simulation.py [--environments 4] [--trajectories 8] [--rounds 5] [--systems ...]

A cell update is one inner time step of one grid point of one trajectory; a state without a grid is one cell. Inner
steps are those of the solver, not frames. They are counted where they are done, which also holds for solvers that
choose their steps themselves; the spin-up counts as well. Every system is simulated with the settings of its study
(config/), in three ways that take turns on one thread, so that a busy machine slows all of them alike:

at once           all environments and all their trajectories in one call
by environment    one call for each environment, with all its trajectories; this is what the pipeline does
by trajectory     one call for each trajectory

All three call the same function, and each is counted by itself. What it makes of many environments is its own business:
the table says over what it has an array. Seconds are of processor time; a call before warms up and counts. Ratios
are those of each round, given as median (least to largest); above 1 the call at once is faster.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from math import prod
from statistics import median
from typing import Any
from unittest.mock import patch

from scipy.integrate import DOP853
from side_by_side import ROOT, Effort, Row, Spread, take_turns

from weightcast.core.environment_table import Environment, read_environments
from weightcast.environments.config.load import load_study
from weightcast.environments.plan import source_settings
from weightcast.systems import (
    cylinder,
    glycolytic_oscillator,
    gray_scott,
    lambda_omega,
    load_system,
    lotka_volterra,
    read_settings,
)
from weightcast.systems.etdrk4 import ETDRK4
from weightcast.systems.lattice_boltzmann import LatticeBoltzmann

NAME = "simulators"
SHAPE, SHORT_SHAPE = (3, 6, 21), (2, 2, 5)
"""Environments, trajectories of each and frames that `rows` simulates; of a quick run."""
SEED = 0
NO_DIFFERENCE = 0.05
"""Below it two ways are called equally fast; a busy machine makes as much of a difference between equal ones."""


@dataclass(frozen=True)
class Simulator:
    """What the benchmark has to know of a system.

    Attributes:
        study: configuration whose settings are used.
        points: settings -> cells of one trajectory on the solver's grid.
        array: over what the solver has an array, in words.
        simulate: takes several environments: (values of each parameter, ids, settings, seed) -> frames. None if
            `System.trajectories` is all there is.
        state_axes: of a trajectory's state in the solver, the last ones of its array.
    """

    study: str
    points: Callable[[Any], int]
    array: str
    simulate: Callable[..., Any] | None = None
    state_axes: int = 2


SIMULATORS = {
    "lambda-omega": Simulator(
        "config.yaml",
        lambda settings: (settings.grid_size * settings.oversampling) ** 2,
        "environments, trajectories",
        lambda_omega.simulate,
    ),
    "gray-scott": Simulator(
        "config/gray-scott.yaml",
        lambda settings: settings.grid_size**2,
        "environments, trajectories",
        gray_scott.simulate,
        state_axes=3,
    ),
    "navier-stokes": Simulator("config/navier-stokes.yaml", lambda settings: settings.solver_size**2, "-"),
    "kolmogorov": Simulator("config/kolmogorov.yaml", lambda settings: settings.solver_size**2, "-"),
    "cylinder": Simulator(
        "config/cylinder.yaml",
        lambda settings: prod(settings.solver_grid),
        "a few trajectories",
        cylinder.simulate,
    ),
    "lotka-volterra": Simulator("config/lotka-volterra.yaml", lambda _: 1, "-", lotka_volterra.simulate),
    "glycolytic-oscillator": Simulator(
        "config/glycolytic-oscillator.yaml", lambda _: 1, "-", glycolytic_oscillator.simulate
    ),
}


@dataclass(frozen=True)
class Case:
    """One system, its environments and settings."""

    system: str
    environments: Sequence[Environment]
    settings: Mapping[str, Any]

    @property
    def simulator(self) -> Simulator:
        return SIMULATORS[self.system]

    def simulate(self, environments: Sequence[Environment], trajectories: int) -> None:
        """One call for these environments; frames are dropped."""
        system, simulate = load_system(self.system), self.simulator.simulate
        settings = {**self.settings, "trajectories": trajectories}
        if simulate is None:
            for _ in system.trajectories(environments, settings, SEED):
                pass
            return
        values = ([each.parameters[name] for each in environments] for name in system.parameter_names)
        ids = [each.id for each in environments]
        simulate(*values, ids, read_settings(system.settings, settings, self.system), SEED)

    def points(self) -> int:
        return self.simulator.points(read_settings(load_system(self.system).settings, self.settings, self.system))


def case_of(system: str, environments: int, trajectories: int, frames: int | None = None) -> Case:
    """The system as its study has it: the first visible environments, with so many trajectories of so many frames."""
    study = load_study(ROOT / SIMULATORS[system].study)
    settings = source_settings(study.data) | {"trajectories": trajectories}
    if frames is not None:
        settings["frames"] = frames
    return Case(system, list(islice(read_environments(ROOT / study.environments).visible, environments)), settings)


def ways(case: Case) -> dict[str, Callable[[], None]]:
    """The same simulations in one call and in loops. An id decides the start: single trajectories have one each."""
    count = case.settings["trajectories"]

    def by_environment() -> None:
        for environment in case.environments:
            case.simulate([environment], count)

    def by_trajectory() -> None:
        for environment in case.environments:
            for number in range(count):
                case.simulate([replace(environment, id=f"{environment.id}-{number}")], 1)

    return {
        "at once": lambda: case.simulate(case.environments, count),
        "by environment": by_environment,
        "by trajectory": by_trajectory,
    }


def count_updates(case: Case, run: Callable[[], None]) -> int:
    """Cell updates that solvers do during a run, all trajectories together."""
    with counted_steps(case.simulator.state_axes) as steps:
        run()
    return sum(steps) * case.points()


@contextmanager
def counted_steps(state_axes: int) -> Iterator[list[int]]:
    """Note every inner step, as often as there are trajectories that it advances.

    All simulators advance by one of three methods, each of which is watched here. An accepted step of the adaptive
    method counts once, however often its length was tried.
    """
    steps: list[int] = []
    advance_etdrk4, advance_lattice, advance_ordinary = ETDRK4.advance, LatticeBoltzmann.advance, DOP853.step

    def etdrk4(solver: ETDRK4, state: Any) -> Any:
        steps.append(prod(state.shape[:-state_axes]))
        return advance_etdrk4(solver, state)

    def lattice(solver: LatticeBoltzmann, count: int = 1) -> None:
        steps.append(count * solver.populations.shape[1])
        advance_lattice(solver, count)

    def ordinary(solver: DOP853) -> Any:
        steps.append(1)
        return advance_ordinary(solver)

    with (
        patch.object(ETDRK4, "advance", etdrk4),
        patch.object(LatticeBoltzmann, "advance", lattice),
        patch.object(DOP853, "step", ordinary),
    ):
        yield steps


@dataclass(frozen=True)
class Measurement:
    """Of one case: cell updates of each way, and their seconds of processor time, a number a round."""

    case: Case
    updates: Mapping[str, int]
    seconds: Mapping[str, Sequence[float]]

    def rates(self, way: str) -> list[float]:
        """Cell updates per second, by round."""
        return [self.updates[way] / seconds for seconds in self.seconds[way]]

    def ratios(self, way: str) -> list[float]:
        """Rate of the call at once over that of a loop, by round."""
        return [once / loop for once, loop in zip(self.rates("at once"), self.rates(way), strict=True)]

    def steps(self) -> float:
        """Inner steps of a trajectory, on average."""
        trajectories = len(self.case.environments) * self.case.settings["trajectories"]
        return self.updates["at once"] / self.case.points() / trajectories


def measure(case: Case, effort: Effort) -> Measurement:
    """Count and time all ways of a case, in turns."""
    runs = ways(case)
    updates = {way: count_updates(case, run) for way, run in runs.items()}
    return Measurement(case, updates, take_turns(runs, effort).seconds)


def rows(effort: Effort) -> Iterator[Row]:
    """Every system, at its study's size of the grid."""
    environments, trajectories, frames = SHORT_SHAPE if effort.quick else SHAPE
    for system in SIMULATORS:
        case = case_of(system, environments, trajectories, frames)
        measured = measure(case, effort)
        rates = [rate / 1e6 for rate in measured.rates("at once")]
        yield Row.of(NAME, system, case.points(), "cell updates, M/s", Spread.of(rates))
        for way in ("by environment", "by trajectory"):
            yield Row.of(NAME, system, case.points(), f"{way} / at once", Spread.of(measured.ratios(way)))


HEADER = """\
| system | cells | inner steps | array over | updates/s at once | over by environment | over by trajectory |
|---|---|---|---|---|---|---|"""


def row(measured: Measurement) -> str:
    """A line of the table."""
    rates = measured.rates("at once")
    unit, letter = (1e6, "M") if median(rates) >= 1e6 else (1e3, "k")
    cells = [
        measured.case.system,
        f"{measured.case.points()}",
        f"{measured.steps():.0f}",
        measured.case.simulator.array,
        f"{_spread([rate / unit for rate in rates])} {letter}",
        *(_spread(measured.ratios(way)) for way in ("by environment", "by trajectory")),
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def verdict(measurements: Sequence[Measurement], way: str) -> str:
    """Which systems are faster at once than in a loop, which are not, and which are even slower."""
    lists: dict[str, list[str]] = {"faster": [], "no faster": [], "slower": []}
    for measured in measurements:
        ratios = measured.ratios(way)
        faster = min(ratios) > 1 and median(ratios) > 1 + NO_DIFFERENCE
        slower = max(ratios) < 1 and median(ratios) < 1 - NO_DIFFERENCE
        lists["faster" if faster else "slower" if slower else "no faster"].append(measured.case.system)
    return f"At once, against {way}: " + "; ".join(
        f"{what}: {', '.join(names) or 'none'}" for what, names in lists.items()
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=int, default=4)
    parser.add_argument("--trajectories", type=int, default=8)
    parser.add_argument("--frames", type=int, help="of a trajectory; default: as many as the study has")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--systems", nargs="+", default=list(SIMULATORS), choices=list(SIMULATORS), metavar="SYSTEM")
    arguments = parser.parse_args(argv)

    measurements = []
    print(
        f"{arguments.environments} environments, {arguments.trajectories} trajectories of each, {arguments.rounds} "
        f"rounds, one thread\n\n{HEADER}",
        flush=True,
    )
    for system in arguments.systems:
        case = case_of(system, arguments.environments, arguments.trajectories, arguments.frames)
        measurements.append(measure(case, Effort(rounds=arguments.rounds, seconds=math.inf)))
        print(row(measurements[-1]), flush=True)
    print()
    for way in ("by environment", "by trajectory"):
        print(verdict(measurements, way))


if __name__ == "__main__":
    main()
