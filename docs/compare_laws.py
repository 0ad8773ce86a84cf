"""How far densities are from the law itself, where theory knows it: into docs/across-time.md and environments-time.md.

python docs/compare_laws.py results/birth-death results/ornstein-uhlenbeck-family ...

What stands between the markers <study>-law is replaced. Densities are summed over all states, or integrated over a
grid, so that no sampling is in it: it is the density's own error. Times are those that nothing was learned from, or, of
a family, those that its methods are scored at.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from write_results import ROOT, fill

from weightcast import PathFamily, WeightPath
from weightcast.cli.errors import exit_on_input_error
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.load import load_time_study
from weightcast.families.cases import cases_of
from weightcast.families.config.load import parse_family_study
from weightcast.families.snapshots import FamilySnapshots
from weightcast.systems.exact_law import ExactLaw
from weightcast.systems.stochastic import build_stochastic_system

Array = NDArray[np.float64]
LogProb = Callable[[Array], Array]
TAILS = (0.1, 0.01, 0.001)
"""A tail is scored beyond the farthest state whose exact probability of being exceeded is still so much."""
REACH, POINTS = 6.0, 97
"""A grid of real numbers reaches so many standard deviations to each side, with so many points a dimension."""
MOST_DIMENSIONS = 2
PAGES = {"time": "across-time.md", "environments-time": "environments-time.md"}
COLUMNS = ("mean", "variance", *(f"P(x > k) = {tail:g}" for tail in TAILS))


class Told(NamedTuple):
    """A density at a time, and the law that it should be.

    Attributes:
        method: whose density.
        split: of its environment, or of its time.
        law: as theory knows it.
        time: of both.
        log_prob: states [state, dimension] -> logarithm of probability or density [state].
    """

    method: str
    split: str
    law: ExactLaw
    time: float
    log_prob: LogProb


def densities_across_time(results: Path) -> Iterator[Told]:
    """Of all arms and seeds of a study, at its unobserved times."""
    study = load_time_study(results / "config.yaml")
    law = _law(study.data.source, study.data.settings)
    metrics = pd.read_csv(results / "metrics.csv")
    named = metrics.loc[metrics.split == "unobserved", "environment"].unique()  # t=0.5: times are its environments
    times = sorted(float(name.removeprefix("t=")) for name in named)
    for arm in study.flow.arms:
        for seed in study.flow.seeds:
            path = WeightPath.load(results, arm, seed)
            for time in times:
                yield Told(arm, "unobserved", law, time, _torch(path.at(time).log_prob))


def densities_of_family(results: Path) -> Iterator[Told]:
    """Of the unseen environments of a family: told the parameters, or shown samples, with the mixture of all codes."""
    config = results / "config.yaml"
    study = parse_family_study(read_yaml(config), config)
    project = results.absolute().parents[1]  # data lie beside results
    table = read_environments(project / study.environments)
    snapshots = FamilySnapshots.load(project / study.snapshots)
    ids = [environment.id for environment in table.unseen]
    if study.evaluation.times is None:
        raise InputError(f"{config}: evaluation.times: found none, expected times to compare laws at")
    for seed in study.paths.seeds:
        family = PathFamily.load(results, seed)
        shown = derive_seed(study.seed, "shown", seed)
        cases = cases_of(snapshots, ids, study.evaluation.shown, shown)
        for place, environment in enumerate(table.unseen):
            law = _law(study.data.source, study.data.settings | dict(environment.parameters))
            inferred = {"from parameters": family.infer(parameters=environment.parameters)}
            for case in cases:
                samples = dict(zip(case.times[place], case.samples[place], strict=True))
                inferred[f"from {case.name}"] = family.infer(samples)
            for name, one in inferred.items():
                for time in study.evaluation.times:
                    yield Told(name, environment.role, law, time, partial(one.log_prob, time=time))


def errors(told: Told, states: int | None) -> dict[str, Array]:
    """Relative errors of a density, by column [dimension]; those of means are in standard deviations.

    Args:
        told: the density and its law.
        states: of counts, 0 to states - 1; None for real numbers.
    """
    mean, variance = told.law.mean(told.time), told.law.variance(told.time)
    if len(mean) > MOST_DIMENSIONS:
        raise InputError(f"{told.method}: found {len(mean)} dimensions, expected {MOST_DIMENSIONS} at most")
    if states is not None:
        axes = [np.arange(states, dtype=np.float64)] * len(mean)
    else:
        deviation = np.sqrt(variance)
        axes = [np.linspace(m - REACH * s, m + REACH * s, POINTS) for m, s in zip(mean, deviation, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    density = np.exp(told.log_prob(grid.reshape(-1, len(mean)))).reshape(grid.shape[:-1])
    found: dict[str, list[float]] = {column: [] for column in COLUMNS}
    for dimension, axis in enumerate(axes):
        others = tuple(other for other in range(len(axes)) if other != dimension)
        mass = density.sum(axis=others)
        mass = mass / mass.sum()
        own = float(axis @ mass)
        found["mean"].append(abs(own - mean[dimension]) / np.sqrt(variance[dimension]))
        found["variance"].append(abs(float((axis - own) ** 2 @ mass) / variance[dimension] - 1))
        exceeded = np.array([told.law.exceedance(state, told.time)[dimension] for state in axis])
        # Of real numbers a threshold is between two points, whose masses are of the cells around them.
        half = 0.0 if states is not None else (axis[1] - axis[0]) / 2
        for tail in TAILS:
            last = int(np.flatnonzero(exceeded >= tail)[-1])
            exact = told.law.exceedance(axis[last] + half, told.time)[dimension]
            found[f"P(x > k) = {tail:g}"].append(abs(mass[last + 1 :].sum() / exact - 1))
    return {column: np.array(values) for column, values in found.items()}


def block(rows: pd.DataFrame) -> str:
    """A row a method and split: the median, and nine of ten are below what stands in brackets."""
    lines = [f"| density | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for (method, split), group in rows.groupby(["method", "split"], sort=False):
        cells = [f"{group[column].median():.1%} ({group[column].quantile(0.9):.1%})" for column in COLUMNS]
        lines.append(f"| {method}, {split} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _law(system: str, settings: dict[str, object]) -> ExactLaw:
    law = build_stochastic_system(system, settings).law
    if law is None:
        raise InputError(f"data.source: found {system}, expected a system whose law is known at every time")
    return law


def _torch(log_prob: Callable[..., object]) -> LogProb:
    return lambda states: np.asarray(log_prob(torch.as_tensor(states)))


def compare(results: Path) -> tuple[str, pd.DataFrame]:
    """The kind of a study, and its rows: one a density and dimension."""
    config = results / "config.yaml"
    if not config.is_file():
        raise InputError(f"{config}: found no such file, expected the folder of a finished study")
    read = read_yaml(config)
    kind = read["kind"]
    if kind not in PAGES:
        raise InputError(f"{config}: kind: found {kind!r}, expected one of {', '.join(PAGES)}")
    states = read["data"].get("states") if read["data"]["state"] == "counts" else None
    told: Sequence[Told] = list(densities_across_time(results) if kind == "time" else densities_of_family(results))
    parts = [pd.DataFrame(errors(one, states)).assign(method=one.method, split=one.split) for one in told]
    return kind, pd.concat(parts, ignore_index=True)


def main() -> None:
    with exit_on_input_error():
        if len(sys.argv) < 2:
            raise InputError("results: found none, expected folders of finished studies")
        for folder in map(Path, sys.argv[1:]):
            kind, rows = compare(folder)
            fill(ROOT / "docs" / PAGES[kind], f"{folder.name}-law", block(rows))


if __name__ == "__main__":
    main()
