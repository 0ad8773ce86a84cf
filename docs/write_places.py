"""Put the numbers of finished studies of places into docs/real-places.md.

python docs/write_places.py results/influenza ...

What stands between the markers of a study's name is replaced: its verdict, the methods' errors in unseen places case by
case, and the ensemble from frames beside each of the others, paired over places.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from write_results import ROOT, fill, label, read

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.methods import CONTEXT, ENSEMBLE, method
from weightcast.core.report.number_formats import number, p_value
from weightcast.core.significance import environment_errors, paired_ratio
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.study import load_study
from weightcast.environments.report.unknown import words_of

PAGE = ROOT / "docs" / "real-places.md"
OURS = CONTEXT + ENSEMBLE


def places_block(results: Path) -> str:
    """Verdict and table of one study."""
    study = load_study(results / "config.yaml")
    cases, horizon = study.evaluation.observed, study.trained_horizon
    observed = read(results / "observed.csv")
    verdict = "\n".join(f"- {answer}" for answer in read(results / "verdict.csv")["answer"])
    places = observed["environment"].nunique()
    heading = f"{places} places that no network saw, forecasts of {horizon} steps. The verdict of the report:"
    return "\n\n".join([heading, verdict, _table(observed, cases, horizon)])


def _table(observed: pd.DataFrame, cases: list[ObservedCase], horizon: int) -> str:
    """Markdown: median errors case by case; of the first, the ensemble's error over the method's, and its p."""
    by_case = [environment_errors(observed[observed["case"] == case.name], horizon) for case in cases]
    errors = [each.pivot(index="environment", columns="method", values="value") for each in by_case]
    first = errors[0]
    lines = [
        f"| method | {' | '.join(map(words_of, cases))} | ensemble over it, {words_of(cases[0])} | p |",
        "|---" * (len(cases) + 3) + "|",
    ]
    for name in first.median().sort_values(kind="stable").index:
        same = method(name).knows in ("nothing", "record")
        medians = [number(float(each[name].median())) if name in each else "" for each in errors]
        cells = [medians[0], *("" if same else median for median in medians[1:])]
        lines.append(f"| {label(str(name))} | {' | '.join(cells)} | {' | '.join(_beside(first, str(name)))} |")
    lines.append(f"| held by the ensemble's 90 % interval | {' | '.join(_coverage(observed, cases, horizon))} | | |")
    return "\n".join(lines)


def _beside(errors: pd.DataFrame, name: str) -> tuple[str, str]:
    if name == OURS or OURS not in errors:
        return "", ""
    pairs = errors[[OURS, name]].dropna()
    compared = paired_ratio(pairs[OURS].to_numpy(), pairs[name].to_numpy())
    p = "" if math.isnan(compared.p) else p_value(compared.p).removeprefix("= ")
    return f"{number(compared.ratio)} [{number(compared.low)}, {number(compared.high)}]", p


def _coverage(observed: pd.DataFrame, cases: list[ObservedCase], horizon: int) -> list[str]:
    """Mean over places of the share of truths in the interval, at the horizon."""
    rows = observed[(observed["method"] == OURS) & (observed["metric"] == "coverage_90")]
    rows = rows[rows["horizon"] == horizon]
    shares = [float(np.mean(rows.loc[rows["case"] == case.name, "value"])) for case in cases]
    return [f"{100 * share:.0f} %" for share in shares]


@exit_on_input_error()
def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        fill(PAGE, folder.name, places_block(folder))


if __name__ == "__main__":
    main()
