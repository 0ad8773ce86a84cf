"""From how many environments on does a learned prior over codes beat a normal distribution? Writes
docs/prior-over-codes.md.

python docs/compare_priors.py           27 small trainings: about five minutes of one core; continues where it was
python docs/compare_priors.py --write   the page alone, from results/prior-over-codes/scores.csv
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from write_results import ROOT, replaced

from weightcast.core.config.predictor import MLPSettings
from weightcast.core.draws import Draws
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.run import Run
from weightcast.core.significance import paired_p
from weightcast.environments.code_posteriors import draw_codes
from weightcast.environments.code_priors import fit_prior
from weightcast.environments.code_training import Candidate, train_codes
from weightcast.environments.config.code_prior import CodeDiffusionSettings, CodeDrawName, CodePriorName
from weightcast.environments.config.context import ContextSettings, ContextTraining, RefineSettings
from weightcast.environments.context import PRIOR_WIDENED, Calibration, infer
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.systems.lotka_volterra import LotkaVolterraSettings, simulate

SCORES = ROOT / "results" / "prior-over-codes" / "scores.csv"
PAGE = ROOT / "docs" / "prior-over-codes.md"
SETS = ("box", "ring", "clusters")
SIZES, SEEDS = (24, 96, 384), (0, 1, 2)
UNSEEN, OUTSIDE = 64, 32
NOISE = 0.2
"""On observed frames, in the channels' standard deviations."""
SHOWN, FRAMES, MEMBERS = 2, 20, 64
SCORED = (2, 6, 10, 14, 18)
"""Steps of a forecast that are scored."""
WAYS: tuple[tuple[CodePriorName, CodeDrawName], ...] = (
    ("gaussian", "laplace"),
    ("mixture", "laplace"),
    ("diffusion", "laplace"),
    ("gaussian", "weighted"),
    ("gaussian", "langevin"),
    ("diffusion", "langevin"),
)
PREDICTOR = MLPSettings(kind="mlp", width=16, depth=2, activation="gelu", residual=True)
CONTEXT = ContextSettings(
    maps=["linear"],
    training=ContextTraining(steps=1200, learning_rate=0.01, unroll=2, last_unroll=4, batch=4, environments=48),
)


def parameters(kind: str, count: int, draws: Draws, outside: bool = False) -> Tensor:
    """Beta and delta of environments [environment, 2]; those outside lie where none of the set does."""
    if kind == "box":
        inside = 0.5 + 0.7 * draws.uniform(count, 2)
        if not outside:
            return inside
        # Around the box: one of the two is beyond it, by up to a third of its width.
        beyond = draws.uniform(count) * 0.23
        side = draws.integers(2, count).bool()
        number = draws.integers(2, count)
        inside[torch.arange(count), number] = torch.where(side, 1.2 + beyond, 0.5 - beyond)
        return inside
    angle = 2 * math.pi * draws.uniform(count)
    around = torch.stack([angle.cos(), angle.sin()], 1)
    if kind == "ring":
        radius = 0.45 if outside else 0.3
        return 0.85 + (radius + 0.02 * draws.normal(count, 1)) * around
    side = torch.where(draws.uniform(count, 1) < 1 / 3, 1.0, -1.0)
    distance = 0.2 if outside else 0.05 * draws.normal(count, 1).abs().clamp(max=3.0)
    return 0.85 + 0.2 * side * torch.tensor([1.0, -1.0]) + distance * around


def trajectories(kind: str, told: Tensor, count: int, names: str, seed: int) -> Tensor:
    """Frames of environments [environment, trajectory, frame, channel, 1, 1], physical units."""
    settings = LotkaVolterraSettings(frames=FRAMES, trajectories=count, tolerance=1e-7)
    ids = [f"{kind}-{names}-{number}" for number in range(len(told))]
    return torch.from_numpy(simulate(told[:, 0].numpy(), told[:, 1].numpy(), ids, settings, seed))


def scores(kind: str, size: int, seed: int) -> Iterator[dict[str, object]]:
    """Train on so many environments of a set, and score every way of inferring the unseen ones from two frames."""
    run, draws = Run(), Draws("cpu", "priors", kind, seed)
    known = parameters(kind, max(SIZES), draws)[:size]
    unseen = torch.cat([parameters(kind, UNSEEN, draws), parameters(kind, OUTSIDE, draws, outside=True)])
    seen = trajectories(kind, known, 3, "visible", seed)
    normalisation = Normalisation.of(seen)
    frames = normalisation.apply(seen)
    others = normalisation.apply(trajectories(kind, unseen, 2, "unseen", seed))
    architecture = describe_architecture(PREDICTOR, 2)
    module = build_predictor(architecture, seed)
    predictor = StackedPredictor(module)
    graph, initial = predictor.graph, predictor.graph.read(module)
    name = f"{kind} {size} {seed}"
    trained = train_codes(
        run,
        Candidate("linear", 2),
        CONTEXT,
        CONTEXT.training,
        initial,
        graph,
        predictor,
        frames,
        None,
        range(size),
        seed,
        name,
    )
    shown = others[:, :1, :SHOWN]
    shown = shown + NOISE * Draws("cpu", "noise", kind, seed).normal(*shown.shape)
    test = others[:, 1:]
    space = FrameSpace.of(frames)
    # The noise is told: start and end of a step are noisy, each on its own. So priors differ, and nothing else.
    calibration = Calibration(1.0, [math.sqrt(2.0) * NOISE], [], math.nan)
    posteriors = {}
    for prior_kind, draw in WAYS:
        if prior_kind not in posteriors:
            settings, training = CodeDiffusionSettings(), f"{name} {prior_kind}"
            prior = fit_prior(run, prior_kind, trained.codes, PRIOR_WIDENED, settings, seed, training)
            posteriors[prior_kind] = infer(
                trained.weight_map, predictor, trained.codes, shown, space, RefineSettings(), calibration, prior
            )
        posterior = posteriors[prior_kind]
        codes = draw_codes(draw, posterior, MEMBERS, Draws("cpu", "members", seed))
        with torch.no_grad():
            weights = trained.weight_map(codes.flatten(0, 1))
            start = test[:, :, 0].repeat_interleave(MEMBERS, 0)
            rolled = predictor.rollout(weights, start, FRAMES - 1).unflatten(0, (len(test), MEMBERS))
        for number, (members, true) in enumerate(zip(rolled, test, strict=True)):
            steps = [step - 1 for step in SCORED]
            found = ensemble_metrics(
                members[:, :, steps], torch.ones(MEMBERS), true[:, [step + 1 for step in steps]], [len(steps)]
            )
            yield {
                "set": kind,
                "visible": size,
                "seed": seed,
                "environment": number,
                "outside": number >= UNSEEN,
                "prior": prior_kind,
                "draw": draw,
            } | {metric: value for metric, _, value in found}


def measure() -> None:
    """All trainings, one after the other; what has been scored before is not scored again."""
    SCORES.parent.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        for kind in SETS:
            for size in SIZES:
                done = read() if SCORES.is_file() else pd.DataFrame(columns=["set", "visible", "seed"])
                if ((done["set"] == kind) & (done.visible == size) & (done.seed == seed)).any():
                    continue
                rows = pd.DataFrame(scores(kind, size, seed))
                together = pd.concat([done, rows]) if len(done) else rows
                together.to_csv(SCORES, index=False)


def read() -> pd.DataFrame:
    return pd.read_csv(SCORES)


def ratio(rows: pd.DataFrame, metric: str, way: tuple[str, str], against: tuple[str, str]) -> str:
    """Geometric mean over environments of how large a metric is with one way over that with another, its bootstrap
    interval, and a mark where the paired test finds no difference."""
    keys = ["seed", "environment"]
    values = [
        rows[(rows.prior == prior) & (rows.draw == draw)].set_index(keys)[metric].sort_index()
        for prior, draw in (way, against)
    ]
    logarithms = np.log(values[0].to_numpy() / values[1].to_numpy())
    random = np.random.default_rng(0)
    means = logarithms[random.integers(len(logarithms), size=(2000, len(logarithms)))].mean(1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    p = paired_p(values[0].to_numpy(), values[1].to_numpy())
    return f"{math.exp(logarithms.mean()):.3f} [{low:.3f}, {high:.3f}]" + ("" if p < 0.05 else " =")


def absolute(rows: pd.DataFrame, way: tuple[str, str]) -> str:
    """CRPS, error of the mean (geometric means) and coverage of 90 % intervals."""
    chosen = rows[(rows.prior == way[0]) & (rows.draw == way[1])]
    crps, error = (math.exp(np.log(chosen[metric]).mean()) for metric in ("crps", "rmse_mean"))
    return f"{crps:.3f} / {error:.3f} / {100 * chosen.coverage_90.mean():.0f} %"


def priors_table(found: pd.DataFrame, outside: bool) -> list[str]:
    """A row for each set and number of environments."""
    lines = [
        "| set | visible | gaussian | mixture | diffusion | mixture / gaussian | diffusion / gaussian |",
        "|---|---|---|---|---|---|---|",
    ]
    ways = [way for way in WAYS if way[1] == "laplace"]
    for (kind, size), rows in _groups(found, outside):
        cells = [absolute(rows, way) for way in ways]
        cells += [ratio(rows, "crps", way, ways[0]) for way in ways[1:]]
        lines.append(f"| {kind} | {size} | {' | '.join(cells)} |")
    return lines


def draws_table(found: pd.DataFrame) -> list[str]:
    """The same for ways to draw."""
    lines = [
        "| set | visible | gaussian, weighted | gaussian, Langevin | diffusion, Langevin | weighted / Laplace | "
        "Langevin / Laplace | Langevin / Laplace, diffusion |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ways = [way for way in WAYS if way[1] != "laplace"]
    for (kind, size), rows in _groups(found, False):
        cells = [absolute(rows, way) for way in ways]
        cells += [ratio(rows, "crps", way, (way[0], "laplace")) for way in ways]
        lines.append(f"| {kind} | {size} | {' | '.join(cells)} |")
    return lines


def _groups(found: pd.DataFrame, outside: bool) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
    chosen = found[found.outside == outside]
    for kind in SETS:
        for size in SIZES:
            rows = chosen[(chosen["set"] == kind) & (chosen.visible == size)]
            if len(rows):
                yield (kind, size), rows


def write(path: Path = PAGE) -> None:
    """Put the tables of what has been measured into the page."""
    found = read()
    seeds = ", ".join(f"{kind} {found[found['set'] == kind].seed.nunique()}" for kind in SETS)
    parts = [
        f"Seeds: {seeds}.",
        "",
        "Unseen environments of the same set:",
        "",
        *priors_table(found, outside=False),
        "",
        "Outside of it:",
        "",
        *priors_table(found, outside=True),
        "",
        "Ways to draw, same set:",
        "",
        *draws_table(found),
    ]
    page = path.read_text(encoding="utf-8")
    path.write_text(replaced(page, "priors", "\n".join(parts)), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the page from the scores that there are")
    if not parser.parse_args().write:
        torch.set_num_threads(1)
        measure()
    write()


if __name__ == "__main__":
    main()
