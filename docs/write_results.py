"""Put the numbers and pictures of the default studies into README and docs, so that they are copied by no hand.

python docs/write_results.py [results/lambda-omega results/epidemic]        after `make run`; these are the default

What stands between the markers of a block is replaced: in the README `results` (environments that nobody can name),
`known` and `epidemic`, with the pictures docs/unknown.svg and docs/epidemic.svg; all methods in
docs/across-environments.md (`frames`, `lambda-omega`, docs/rollout.svg) and docs/across-time.md (`epidemic`). Other
systems have docs/write_systems.py.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from draw_unknown import write_picture

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.methods import (
    CONTEXT,
    ENSEMBLE,
    OBSERVED,
    ONE_PER_ENV_PREFIX,
    OWN_PREFIX,
    WEIGHTED_EXPERTS,
    method,
)
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.report.unknown import OF_ENSEMBLES, is_single, words_of
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.report.kept import KeptPaths, kept_in, kept_paths
from weightcast.families.config.study import FamilyStudy
from weightcast.studies import load_any_study

ROOT = Path(__file__).parents[1]
DEFAULT = (ROOT / "results" / "lambda-omega", ROOT / "results" / "epidemic")
PICTURE = "rollout_beta_1.00-D_0.20.svg"
UNKNOWN_SAYS = "Frames seen of an environment outside the range, the forecast with its 90 % band, and the truth"
EPIDEMIC_PICTURE = "error_against_time.svg"
SPLITS = ("interpolation", "extrapolation")

FROM_FRAMES = (
    CONTEXT,
    CONTEXT + ENSEMBLE,
    "generator-conditioned" + OBSERVED,
    "film-matched" + OBSERVED,
    "finetune-film" + OBSERVED,
    WEIGHTED_EXPERTS,
    "one-per-env-conditioned",
)
"""Of the methods that are shown frames, those in the README; and the expert of the very environment."""
TOLD = (
    "film-matched",
    "generator-conditioned",
    "hypernetwork",
    "one-per-env-conditioned",
    "nearest-expert-conditioned",
    "finetune-erm",
    "erm",
)
"""Of the methods that are told the parameters, or need none, those in the README."""
SCORES = {
    "rmse": "RMSE",
    "crps": "CRPS",
    "coverage_50": "in the 50 % interval",
    "coverage_90": "in the 90 % interval",
    "spread_skill": "spread over error",
}
"""Of forecasts from frames, in the long table."""

EPIDEMIC_COLUMNS = {
    ("source", "paper_w"): "paper W",
    ("source", "jsd"): "JSD",
    ("source", "wasserstein"): "W1, all times",
    ("unobserved", "wasserstein"): "W1, unobserved times",
    ("unobserved", "nll"): "NLL, unobserved times",
}
CURVES = ("flow-", "pchip-", "displacement", "sampling-floor")
"""Of the interpolations the table has the strongest; the report has them all."""
EPIDEMIC = ("sampling-floor", "displacement", "flow-cde", "pchip-bridged", "flow-paper")
"""Of these, those in the README."""


def label(name: str) -> str:
    """A method in a table: what is generated is bold, references are marked."""
    known = method(name)
    printed = f"**{known.label}**" if known.family == "generator" else known.label
    return f"{printed} (reference)" if name.startswith((ONE_PER_ENV_PREFIX, OWN_PREFIX)) else printed


def table(summary: pd.DataFrame) -> str:
    """Markdown: median and interval inside and outside the range, training seconds; best inside first."""
    rows = summary[summary.metric == "rmse"].set_index(["method", "split"])
    lines = ["| method | unseen, inside the range | unseen, outside | training, s |", "|---|---|---|---|"]
    for name in _best_first(summary[summary.metric == "rmse"]):
        cells = [_interval(rows.loc[(name, split)]) for split in SPLITS]
        lines.append(f"| {label(name)} | {' | '.join(cells)} | {rows.loc[(name, SPLITS[0])].train_seconds:.0f} |")
    return "\n".join(lines)


def known_table(summary: pd.DataFrame) -> str:
    """Markdown: the methods of ``TOLD``, medians inside / outside the range and training seconds."""
    rows = summary[summary.metric == "rmse"].set_index(["method", "split"])
    lines = ["| method | inside / outside the range | training, s |", "|---|---|---|"]
    for name in _best_first(summary[summary.metric == "rmse"]):
        if name in TOLD:
            seconds = rows.loc[(name, SPLITS[0])].train_seconds
            lines.append(f"| {label(name)} | {_both(rows, name)} | {seconds:.0f} |")
    return "\n".join(lines)


def frames_table(observed: pd.DataFrame, cases: Sequence[ObservedCase], summary: pd.DataFrame) -> str:
    """Markdown: the methods of ``FROM_FRAMES``, median RMSE inside / outside the range case by case; how much of the
    truths the ensemble's intervals hold; and seconds an environment in the first case."""
    rmse = observed[observed.metric == "rmse"]
    first = _best_first(rmse[rmse.case == cases[0].name])
    seconds = summary[summary.metric == "rmse"].drop_duplicates("method").set_index("method")["adapt_seconds"]
    by_case = [rmse[rmse.case == case.name].set_index(["method", "split"]) for case in cases]
    lines = [f"| method | {' | '.join(map(words_of, cases))} | seconds |", "|---" * (len(cases) + 2) + "|"]
    for name in first:
        if name in FROM_FRAMES:
            reference = method(name).family == "reference"
            cells = [_both(rows, name) if not reference or rows is by_case[0] else "" for rows in by_case]
            cost = "" if reference or name not in seconds.index else f"{seconds[name]:.1f}"
            lines.append(f"| {label(name)} | {' | '.join(cells)} | {cost} |")
    covered = observed[(observed.metric == "coverage_90") & (observed.method == CONTEXT + ENSEMBLE)]
    if len(covered):
        rows = covered.set_index(["case", "split"])["median"]
        cells = [" / ".join(f"{100 * rows[case.name, split]:.0f} %" for split in SPLITS) for case in cases]
        lines.append(f"| held by the ensemble's 90 % interval | {' | '.join(cells)} | |")
    return "\n".join(lines)


def cases_tables(observed: pd.DataFrame, cases: Sequence[ObservedCase]) -> str:
    """Markdown: a table a case, all methods, scores inside / outside the range with the intervals of the RMSE."""
    parts = []
    for case in cases:
        here = observed[observed.case == case.name]
        scores = [score for score in SCORES if score in set(here.metric)]
        rows = {score: here[here.metric == score].set_index(["method", "split"]) for score in scores}
        medians = here.set_index(["method", "metric", "split"])
        headings = ["RMSE, inside", "RMSE, outside", *(SCORES[score] for score in scores[1:])]
        lines = [f"| {words_of(case)} | {' | '.join(headings)} |", "|---" * (1 + len(headings)) + "|"]
        for name in _best_first(here[here.metric == "rmse"]):
            cells = [_interval(rows["rmse"].loc[(name, split)]) for split in SPLITS]
            single = is_single(medians, name)
            cells += ["" if single and score in OF_ENSEMBLES else _both(rows[score], name) for score in scores[1:]]
            lines.append(f"| {label(name)} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def costs_table(summary: pd.DataFrame, methods: Sequence[str]) -> str:
    """Markdown: what methods cost, the cheapest training first; a generator's with its zoo, a reference's experts with
    the data of the whole environments that they were trained on."""
    rows = summary[summary.metric == "rmse"].drop_duplicates("method").set_index("method")
    lines = ["| method | numbers learned | training, s | an environment, s |", "|---|---|---|---|"]
    for name in rows.loc[[name for name in methods if name in rows.index]].sort_values("train_seconds").index:
        row = rows.loc[name]
        lines.append(f"| {label(name)} | {row.parameters:,.0f} | {row.train_seconds:.0f} | {row.adapt_seconds:.2g} |")
    return "\n".join(lines)


def epidemic_table(
    summary: pd.DataFrame, kept: KeptPaths, methods: Sequence[str] | None = None, intervals: bool = True
) -> str:
    """Markdown: five errors, with their intervals or without, and training seconds; best first.

    Args:
        summary: of a study across time.
        kept: which of its flows are the splines they began from.
        methods: these alone; default: all of ``CURVES``.
        intervals: whether they are printed.
    """
    rows = summary.set_index(["method", "split", "metric"])
    scored = summary[(summary.split == "unobserved") & (summary.metric == "wasserstein")].sort_values("median")
    lines = [f"| method | {' | '.join(EPIDEMIC_COLUMNS.values())} | training, s |", "|---" * 7 + "|"]
    for name in scored.method:
        if not name.startswith(CURVES) or (methods is not None and name not in methods):
            continue
        cells = []
        for split, metric in EPIDEMIC_COLUMNS:
            if (name, split, metric) not in rows.index:
                cells.append("")
                continue
            row = rows.loc[(name, split, metric)]
            digits = 2 if metric in ("wasserstein", "nll") else 4
            cells.append(_interval(row, digits) if intervals else _fixed(row["median"], digits))
        trained = rows.loc[(name, "unobserved", "wasserstein")].train_seconds
        own = kept_in(kept, name, "unobserved")
        splines = f" (a spline in {own.spline} of {own.flow + own.spline})" if own is not None and own.spline else ""
        lines.append(f"| {label(name)}{splines} | {' | '.join(cells)} | {trained:.0f} |")
    return "\n".join(lines)


def _best_first(rmse: pd.DataFrame) -> list[str]:
    """Methods by their median inside the range; what is scored on visible environments alone is left out."""
    return list(rmse[rmse.split == SPLITS[0]].sort_values("median", kind="stable").method)


def _interval(row: pd.Series, digits: int = 3) -> str:
    return f"{_fixed(row['median'], digits)} [{_fixed(row.ci_low, digits)}, {_fixed(row.ci_high, digits)}]"


def _fixed(value: float, digits: int = 3) -> str:
    """So many decimals; two digits and a power of ten where these would all be 0."""
    return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-digits else f"{value:.{digits}f}"


def _both(rows: pd.DataFrame, name: str) -> str:
    """Medians of a method inside / outside the range; nothing where it was not scored."""
    medians = [_fixed(rows.loc[(name, split)]["median"]) for split in SPLITS if (name, split) in rows.index]
    return " / ".join(medians)


def replaced(text: str, name: str, block: str) -> str:
    """The text with what stands between the markers of this name replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def fill(page: Path, name: str, block: str) -> None:
    """Replace what stands between a page's markers of that name."""
    text = replaced(page.read_text(encoding="utf-8"), name, block)
    with written_whole(page) as partial:
        partial.write_text(text, encoding="utf-8")


def read(path: Path) -> pd.DataFrame:
    """A table of a finished study.

    Raises:
        InputError: there is none.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a finished study, as of `make run`")
    return pd.read_csv(path)


def write_environments(results: Path, cases: Sequence[ObservedCase], horizon: int, root: Path = ROOT) -> None:
    """Fill what stands in README and docs of a study across environments.

    Args:
        results: the study's folder.
        cases: what its evaluation shows of unseen environments.
        horizon: the trained one, in frames.
        root: folder of the README.

    Raises:
        InputError: the study is not finished.
    """
    summary, observed = read(results / "summary.csv"), read(results / "report" / "observed_summary.csv")
    shutil.copy2(results / "figures" / PICTURE, root / "docs" / "rollout.svg")
    write_picture(results, root / "docs" / "unknown.svg")
    fill(
        root / "README.md",
        "results",
        f"""\
Root mean square error of {horizon}-frame forecasts over the field's standard deviation, medians inside / outside the
range; seconds for each environment, on one core. Made by `make run`.

{frames_table(observed, cases, summary)}

![{UNKNOWN_SAYS}](docs/unknown.svg)""",
    )
    fill(root / "README.md", "known", known_table(summary))
    page = root / "docs" / "across-environments.md"
    fill(page, "frames", cases_tables(observed, cases))
    fill(page, "frames-costs", costs_table(summary, list(dict.fromkeys(observed["method"]))))
    shown = {name for name in observed["method"] if method(name).family != "reference"}
    fill(
        page,
        results.name,
        f"""\
{table(summary[~summary["method"].isin(shown)])}

![One forecast in an unseen environment: truth, generated network, expert of the very environment](rollout.svg)""",
    )


def write_time(results: Path, root: Path = ROOT) -> None:
    """Fill what stands in README and docs of a study across time."""
    summary, kept = read(results / "summary.csv"), kept_paths(results)
    shutil.copy2(results / "figures" / EPIDEMIC_PICTURE, root / "docs" / "epidemic.svg")
    fill(
        root / "README.md",
        "epidemic",
        f"""\
Median over three seeds of the mean over times. *Paper W*, JSD and W1 at all times are scored as the source scores,
against the 1000 training trajectories, the others against 1000 held-out ones. Made by `make run`.

{epidemic_table(summary, kept, EPIDEMIC, intervals=False)}

![Errors against time; ticks mark the times that training saw](docs/epidemic.svg)""",
    )
    fill(root / "docs" / "across-time.md", "epidemic", epidemic_table(summary, kept))


@exit_on_input_error()
def main() -> None:
    for results in [Path(folder) for folder in sys.argv[1:]] or DEFAULT:
        study = load_any_study(results / "config.yaml")
        if isinstance(study, TimeStudy):
            write_time(results)
        elif isinstance(study, FamilyStudy):
            raise InputError(f"{results}: a study of environments across time, expected another: see write_families.py")
        else:
            write_environments(results, study.evaluation.observed, study.data.trained_frames - 1)


if __name__ == "__main__":
    main()
