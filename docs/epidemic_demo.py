"""From snapshots of an epidemic to the distribution between them, as a page that is run rather than written.

python docs/epidemic_demo.py        three minutes on one core; writes docs/epidemic_demo.md and its figures

The words and the code on the page are those of the functions below, its numbers what they returned.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from run_page import RunPage
from scipy.stats import binomtest, t

from weightcast import WeightPath
from weightcast.cli.errors import exit_on_input_error
from weightcast.core.errors import InputError
from weightcast.core.plots.style import FAMILY_COLOURS, house_style
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.load import load_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.plots.distributions import plot_marginals
from weightcast.evolution.stages.simulate_snapshots import simulated_snapshots
from weightcast.evolution.stages.train_anchors import fit_anchors
from weightcast.evolution.stages.train_flow import bridge_of, fit_flow, new_flow
from weightcast.evolution.state_space import state_space_of
from weightcast.samples.snapshots import Snapshots
from weightcast.systems.stochastic import build_stochastic_system, simulate

ROOT = Path(__file__).parents[1]
PAGE = "epidemic_demo"
MORE_THAN = 25
ARM = "cde"
SHOWN = 1000
"""Samples of each time in the picture of the distribution."""
OPEN = 0.01
"""From this chance on the question is open: before and after, everything that counts is near 0."""

Array = NDArray[np.float64]


class Effort(NamedTuple):
    """How much is computed."""

    trajectories: int
    anchor_steps: int
    flow_steps: int
    refits: int
    truth: int


FULL = Effort(trajectories=1000, anchor_steps=400, flow_steps=10, refits=8, truth=100_000)
QUICK = Effort(trajectories=100, anchor_steps=8, flow_steps=1, refits=2, truth=1000)


class Band(NamedTuple):
    """A chance at every time, with the ends of its interval: each [time]."""

    chance: Array
    low: Array
    high: Array


# The sections of the page: their words, then their code


def see(study: TimeStudy) -> Snapshots:
    """## Eleven snapshots

    Sixty people: 50 susceptible, 10 infected. Infection has a season, immunity wanes, some die; every trajectory is
    simulated exactly, jump by jump. Of each we see eleven of 101 times, one in ten.
    """
    return simulated_snapshots(study.data, study.seed)


def learn(study: TimeStudy, snapshots: Snapshots, seed: int) -> WeightPath:
    """## Densities at the snapshots, and how their weights move

    An autoregressive network gives the probability of every state: p(S) p(I | S) p(R | S, I). Its weights are fitted
    at the snapshots and at four times inside each interval, where optimal transport between the snapshots stands in
    for samples ("bridged" anchors). A controlled differential equation then learns to carry the weights from the
    first snapshot to the last. No sample from between the snapshots is used.
    """
    density = StackedDensity.new(study.density, state_space_of(snapshots, study.density), seed)
    run, seen = Run(), (snapshots.observed_times, snapshots.observed_train)
    anchors = fit_anchors(run, "bridged", density, *seen, study.anchors, seed)
    arm, settings = study.flow.arms[ARM], study.flow.of_arm(ARM)
    flow = new_flow(run, anchors, arm, settings, seed)
    bridge = bridge_of(snapshots, snapshots.observed_train, anchors, arm, study.anchors.bridge, seed)
    fit_flow(run, flow, anchors, bridge, arm.objective, settings, seed)
    times, dimensions = snapshots.observed_times.tolist(), list(snapshots.dimensions)
    return WeightPath(flow.requires_grad_(False), density, {"times": times, "dimensions": dimensions})


def evolve(path: WeightPath, times: Array) -> Array:
    """## The distribution between the snapshots

    The path has weights at any time, hence a density, of which samples are drawn.
    """
    return path.sample(times, SHOWN, seed=0).numpy()


def chance_of_more(path: WeightPath, times: Array) -> Array:
    """## How likely is it that more than 25 are infected?

    No draws are needed. R comes last, so the network of S and I alone, with the same weights, is the joint law of the
    two with R summed out; the chance is the sum of its probabilities over all states with I > 25.
    """
    architecture = path.density.architecture
    states = architecture["space"]["states"]
    pair = StackedDensity(architecture | {"space": architecture["space"] | {"dimensions": 2}, "order": [0, 1]})
    every = torch.cartesian_prod(torch.arange(states), torch.arange(states))  # [state, (S, I)]
    found = [
        pair.log_prob(weights, every.expand(len(weights), -1, -1)).exp()[:, every[:, 1] > MORE_THAN].sum(1)
        for weights in path.weights(times).split(16)
    ]
    return torch.cat(found).double().numpy()


def refit(study: TimeStudy, snapshots: Snapshots, count: int) -> Array:
    """## Its interval

    How far could the answer be off because other trajectories might have been seen, and because training is random?
    Whole trajectories are drawn again with replacement, everything above is fitted anew to them, with another seed,
    and the question is asked again.
    """
    answers = []
    for number in range(count):
        random = np.random.default_rng(derive_seed(study.seed, "bootstrap", number))
        rows = random.integers(len(snapshots.train[0]), size=len(snapshots.train[0]))
        again = replace(snapshots, train=tuple(samples[rows] for samples in snapshots.train))
        answers.append(chance_of_more(learn(study, again, seed=1 + number), snapshots.times))
    return np.stack(answers)


def interval(chance: Array, refits: Array) -> Band:
    """The 95 % interval is symmetric in log-odds: the answer, plus and minus the refits' standard deviation times the
    quantile of Student's t. It holds the chance of the trajectories seen and that of training. It does **not** hold
    what all refits have in common: what the bridge guesses wrong between the snapshots, and what the network cannot
    tell.
    """
    log_odds = np.log(chance / (1 - chance))
    deviation = np.log(refits / (1 - refits)).std(0, ddof=1)
    reach = t.ppf(0.975, len(refits) - 1) * deviation
    return Band(chance, 1 / (1 + np.exp(reach - log_odds)), 1 / (1 + np.exp(-reach - log_odds)))


def from_snapshots_alone(snapshots: Snapshots) -> Band:
    """## What the snapshots say by themselves

    The naive answer: the fraction of trajectories with more than 25 infected at each snapshot, with Wilson's 95 %
    interval, and straight lines in between, for the fraction and for the ends of its interval.
    """
    answers = []
    for samples in snapshots.observed_train:
        found = binomtest(int((samples[:, 1] > MORE_THAN).sum()), len(samples))
        ends = found.proportion_ci(0.95, method="wilson")
        answers.append((found.statistic, ends.low, ends.high))
    return Band(*(np.interp(snapshots.times, snapshots.observed_times, part) for part in np.transpose(answers)))


def simulate_truth(study: TimeStudy, times: Array, trajectories: int) -> tuple[Array, Array]:
    """## The truth

    Fresh exact simulations, which nothing above has seen.
    """
    process = build_stochastic_system(study.data.source, study.data.settings)
    parts = np.array_split(np.arange(trajectories), max(1, trajectories // 10_000))
    above, shown = np.zeros(len(times)), np.zeros(0)
    for number, part in enumerate(parts):
        counts = simulate(process, times, len(part), derive_seed(study.seed, "truth", number))
        above += (counts[:, :, 1] > MORE_THAN).sum(0)
        shown = counts[:SHOWN].swapaxes(0, 1).astype(np.float64)  # [time, trajectory, (S, I, R)]
    return above / trajectories, shown


# Figures


def draw_snapshots(snapshots: Snapshots) -> Figure:
    """Every snapshot as a column of colours, the more likely the darker."""
    seen = snapshots.observed_times
    half = 0.2 * float(np.diff(seen).min())
    edges = np.stack([seen - half, seen + half], 1).ravel()  # of columns, and of the gaps between them
    counts = np.arange(1 + max(samples.max() for samples in snapshots.observed_train) + 1) - 0.5
    with house_style():
        figure = Figure(figsize=(10, 2.7), layout="constrained", dpi=144)
        panels = figure.subplots(1, len(snapshots.dimensions), sharey=True)
        for position, (axes, name) in enumerate(zip(panels, snapshots.dimensions, strict=True)):
            columns = np.full((len(counts) - 1, len(edges) - 1), np.nan)
            columns[:, ::2] = np.transpose(
                [np.histogram(samples[:, position], counts, density=True)[0] for samples in snapshots.observed_train]
            )
            shown = np.ma.masked_where(~(columns > 0), columns)
            mesh = axes.pcolormesh(edges, counts, shown, norm=PowerNorm(0.5, 0, 0.2), cmap="viridis_r", rasterized=True)
            axes.set_title(name)
            axes.set_xlabel("time")
        panels[0].set_ylabel("people")
        panels[1].axhline(MORE_THAN + 0.5, color=FAMILY_COLOURS["generator"], lw=1, ls="--")
        figure.colorbar(mesh, ax=panels, aspect=28, pad=0.012, extend="max", label="fraction of trajectories")
    return figure


def draw_between(snapshots: Snapshots, truth: Array, evolved: Array) -> Figure:
    """The library's figure of marginals over time: truth above, evolved density below."""
    coordinates = {
        "source": ["truth", f"flow-{ARM}"],
        "time": snapshots.times,
        "dimension": list(snapshots.dimensions),
        "observed": ("time", snapshots.observed),
    }
    most = min(truth.shape[1], evolved.shape[1])
    values = np.stack([truth[:, :most], evolved[:, :most]])
    samples = xr.DataArray(values, coordinates, ("source", "time", "sample", "dimension"))
    return plot_marginals(samples[:, ::2], counts=True)  # every other time, for a small file


def draw_answer(snapshots: Snapshots, truth: Array, answer: Band, naive: Band) -> Figure:
    """The chance over time: evolved density with its interval, snapshots with theirs, truth."""
    times, seen = snapshots.times, snapshots.observed
    evolved, alone = FAMILY_COLOURS["generator"], FAMILY_COLOURS["baseline"]
    with house_style():
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.grid(axis="y")
        axes.fill_between(times, answer.low, answer.high, color=evolved, alpha=0.2, lw=0, label="its 95 % interval")
        axes.plot(times, answer.chance, color=evolved, lw=1.8, label="evolved density")
        axes.plot(times, truth, color=FAMILY_COLOURS["reference"], lw=1.1, label="truth")
        axes.plot(times, naive.chance, color=alone, lw=0.9, ls=":")
        spans = [naive.chance - naive.low, naive.high - naive.chance]
        axes.errorbar(
            times[seen],
            naive.chance[seen],
            [np.maximum(span[seen], 0) for span in spans],
            color=alone,
            ls="",
            marker="o",
            ms=3.5,
            lw=1.1,
            label="snapshots alone, with 95 % intervals",
        )
        axes.set_xlim(times[0], times[-1])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("time")
        axes.set_ylabel(f"P(I > {MORE_THAN})")
        axes.legend(loc="upper right")
    return figure


# Tables


def compare(snapshots: Snapshots, truth: Array, answer: Band, naive: Band) -> str:
    """Errors and coverage of the answers, as a table."""
    opened = truth >= OPEN
    between = ~snapshots.observed
    all_seen = np.array([(samples[:, 1] > MORE_THAN).mean() for samples in snapshots.train])

    def cells(chance: Array, band: Band | None) -> str:
        error = np.abs(chance - truth)
        row = f"{error.mean():.4f} | {error[between].mean():.4f} | {error.max():.4f}"
        if band is None:
            return f"{row} | | |"
        held = (band.low <= truth) & (truth <= band.high)
        width = f"{(band.high - band.low)[opened].mean():.3f}" if opened.any() else ""
        return f"{row} | {held.sum()} of {len(held)} | {held[opened].sum()} of {opened.sum()} | {width} |"

    head = "mean error, all times | between snapshots | largest | truth inside the interval"
    return "\n".join(
        [
            f"| | {head} | the same where P ≥ {OPEN:g} | mean width there |",
            "|---|---|---|---|---|---|---|",
            f"| evolved density | {cells(answer.chance, answer)}",
            f"| snapshots alone, straight lines | {cells(naive.chance, naive)}",
            f"| the same trajectories, had all {len(truth)} times been seen | {cells(all_seen, None)} |",
        ]
    )


def judge(snapshots: Snapshots, truth: Array, answer: Band) -> str:
    """Where the interval fails, and what its coverage here does not tell."""
    missed = (truth < answer.low) | (answer.high < truth)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], missed, [False]]).astype(int))).reshape(-1, 2)
    spans = [f"{snapshots.times[first]:g} to {snapshots.times[end - 1]:g}" for first, end in ends]
    opened = truth >= OPEN
    rare = f"{np.abs(answer.chance - truth)[~opened].max(initial=0):.4f}"
    words = (
        f"The truth lies inside the interval at {(~missed).sum()} of {len(missed)} times, and at "
        f"{(~missed & opened).sum()} of the {opened.sum()} where the chance is at least {OPEN:g}. It lies outside at "
        f"the times {', '.join(spans) or 'none'}. Where the event is rarer than {OPEN:g} the interval is not to be "
        "trusted: a softmax gives no state up for lost, so a little probability stays, or comes early, and all refits "
        f"share that (largest error there: {rare}); more steps of training make it less. The snapshots' own interval "
        "holds more of those times, since it reaches down to 0 wherever nothing was found.",
        "The shoulders of the truth are the season, 6 units of time long: snapshots every 5 do not show it, and no "
        "method that sees them alone can know.",
        "This is one data set, and neighbouring times err together: a check of this answer, not a measurement of the "
        "interval's coverage.",
    )
    return "\n\n".join(textwrap.fill(part, 120) for part in words)


def list_times(snapshots: Snapshots, truth: Array, answer: Band, naive: Band, every: int) -> str:
    """A row for every so many times."""
    lines = [f"| time | P(I > {MORE_THAN}) | 95 % interval | truth | snapshots alone | its interval |"]
    lines.append("|---|---|---|---|---|---|")
    for row in range(0, len(truth), every):
        mark = " (seen)" if snapshots.observed[row] else ""
        ours, theirs = (f"{band.low[row]:.4f} to {band.high[row]:.4f}" for band in (answer, naive))
        lines.append(
            f"| {snapshots.times[row]:g}{mark} | {answer.chance[row]:.4f} | {ours} | {truth[row]:.4f} | "
            f"{naive.chance[row]:.4f} | {theirs} |"
        )
    return "\n".join(lines)


# The page


def study_of(results: Path | None, effort: Effort) -> TimeStudy:
    """The epidemic's study, with fewer steps."""
    plain = load_time_study(ROOT / "config" / "epidemic.yaml" if results is None else results / "config.yaml")
    changed: dict[str, Any] = plain.model_dump()
    found = plain.data.source, plain.density.backbone, plain.density.order
    if found != ("epidemic", "gru", "sequential"):
        raise InputError(f"{results}: found {', '.join(found)}, expected epidemic, gru, sequential")
    if results is None:
        changed["data"]["trajectories"]["train"] = effort.trajectories
    changed["anchors"]["training"]["steps"] = effort.anchor_steps
    changed["flow"]["likelihood_training"]["steps"] = effort.flow_steps
    return TimeStudy.model_validate(changed)


@exit_on_input_error()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="answer from this study that has been run, not from a fit here")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder; default: docs")
    parser.add_argument("--quick", action="store_true", help="so little that only the way is shown")
    chosen = parser.parse_args(arguments)
    effort = QUICK if chosen.quick else FULL
    torch.set_num_threads(1)  # the same numbers everywhere
    write_page(RunPage(PAGE, chosen.output, chosen.output), study_of(chosen.results, effort), effort, chosen.results)


def write_page(page: RunPage, study: TimeStudy, effort: Effort, results: Path | None) -> None:
    """Run the sections in order."""
    page.say(
        textwrap.dedent(f"""\
        # An epidemic between its snapshots

        A modeller has trajectories of an epidemic, seen at eleven times, and asks about all the times between: **how
        likely is it that more than {MORE_THAN} are infected?**

        Words, code, numbers and figures of this page are made by `python docs/epidemic_demo.py`; edit that file. It
        fits {effort.refits + 1} times, so with fewer steps than the study of `config/epidemic.yaml`:
        {effort.anchor_steps} for the anchors, {effort.flow_steps} for the flow.""")
    )
    snapshots = page.run(see, study)
    page.draw("snapshots", draw_snapshots(snapshots), "Distributions of S, I and R at the eleven snapshots")
    page.say(
        f"{len(snapshots.train[0])} trajectories; the darker, the more of them. The dashed line is the question: more "
        f"than {MORE_THAN} infected."
    )

    page.show(learn)
    if results is None:
        path = learn(study, snapshots, seed=0)
        page.say(f'A finished study is loaded instead with `weightcast.WeightPath.load("{study.results}")`.')
    else:
        path = WeightPath.load(results, ARM)
        page.say(f"The answer below comes from `{results}`, trained in full; the refits are trained as above.")
    evolved = page.run(evolve, path, snapshots.times)
    truth, shown = page.run(simulate_truth, study, snapshots.times, effort.truth)
    error = 1.96 * (0.05 * 0.95 / effort.truth) ** 0.5
    page.say(f"With {effort.truth:,} of them, a chance of 0.05 is known to within {error:.4f}.")
    page.draw("between", draw_between(snapshots, shown, evolved), "Marginals over time: truth above, evolved below")
    page.say("Above fresh simulations, below what was evolved; triangles are the snapshots.")

    chance = page.run(chance_of_more, path, snapshots.times)
    refits = page.run(refit, study, snapshots, effort.refits)
    page.say(f"Here with {effort.refits} refits.")
    answer = page.run(interval, chance, refits)
    naive = page.run(from_snapshots_alone, snapshots)
    page.say("## The answer")
    page.draw("answer", draw_answer(snapshots, truth, answer, naive), f"Chance of more than {MORE_THAN} infected")
    page.say(compare(snapshots, truth, answer, naive))
    page.say(judge(snapshots, truth, answer))
    page.say(list_times(snapshots, truth, answer, naive, every=5))
    everything = list_times(snapshots, truth, answer, naive, every=1)
    page.say(f"<details><summary>All {len(truth)} times</summary>\n\n{everything}\n\n</details>")
    page.write()


if __name__ == "__main__":
    main()
