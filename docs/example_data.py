"""Data as somebody else brings them, to be run through `weightcast init`.

python docs/example_data.py tracer results/example-data/tracer          NetCDF files and a table of environments
python docs/example_data.py outbreak results/example-data/outbreak      likewise, of states without a grid
python docs/example_data.py gray-scott results/example-data/gray-scott  train.npz, test.npz, ood_train.npz, ood_test.npz

*tracer* and *outbreak* are solved here, by methods that the library does not have, and of each 24 visible, 8
interpolation and 6 extrapolation environments are written. The others, the systems of config/adaptation, are the
adaptation task of CoDA as it is published, from this library's simulators: arrays X [environment, trajectory, time,
state] and t [time], fields flattened, all environments starting alike, no parameters. A folder that holds files of that
name is written again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from write_results import ROOT

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import Environment, EnvironmentTable, Role, read_environments
from weightcast.core.files import written_whole
from weightcast.environments.config.load import load_study
from weightcast.environments.plan import source_settings
from weightcast.systems import load_system

Array = NDArray[np.float64]
ADAPTATION = ("glycolytic-oscillator", "gray-scott", "lotka-volterra", "navier-stokes")
TABLE = "environments.csv"
COUNTS: dict[Role, int] = {"visible": 24, "interpolation": 8, "extrapolation": 6}
MARGIN, LEAST_BEYOND, MOST_BEYOND = 0.1, 0.05, 0.2
"""Interpolation environments keep so far from the edges of the visible ones' box, extrapolation ones lie so far beyond,
in its sides."""
TRAJECTORIES, FRAMES, POINTS = 14, 41, 24


class Range(NamedTuple):
    """Of a parameter in the visible environments."""

    low: float
    high: float


class Set(NamedTuple):
    """Data of one system in several environments.

    Attributes:
        parameters: two, by name.
        channels: variables of the files.
        frame_step: time between frames.
        solve: values of both parameters, times [time] and random numbers to trajectories [trajectory, time, channel, y,
            x], or [trajectory, time, channel] without a grid.
    """

    parameters: dict[str, Range]
    channels: tuple[str, ...]
    frame_step: float
    solve: Callable[[float, float, Array, np.random.Generator], Array]


def tracer(velocity: float, diffusivity: float, times: Array, random: np.random.Generator) -> Array:
    """A tracer on a periodic square of side 2 pi, carried towards (2, 1) and spreading; exact, wave by wave."""
    waves = np.fft.fftfreq(POINTS, 1 / POINTS)
    square = waves[:, None] ** 2 + waves**2
    start = np.fft.fft2(random.standard_normal((TRAJECTORIES, POINTS, POINTS))) * np.exp(-square / 12)
    along = (2 * waves[None, :] + waves[:, None]) / np.sqrt(5)
    rate = -1j * velocity * along - diffusivity * square
    fields = np.fft.ifft2(start[:, None] * np.exp(rate * times[:, None, None])).real
    return fields[:, :, None]


def outbreak(infection: float, recovery: float, times: Array, random: np.random.Generator) -> Array:
    """Shares of susceptible, infected and recovered people, the latter losing their immunity; by Runge and Kutta's
    method of order eight, relative tolerance 1e-9."""
    infected = random.uniform(0.005, 0.2, TRAJECTORIES)
    recovered = random.uniform(0, 0.4, TRAJECTORIES)

    def rate(_: float, state: Array) -> Array:
        susceptible, sick, immune = state.reshape(3, -1)
        caught, healed, lost = infection * susceptible * sick, recovery * sick, 0.05 * immune
        return np.concatenate([lost - caught, caught - healed, healed - lost])

    start = np.concatenate([1 - infected - recovered, infected, recovered])
    solved = solve_ivp(rate, (times[0], times[-1]), start, "DOP853", times, rtol=1e-9, atol=1e-12)
    return solved.y.reshape(3, TRAJECTORIES, len(times)).transpose(1, 2, 0)


SETS = {
    "tracer": Set({"velocity": Range(0.5, 2), "diffusivity": Range(0.01, 0.06)}, ("concentration",), 0.1, tracer),
    "outbreak": Set(
        {"infection": Range(0.4, 1.2), "recovery": Range(0.1, 0.3)},
        ("susceptible", "infected", "recovered"), 0.5, outbreak,
    ),
}  # fmt: skip


def write_set(name: str, folder: Path) -> None:
    """A NetCDF file an environment, and the table beside them."""
    of = SETS[name]
    random = np.random.default_rng(2026)
    times: Array = of.frame_step * np.arange(FRAMES, dtype=np.float64)
    rows = []
    for role, count in COUNTS.items():
        for index in range(count):
            values = _values(of, role, random)
            rows.append(Environment(f"{role}-{index:02d}", values, role))
            first, second = values.values()
            states = of.solve(first, second, times, random).astype(np.float32)
            dimensions = ("trajectory", "time", "y", "x")[: states.ndim - 1]
            channels = {channel: (dimensions, states[:, :, at]) for at, channel in enumerate(of.channels)}
            with written_whole(folder / f"{rows[-1].id}.nc") as path:
                xr.Dataset(channels, {"time": times}).to_netcdf(path)
    EnvironmentTable(tuple(rows), tuple(of.parameters), folder / TABLE).save(folder / TABLE)


def _values(of: Set, role: Role, random: np.random.Generator) -> dict[str, float]:
    """Parameters drawn evenly in the box; of an extrapolation environment one is beyond an edge of it."""
    margin = MARGIN if role == "interpolation" else 0
    parts = random.uniform(margin, 1 - margin, len(of.parameters))
    if role == "extrapolation":
        beyond = random.uniform(LEAST_BEYOND, MOST_BEYOND)
        parts[random.integers(len(parts))] = random.choice([-beyond, 1 + beyond])
    return {
        name: float(np.round(low + part * (high - low), 4))
        for part, (name, (low, high)) in zip(parts, of.parameters.items(), strict=True)
    }


def write_adaptation(name: str, folder: Path) -> None:
    """The four archives of the adaptation task."""
    study = load_study(ROOT / "config" / "adaptation" / f"{name}.yaml")
    table = read_environments(ROOT / study.environments)
    counts = study.data.trajectories
    adapted = [row for row in table.environments if row.role != "visible"]
    visible = [row for row in table.environments if row.role == "visible"]
    parts = {
        "train": (visible, counts.train),
        "test": (visible, counts.test),
        "ood_train": (adapted, 1),
        "ood_test": (adapted, counts.test),
    }
    for seed, (part, (rows, trajectories)) in enumerate(parts.items()):
        settings = source_settings(study.data) | {"trajectories": trajectories, "frames": study.data.trained_frames}
        # Starts depend on the id: with the same one all environments start alike, as in the published files.
        alike = [Environment("any", row.parameters, row.role) for row in rows]
        made = [next(load_system(name).trajectories([row], settings, seed)) for row in alike]
        values = np.stack([one.values for one in made])
        with written_whole(folder / f"{part}.npz") as path, path.open("wb") as file:
            np.savez(file, X=values.reshape(*values.shape[:3], -1), t=made[0].time)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*SETS, *ADAPTATION])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with exit_on_input_error():
        arguments.folder.mkdir(parents=True, exist_ok=True)
        (write_set if arguments.name in SETS else write_adaptation)(arguments.name, arguments.folder)


if __name__ == "__main__":
    main()
