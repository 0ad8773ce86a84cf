"""Put the numbers of finished studies into docs/across-environments.md and docs/adaptation.md.

python docs/write_systems.py results/lotka-volterra results/adaptation-lotka-volterra ...

A study is named by its folder; what stands between the markers of that name is replaced, so that numbers are copied by
no hand. One that was scored as CoDA and GEPS score has markers in docs/adaptation.md, any other in
docs/across-environments.md, and some have others there, `<name>-frames`, for what was shown frames. Of two studies or
more, in the order given, each also has a row in the overview and in the table of paired comparisons there. The default
study has docs/write_results.py.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from write_results import ROOT, fill, frames_table, label, read, table

from weightcast.core.methods import method
from weightcast.core.significance import bootstrap_median, environment_errors
from weightcast.environments.adaptation_scores import SCORES
from weightcast.environments.adaptation_table import ADAPTATION, IN_DOMAIN
from weightcast.environments.config.load import load_study

_HEADINGS = {"mse": "MSE", "relative_error": "relative error", "relative_l2": "relative L2, in-t"}
_HEADINGS["relative_l2_beyond"] = "relative L2, out-t"
_OVERVIEW = {
    "generator-conditioned": "generated",
    "one-per-env-conditioned": "One-per-Env",
    "film-matched": "FiLM, matched",
    "hypernetwork": "hypernetwork",
    "gaussian-process-conditioned": "Gaussian process",
    "nearest-expert-conditioned": "nearest expert",
    "finetune-film": "FiLM, fine-tuned",
    "finetune-erm": "ERM, fine-tuned",
    "erm": "ERM",
}
_COMPARED = [name for name in _OVERVIEW if not name.startswith("generator-")]
_TASKS = {IN_DOMAIN: "In domain", ADAPTATION: "Adaptation"}


def summary_block(results: Path) -> str:
    """How much the environments matter, and the table of methods."""
    summary = pd.read_csv(results / "summary.csv")
    rmse = summary[summary.metric == "rmse"].set_index(["method", "split"])["median"]
    ratios = []
    for split, words in (("interpolation", "inside"), ("extrapolation", "outside")):
        expert = min(rmse[name, split] for name, of in rmse.index if of == split and name.startswith("one-per-env-"))
        ratios.append(f"{rmse['erm', split] / expert:.2g} times {words}")
    return f"An expert of the very environment is better than ERM {' and '.join(ratios)}.\n\n{table(summary)}"


def frames_block(results: Path) -> str:
    """The methods that are shown frames, case by case."""
    cases = load_study(results / "config.yaml").evaluation.observed
    observed, summary = read(results / "report" / "observed_summary.csv"), read(results / "summary.csv")
    return frames_table(observed, cases, summary)


def adaptation_block(results: Path) -> str:
    """Both tasks; only methods that keep to the protocol, and the told ones for comparison."""
    scores = pd.read_csv(results / "report" / "adaptation.csv")
    shown = [score for score in SCORES if score in set(scores.score)]
    parts = []
    for task, title in _TASKS.items():
        rows = scores[scores.task == task].set_index(["method", "score"])
        order = scores[(scores.task == task) & (scores.score == "mse")].sort_values("mean").method
        lines = [f"| {title} | {' | '.join(_HEADINGS[score] for score in shown)} |", "|---" * (1 + len(shown)) + "|"]
        for name in order:
            told = method(name).told_parameters and method(name).family != "reference" and task == ADAPTATION
            first = f"{label(name)} (told the parameters)" if told else label(name)
            lines.append(f"| {first} | {' | '.join(_cell(rows.loc[(name, score)]) for score in shown)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def overview(studies: list[Path]) -> str:
    """A row a study: median errors of the methods that matter, inside / outside the range."""
    lines = [f"| study | {' | '.join(_OVERVIEW.values())} |", "|---" * (1 + len(_OVERVIEW)) + "|"]
    for folder in studies:
        summary = pd.read_csv(folder / "summary.csv")
        rmse = summary[summary.metric == "rmse"].set_index(["method", "split"])["median"]
        cells = [f"{rmse[name, 'interpolation']:.2g} / {rmse[name, 'extrapolation']:.2g}" for name in _OVERVIEW]
        lines.append(f"| {folder.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def paired(studies: list[Path]) -> str:
    """A row a study: a method's error over the generated networks', in every unseen environment."""
    headings = (_OVERVIEW[name] for name in _COMPARED)
    lines = [f"| study | {' | '.join(headings)} |", "|---" * (1 + len(_COMPARED)) + "|"]
    for folder in studies:
        horizon = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["data"]["trained_frames"] - 1
        errors = environment_errors(pd.read_csv(folder / "metrics.csv"), horizon)
        unseen = errors[errors.split.isin(["interpolation", "extrapolation"])]
        by_method = unseen.pivot(index="environment", columns="method", values="value")
        cells = []
        for name in _COMPARED:
            ratios = (by_method[name] / by_method["generator-conditioned"]).to_numpy()
            median, low, high = bootstrap_median(ratios[:, None])
            cells.append(f"{median:.2g} [{low:.2g}, {high:.2g}] {np.sum(ratios > 1)}/{len(ratios)}")
        lines.append(f"| {folder.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: pd.Series) -> str:
    spread = "" if math.isnan(row.deviation) else f" ± {row.deviation:.1g}"
    return f"{row['mean']:.3g}{spread}"


def main() -> None:
    studies = []
    systems, adaptation = (ROOT / "docs" / page for page in ("across-environments.md", "adaptation.md"))
    for folder in map(Path, sys.argv[1:]):
        if (folder / "report" / "adaptation.csv").exists():
            fill(adaptation, folder.name, adaptation_block(folder))
        else:
            fill(systems, folder.name, summary_block(folder))
            if f"<!-- {folder.name}-frames:begin -->" in systems.read_text(encoding="utf-8"):
                fill(systems, f"{folder.name}-frames", frames_block(folder))
            studies.append(folder)
    if len(studies) > 1:
        fill(systems, "systems", overview(studies))
        fill(systems, "paired", paired(studies))


if __name__ == "__main__":
    main()
