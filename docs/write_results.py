"""Put the numbers and the picture of the default study into the README, so that they are copied by no hand.

python docs/write_results.py        after `make run`; replaces what stands between the results markers
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from weightcast.methods import method

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "lambda-omega"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
PICTURE = "rollout_beta_1.00-D_0.20.svg"


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
        known = method(name)
        label = f"**{known.label}**" if known.family == "generator" else known.label
        if known.family == "reference":
            label += " (reference)"
        lines.append(f"| {label} | {cells[0]} | {cells[1]} | {rows.loc[(name, 'interpolation')].train_seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    summary = pd.read_csv(RESULTS / "summary.csv")
    shutil.copy2(RESULTS / "figures" / PICTURE, ROOT / "docs" / "rollout.svg")
    block = f"""{BEGIN}
Error of 30-frame forecasts over the field's standard deviation: median over unseen environments, with its bootstrap
95 % interval; training time on one core, with everything that the method builds on. Made by `make run`.

{table(summary)}

![One forecast in an unseen environment: truth, generated network, expert of the very environment](docs/rollout.svg)
{END}"""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = readme.split(BEGIN)
    (ROOT / "README.md").write_text(before + block + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
