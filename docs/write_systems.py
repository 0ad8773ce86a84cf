"""Put the numbers of finished studies into docs/across-environments.md and docs/benchmarks.md, copied by no hand.

python docs/write_systems.py results/lotka-volterra results/benchmark-lotka-volterra ...

A study is named by its folder; what stands between the markers of that name is replaced. One that was scored as the
benchmarks of adaptation score has markers in docs/benchmarks.md, any other in docs/across-environments.md.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pandas as pd
from write_results import ROOT, replaced, table

from weightcast.benchmark.scores import SCORES
from weightcast.methods import method

_HEADINGS = {"mse": "MSE", "relative_error": "relative error", "relative_l2": "relative L2, in-t"}
_HEADINGS["relative_l2_beyond"] = "relative L2, out-t"
_TASKS = {"in domain": "In domain", "adaptation": "Adaptation"}


def summary_block(results: Path) -> str:
    """How much the environments matter, and the table of methods."""
    summary = pd.read_csv(results / "summary.csv")
    rmse = summary[summary.metric == "rmse"].set_index(["method", "split"])["median"]
    ratios = []
    for split, words in (("interpolation", "inside"), ("extrapolation", "outside")):
        expert = min(rmse[name, split] for name, of in rmse.index if of == split and name.startswith("one-per-env-"))
        ratios.append(f"{rmse['erm', split] / expert:.2g} times {words}")
    return f"An expert of the very environment is better than ERM {' and '.join(ratios)}.\n\n{table(summary)}"


def benchmark_block(results: Path) -> str:
    """Both tasks; only methods that keep to the protocol, and the told ones for comparison."""
    scores = pd.read_csv(results / "report" / "benchmark.csv")
    shown = [score for score in SCORES if score in set(scores.score)]
    parts = []
    for task, title in _TASKS.items():
        rows = scores[scores.task == task].set_index(["method", "score"])
        order = scores[(scores.task == task) & (scores.score == "mse")].sort_values("mean").method
        lines = [f"| {title} | {' | '.join(_HEADINGS[score] for score in shown)} |", "|---" * (1 + len(shown)) + "|"]
        for name in order:
            known = method(name)
            label = f"**{known.label}**" if known.family == "generator" else known.label
            if known.family == "reference":
                label += " (reference)"
            elif known.told_parameters and task == "adaptation":
                label += " (told the parameters)"
            lines.append(f"| {label} | {' | '.join(_cell(rows.loc[(name, score)]) for score in shown)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(row: pd.Series) -> str:
    spread = "" if math.isnan(row.deviation) else f" ± {row.deviation:.1g}"
    return f"{row['mean']:.3g}{spread}"


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        benchmark = (folder / "report" / "benchmark.csv").exists()
        page = ROOT / "docs" / ("benchmarks.md" if benchmark else "across-environments.md")
        block = benchmark_block(folder) if benchmark else summary_block(folder)
        page.write_text(replaced(page.read_text(encoding="utf-8"), folder.name, block), encoding="utf-8")


if __name__ == "__main__":
    main()
