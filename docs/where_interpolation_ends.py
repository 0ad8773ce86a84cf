"""Where is a curve through the weights not enough? Into docs/which-snapshots.md.

python docs/where_interpolation_ends.py          two systems, REPEATS sets of samples each

Two systems whose law theory knows (config/ornstein-uhlenbeck.yaml, config/birth-death.yaml) are seen by few samples, at
few times, at uneven times, or not to their end. Scored is what lies between the snapshots, or after the last one,
against the law itself: W1 of as many samples of it, and negative log-likelihood over the law's own. Methods that are
compared are shown the same samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from write_results import ROOT, fill

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.files import written_whole
from weightcast.core.plots.export import render
from weightcast.core.plots.style import house_style
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.density import Laws
from weightcast.evolution.displacement import DisplacementInterpolation
from weightcast.evolution.distances.wasserstein import wasserstein
from weightcast.evolution.interpolation import interpolate_weights
from weightcast.evolution.jobs import TimePlan, TrainAnchors, TrainFlow
from weightcast.evolution.stages.simulate_snapshots import simulated_snapshots
from weightcast.evolution.stages.train_anchors import train_anchors
from weightcast.evolution.stages.train_flow import train_flow
from weightcast.evolution.weight_path import WeightPath
from weightcast.samples.snapshots import Snapshots
from weightcast.systems.exact_law import ExactLaw
from weightcast.systems.stochastic import build_stochastic_system

Array = NDArray[np.float64]
SYSTEMS = ("ornstein-uhlenbeck", "birth-death")
LAST = 50
"""Position of the last time; there are 51, a tenth of the duration five apart."""
EVEN = [0, 10, 20, 30, 40, 50]
CASES: Mapping[str, Mapping[str, tuple[int, list[int]]]] = {
    "samples": {f"{count} samples": (count, EVEN) for count in (25, 50, 100)},
    "snapshots": {
        "3 snapshots": (100, [0, 25, 50]),
        "4 snapshots": (100, [0, 15, 35, 50]),
        "5 snapshots": (100, [0, 10, 25, 40, 50]),
        "5, uneven": (100, [0, 4, 8, 12, 50]),
    },
    "forecasts": {f"seen to {last / LAST:.0%}": (100, EVEN[: EVEN.index(last) + 1]) for last in (20, 30, 40)},
}
"""Samples of each snapshot and positions of the snapshots, by figure and case."""
FLOW, PCHIP, BRIDGED, BRIDGED_PCHIP = "flow", "PCHIP", "flow, bridged", "PCHIP, bridged"
MOVED, FLOOR = "displacement", "floor"
METHODS = (FLOW, PCHIP, BRIDGED, BRIDGED_PCHIP, MOVED, FLOOR)
ARMS = {(FLOW, PCHIP): ("snapshots", "joint"), (BRIDGED, BRIDGED_PCHIP): ("cde", "bridged")}
"""A flow, and the curve through the anchors that it is of: its arm in the configurations, and these anchors."""
STYLES = {FLOOR: "k:", MOVED: "s-", PCHIP: "o--", BRIDGED_PCHIP: "o--"}
REPEATS, DRAWN, LIKELIHOODS = 3, 1000, 4000


def law_of(system: str) -> tuple[dict[str, object], ExactLaw]:
    """Configuration of a system, and its law."""
    config = read_yaml(ROOT / f"config/{system}.yaml")
    law = build_stochastic_system(system, config["data"]["settings"]).law
    assert law is not None  # of the two systems it is known
    return config, law


def rows_of(system: str, figure: str, case: str, repeat: int) -> Iterator[dict[str, object]]:
    """Errors of all methods of one set of samples."""
    config, law = law_of(system)
    count, observed = CASES[figure][case]
    config["seed"] = repeat
    config["data"] |= {"observed_every": 1, "observed": observed}  # type: ignore[operator]
    config["data"]["trajectories"] |= {"train": count, "held_out": 2}  # type: ignore[index]
    config["evaluation"] |= {"forecast": False}  # type: ignore[operator]
    study = parse_time_study(config)
    plan, snapshots = TimePlan(study), simulated_snapshots(study.data, study.seed)
    forecast = figure == "forecasts"
    between = [(first + second) // 2 for first, second in pairwise(observed)]
    positions = [position for position in EVEN if position > observed[-1]] if forecast else between
    times = snapshots.times[positions]
    told = {"system": system, "figure": figure, "case": case, "repeat": repeat}
    for name, (samples, laws) in predictions(plan, snapshots, times, study.data.states, law, repeat).items():
        for place, time in enumerate(times):
            yield told | {"method": name, "time": float(time)} | errors(law, float(time), samples[place], laws, place)


def predictions(
    plan: TimePlan, snapshots: Snapshots, times: Array, states: int | None, law: ExactLaw, seed: int
) -> dict[str, tuple[list[Array], Laws | None]]:
    """Of each method samples [time], and its laws at the times where it has any."""
    run, found = Run(), dict[str, tuple[list[Array], Laws | None]]()
    for (flow, curve), (arm, kind) in ARMS.items():
        anchors = train_anchors(run, TrainAnchors.of(plan, "all", kind, "0"), snapshots)
        anchors.metadata["digest"] = ""  # of the file that they would be saved in
        made = train_flow(run, TrainFlow.of(plan, "all", arm, "0"), anchors, snapshots)
        found[flow] = drawn(WeightPath(made.flow, made.density, made.metadata).laws(times, extrapolate=True), seed)
        # Beyond the last anchor a curve keeps that one.
        weights = interpolate_weights(anchors.times, anchors.weights, times, "pchip")
        found[curve] = drawn(Laws.of(anchors.density, weights), seed)
    last = float(snapshots.observed_times[-1])
    moved = DisplacementInterpolation(
        snapshots.observed_times, snapshots.observed_train, rounded=states is not None, seed=seed
    )
    found[MOVED] = (
        [moved.sample(min(float(time), last), DRAWN, derive_seed(seed, "moved", repr(float(time)))) for time in times],
        None,
    )
    found[FLOOR] = (
        [law.sample(float(time), DRAWN, derive_seed(seed, "floor", repr(float(time)))) for time in times],
        None,
    )
    return found


@torch.no_grad()
def drawn(laws: Laws, seed: int) -> tuple[list[Array], Laws]:
    """Samples of each law."""
    samples = laws.sample(DRAWN, derive_seed(seed, "drawn"), keys=list(range(len(laws.weights))))
    return list(samples.double().numpy()), laws


@torch.no_grad()
def errors(law: ExactLaw, time: float, samples: Array, laws: Laws | None, place: int) -> dict[str, float]:
    """W1 to samples of the law, and negative log-likelihood over its own."""
    truth = law.sample(time, LIKELIHOODS, derive_seed(0, "truth", repr(time)))
    found = {"w1": wasserstein(samples, truth[:DRAWN])}
    if laws is not None:
        own = float(laws.log_prob(place, torch.from_numpy(np.asarray(truth, np.float64))).mean())
        found["nll"] = float(law.log_prob(truth, time).mean()) - own
    return found


def gain(rows: pd.DataFrame, method: str, other: str, metric: str) -> tuple[float, float]:
    """Mean over sets of samples of how far a method is above another, and the half width of its 95 % interval."""
    mean = rows.groupby(["method", "repeat"])[metric].mean()
    difference = (mean[method] - mean[other]).to_numpy()
    half = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
    return float(difference.mean()), float(half)


def draw(rows: pd.DataFrame, figure: str) -> Figure:
    """A row of panels for each system: W1, and likelihood."""
    cases = list(CASES[figure])
    with house_style():
        picture = Figure(figsize=(9, 5.4), layout="constrained")
        panels = picture.subplots(len(SYSTEMS), 2, sharex=True, squeeze=False)
        for line, system in zip(panels, SYSTEMS, strict=True):
            for axes, metric, label in zip(line, ("w1", "nll"), ("W1", "NLL over the law's own"), strict=True):
                of_system = rows[rows["system"] == system]
                for method in METHODS:
                    mean = of_system[of_system["method"] == method].groupby("case")[metric].mean().reindex(cases)
                    if mean.notna().any():
                        axes.plot(range(len(cases)), mean, STYLES.get(method, "o-"), label=method)
                axes.set(xticks=range(len(cases)), xticklabels=cases, ylabel=label)
                axes.set_ylim(bottom=0)
                axes.set_title(system, fontweight="normal")
        picture.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(METHODS))
    return picture


def table(rows: pd.DataFrame, figure: str) -> str:
    """A row a system and case: W1 of all methods, and what flows gain over displacement and over their curves."""
    heading = (
        f"| system | case | W1: {'; '.join(METHODS)} | W1, bridged flow less displacement "
        "| NLL, flow less PCHIP | the same, bridged |"
    )
    lines = [heading, "|---" * 6 + "|"]
    for system in SYSTEMS:
        for case in CASES[figure]:
            own = rows[(rows["system"] == system) & (rows["case"] == case)]
            means = own.groupby("method")["w1"].mean()
            cells = "; ".join(f"{means[method]:.3g}" for method in METHODS)
            gains = [gain(own, BRIDGED, MOVED, "w1"), *(gain(own, flow, curve, "nll") for flow, curve in ARMS)]
            said = " | ".join(f"{mean:+.3f} ± {half:.3f}" for mean, half in gains)
            lines.append(f"| {system} | {case} | {cells} | {said} |")
    return "\n".join(lines)


def block(rows: pd.DataFrame) -> str:
    """All figures, each above its table."""
    parts = []
    for figure in CASES:
        of_figure = rows[rows["figure"] == figure]
        path = Path(f"interpolation_ends_{figure}.svg")
        with written_whole(ROOT / "docs" / path) as partial:
            partial.write_bytes(render(draw(of_figure, figure)).content)
        parts.append(f"![W1 and likelihood against {figure}]({path})\n\n{table(of_figure, figure)}")
    return "\n\n".join(parts)


def main() -> None:
    torch.set_num_threads(1)
    found = [
        row
        for repeat in range(REPEATS)
        for system in SYSTEMS
        for figure, cases in CASES.items()
        for case in cases
        for row in rows_of(system, figure, case, repeat)
    ]
    fill(ROOT / "docs" / "which-snapshots.md", "interpolation-ends", block(pd.DataFrame(found)))


if __name__ == "__main__":
    main()
