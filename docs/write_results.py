"""Put the numbers and pictures of the default studies into the README, so that they are copied by no hand.

python docs/write_results.py        after `make run`; replaces what stands between the results markers
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from weightcast.core.methods import method

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "lambda-omega"
PICTURE = "rollout_beta_1.00-D_0.20.svg"
EPIDEMIC = ROOT / "results" / "epidemic"
EPIDEMIC_PICTURE = "error_against_time.svg"
EPIDEMIC_COLUMNS = (
    ("source", "paper_w"),
    ("source", "jsd"),
    ("source", "wasserstein"),
    ("unobserved", "wasserstein"),
    ("unobserved", "nll"),
)
CURVES = ("flow-", "pchip-", "displacement", "sampling-floor")
"""Of the interpolations the table has the strongest; the report has them all."""


def label(name: str) -> str:
    """A method in a table: what is generated is bold, references are marked."""
    known = method(name)
    printed = f"**{known.label}**" if known.family == "generator" else known.label
    return f"{printed} (reference)" if name.startswith("one-per-env-") else printed


def table(summary: pd.DataFrame) -> str:
    """Markdown: median and interval inside and outside the range, training seconds; best inside first."""
    rows = summary[summary.metric == "rmse"].set_index(["method", "split"])
    order = summary[(summary.metric == "rmse") & (summary.split == "interpolation")].sort_values("median").method
    lines = ["| method | unseen, inside the range | unseen, outside | training, s |", "|---|---|---|---|"]
    for name in order:
        cells = []
        for split in ("interpolation", "extrapolation"):
            row = rows.loc[(name, split)]
            cells.append(f"{row['median']:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]")
        lines.append(
            f"| {label(name)} | {cells[0]} | {cells[1]} | {rows.loc[(name, 'interpolation')].train_seconds:.0f} |"
        )
    return "\n".join(lines)


def epidemic_table(summary: pd.DataFrame) -> str:
    """Markdown: five errors with their intervals, training seconds; best first."""
    rows = summary.set_index(["method", "split", "metric"])
    scored = summary[(summary.split == "unobserved") & (summary.metric == "wasserstein")].sort_values("median")
    lines = [
        "| method | paper W | JSD | W1, all times | W1, unobserved times | NLL, unobserved times | training, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in scored.method:
        if not name.startswith(CURVES):
            continue
        cells = []
        for split, metric in EPIDEMIC_COLUMNS:
            if (name, split, metric) not in rows.index:
                cells.append("")
                continue
            row = rows.loc[(name, split, metric)]
            digits = 2 if metric in ("wasserstein", "nll") else 4
            cells.append(f"{row['median']:.{digits}f} [{row.ci_low:.{digits}f}, {row.ci_high:.{digits}f}]")
        trained = rows.loc[(name, "unobserved", "wasserstein")].train_seconds
        lines.append(f"| {label(name)} | {' | '.join(cells)} | {trained:.0f} |")
    return "\n".join(lines)


def replaced(text: str, name: str, block: str) -> str:
    """The text with what stands between the markers of this name replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def main() -> None:
    shutil.copy2(RESULTS / "figures" / PICTURE, ROOT / "docs" / "rollout.svg")
    shutil.copy2(EPIDEMIC / "figures" / EPIDEMIC_PICTURE, ROOT / "docs" / "epidemic.svg")
    across_environments = f"""\
Error of 30-frame forecasts over the field's standard deviation: median over unseen environments, with its bootstrap
95 % interval; training time on one core, with everything that the method builds on. Made by `make run`.

{table(pd.read_csv(RESULTS / "summary.csv"))}

![One forecast in an unseen environment: truth, generated network, expert of the very environment](docs/rollout.svg)"""
    across_time = f"""\
Median over three seeds of the mean over times, with its bootstrap 95 % interval. *Paper W*, JSD and W1 at all times
are scored as the source scores: against the 1000 training trajectories. The others are against 1000 held-out ones.
Made by `make run`.

{epidemic_table(pd.read_csv(EPIDEMIC / "summary.csv"))}

![Errors against time; ticks mark the times that training saw](docs/epidemic.svg)"""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = replaced(replaced(readme, "results", across_environments), "epidemic", across_time)
    (ROOT / "README.md").write_text(readme, encoding="utf-8")


if __name__ == "__main__":
    main()
