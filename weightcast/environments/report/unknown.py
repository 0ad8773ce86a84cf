"""The first section of a report: environments that nobody can name, of which a few frames are all that is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from weightcast.core.methods import CONTEXT, ENSEMBLE, method
from weightcast.core.plots.export import render
from weightcast.core.report.number_formats import MISSING, interval, number
from weightcast.core.report.parts import ReportFigure
from weightcast.core.report.summary_tables import Cell, Row
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.open_directions import NARROWEST
from weightcast.environments.plots.cases import plot_cases
from weightcast.environments.plots.codes import explained_parameters, plot_codes, plot_traversal
from weightcast.environments.plots.open_directions import plot_open_directions
from weightcast.environments.plots.unknown import plot_unknown
from weightcast.environments.report.inputs import StudyResults

_METRICS = {
    "rmse": ("RMSE", "root mean square error over the field's standard deviation; of an ensemble, of its mean"),
    "crps": ("CRPS", "mean continuous ranked probability score: of a single forecast its mean absolute error"),
    "coverage_50": ("Coverage of 50 %", "share of the truths within the central 50 % interval: 0.5 is right"),
    "coverage_90": ("Coverage of 90 %", "share of the truths within the central 90 % interval: 0.9 is right"),
    "spread_skill": ("Spread over error", "root mean square spread over the error of the mean: 1 is right"),
}
OF_ENSEMBLES = ("coverage_50", "coverage_90", "spread_skill")
"""What a single forecast, which has no spread, has none of."""
_COSTS = {
    "parameters": ("Numbers", "numbers that were learned for the method, a zoo's experts not counted"),
    "train_seconds": (
        "Training, s",
        "seconds of the processor for all that the method was trained on, its zoo included",
    ),
    "adapt_seconds": ("An environment, s", "seconds for each new environment, or for training its own expert"),
}
_SPLITS = {"interpolation": "inside", "extrapolation": "outside"}


@dataclass(frozen=True)
class CaseTable:
    """The methods in one case; columns are (heading, what it means)."""

    title: str
    columns: list[tuple[str, str]]
    rows: list[Row]


@dataclass(frozen=True)
class OpenTable:
    """Median spreads of what frames leave open: headings, and a row a case."""

    headings: list[str]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Unknown:
    """What the section shows.

    Attributes:
        advice: who should use what, in sentences.
        figures: frames and forecasts; errors by case.
        tables: a case each.
        codes: figures of the codes, behind the tables.
        explained: share of each parameter that codes explain, in print.
        open: what frames leave open, a row a case; None where nobody computed it.
        absence: why there are no forecasts, or nothing.
    """

    advice: list[str]
    figures: list[ReportFigure]
    tables: list[CaseTable]
    codes: list[ReportFigure]
    explained: list[tuple[str, str]]
    open: OpenTable | None = None
    absence: str = ""


def unknown_environments(results: StudyResults) -> Unknown | None:
    """Lay out what was made of a few frames; None of a study that shows none."""
    summary = results.observed_summary
    if summary is None or summary.empty or not results.cases:
        return None
    missing = results.missing.get("observed")
    figures = [*_forecasts(results), *_by_case(results, summary)]
    codes, explained = _codes(results)
    return Unknown(
        advice=_advice(results, summary),
        figures=figures,
        tables=[
            _table(name, case, summary, results.summary)
            for name, case in results.cases.items()
            if name in set(summary["case"])
        ],
        codes=[*codes, *_open_figure(results)],
        explained=explained,
        open=_open_table(results),
        absence=f"No forecasts are drawn: {missing} was not computed for this study." if missing else "",
    )


def words_of(case: ObservedCase) -> str:
    """A case in words."""
    parts = ["1 frame" if case.frames == 1 else f"{case.frames} frames"]
    parts[0] += f" of each of {case.trajectories} trajectories" if case.trajectories > 1 else ""
    parts += [f"{100 * case.noise:g} % noise"] if case.noise else []
    parts += [f"{100 * case.masked:g} % of each masked"] if case.masked else []
    parts += [f"every {_ordinal(case.every)} point along each side"] if case.every > 1 else []
    return ", ".join(parts)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _forecasts(results: StudyResults) -> Iterator[ReportFigure]:
    observed = results.observed
    if observed is None:
        return
    case = words_of(next(iter(results.cases.values())))
    roles = results.environments.set_index("id")["role"]
    for environment in observed["environment"].values:
        figure = plot_unknown(
            observed["shown"].sel(environment=environment), observed["forecast"].sel(environment=environment)
        )
        split = _SPLITS.get(str(roles[environment]), "")
        gridless = observed.sizes["y"] == observed.sizes["x"] == 1
        what = "" if gridless else f" of {observed['channel'].values[0]}"
        yield ReportFigure(
            f"unknown_{environment}",
            f"What was seen of environment {environment}, the forecast made from it with its 90 % band, and the truth.",
            f"Environment {environment}, unseen, {split} the range: all that is known of it is what was seen{what} "
            f"({case}). The forecast is that of another trajectory of it, from that one's first frame on, by the "
            "ensemble of predictors that the frames leave possible. The band holds 90 % of the predictive "
            "distribution, the model's own error, as left-out visible environments showed it, included.",
            render(figure),
        )


def _by_case(results: StudyResults, summary: pd.DataFrame) -> Iterator[ReportFigure]:
    """Error against the number of frames and against noise, where cases differ in one of them alone."""
    rmse = summary[(summary["metric"] == "rmse") & ~summary["method"].map(_is_reference)]
    for field, label, words in (
        ("frames", "frames seen", "the number of frames that are seen"),
        ("noise", "noise on the frames, standard deviations", "the noise on the frames that are seen"),
    ):
        alike: dict[tuple[object, ...], dict[str, float]] = {}
        for name, case in results.cases.items():
            rest = tuple(value for key, value in sorted(case.model_dump().items()) if key != field)
            alike.setdefault(rest, {})[name] = float(getattr(case, field))
        places = max(alike.values(), key=len)
        rows = rmse[rmse["case"].isin(places)]
        if len(places) < 2 or rows.empty:
            continue
        featured = _featured(rows)
        others = _others(results.cases[next(iter(places))], field)
        yield ReportFigure(
            f"error_against_{field}",
            f"Median RMSE against {words}, a panel for each split. In colour: "
            f"{', '.join(method(name).label for name in featured)}.",
            f"Median RMSE over unseen environments at the trained horizon ({results.trained_horizon} frames) against "
            f"{words}{others}; bands are 95 % bootstrap intervals. Faint lines are the other methods of the tables "
            "below.",
            render(plot_cases(rows, places, label, featured)),
        )


def _others(case: ObservedCase, field: str) -> str:
    """What stays the same along an axis, in words."""
    fixed = case.model_copy(update={"frames" if field == "frames" else "noise": 1 if field == "frames" else 0.0})
    words = words_of(fixed)
    words = words.removeprefix("1 frame").removeprefix(", ") if field == "frames" else words
    return f" ({words})" if words else ""


def _featured(rows: pd.DataFrame) -> list[str]:
    """The context's methods, and the best of the others."""
    own = [name for name in (CONTEXT, CONTEXT + ENSEMBLE) if name in set(rows["method"])]
    others = rows[~rows["method"].isin(own)].groupby("method")["median"].mean().sort_values()
    return [*own, *map(str, others.index[:2])]


def _is_reference(name: str) -> bool:
    return method(name).family == "reference"


def _table(name: str, case: ObservedCase, summary: pd.DataFrame, of_study: pd.DataFrame) -> CaseTable:
    here = summary[summary["case"] == name]
    splits = [split for split in _SPLITS if split in set(here["split"])]
    shown = [(metric, split) for metric in _METRICS for split in splits if metric in set(here["metric"])]
    cells = here.set_index(["method", "metric", "split"])
    names = sorted(here["method"].unique(), key=lambda one: _value(cells, one, *shown[0]))
    costs = of_study.drop_duplicates("method").set_index("method")
    rows = [
        Row(method(one), _marks(one), [*(_cell(cells, one, *of) for of in shown), *_cost_cells(costs, one)])
        for one in names
    ]
    columns = [(f"{_METRICS[metric][0]}, {_SPLITS[split]}", _METRICS[metric][1]) for metric, split in shown]
    columns += _COSTS.values()
    return CaseTable(words_of(case), columns, rows)


def _marks(name: str) -> list[str]:
    if _is_reference(name):
        return ["reference"]
    return ["ensemble"] if name.endswith(ENSEMBLE) else []


def _value(cells: pd.DataFrame, name: str, metric: str, split: str) -> float:
    key = (name, metric, split)
    return float(cells.loc[key, "median"]) if key in cells.index else math.inf


def _cost_cells(costs: pd.DataFrame, name: str) -> list[Cell]:
    """What a method costs, where it is known."""
    values = [float(costs.loc[name, column]) if name in costs.index else math.nan for column in _COSTS]
    printed = [f"{values[0]:,.0f}", *map(number, values[1:])]
    return [Cell(MISSING if math.isnan(value) else text, value) for value, text in zip(values, printed, strict=True)]


def is_single(cells: pd.DataFrame, name: str) -> bool:
    """Whether a method's forecasts have no spread, so that intervals hold nothing.

    Args:
        cells: medians of a case, by method, metric and split.
        name: of the method.
    """
    spreads = [float(cells.loc[key, "median"]) for key in cells.index if key[:2] == (name, "spread_skill")]
    return bool(spreads) and not any(spreads)


def _cell(cells: pd.DataFrame, name: str, metric: str, split: str) -> Cell:
    key = (name, metric, split)
    if key not in cells.index or (metric in OF_ENSEMBLES and is_single(cells, name)):
        return Cell(MISSING, math.nan)
    row = cells.loc[key]
    ends = interval(float(row["ci_low"]), float(row["ci_high"])) if metric == "rmse" else ""
    return Cell(number(float(row["median"])), float(row["median"]), ends)


def _advice(results: StudyResults, summary: pd.DataFrame) -> list[str]:
    """Who should use what, computed from the first case."""
    name, case = next(iter(results.cases.items()))
    rmse = summary[(summary["case"] == name) & (summary["metric"] == "rmse")]
    sentences = []
    for split, where in _SPLITS.items():
        here = rmse[(rmse["split"] == split) & ~rmse["method"].map(_is_reference)].sort_values("median", kind="stable")
        if here.empty:
            continue
        best = here.iloc[0]
        sentence = (
            f"{where.capitalize()} the range, from {words_of(case)}, {method(str(best['method'])).label} has the "
            f"lowest median error ({number(float(best['median']))})"
        )
        told = _best_told(results, split)
        if told is not None:
            sentence += (
                f"; the best that is told the parameters, {method(told[0]).label}, is at {number(told[1])}: "
                + ("knowing the parameters would help" if told[1] < best["median"] else "frames serve better")
            )
        sentences.append(f"{sentence}.")
    covered = summary[
        (summary["case"] == name) & (summary["metric"] == "coverage_90") & (summary["method"] == CONTEXT + ENSEMBLE)
    ]
    if not covered.empty:
        held = {str(split): float(share) for split, share in zip(covered["split"], covered["median"], strict=True)}
        shares = ", ".join(f"{100 * held[split]:.0f} % {where}" for split, where in _SPLITS.items() if split in held)
        sentences.append(f"Intervals of the ensemble that should hold 90 % of the truths hold {shares} (medians).")
    found = "" if results.observed is None else str(results.observed.attrs.get("equations", ""))
    if found:
        sentences.append(
            "Predictors are equations here, which forecast left-out visible environments better than networks, with a "
            f"code of coefficients (per time step between frames, over the visible environments): {found}.".replace(
                "\n", "; "
            )
        )
    return [
        *sentences,
        "Whoever cannot name an environment should use a method that is shown frames, and its ensemble where decisions "
        "hang on how sure a forecast is. Whoever knows the parameters has a second way, the section below.",
    ]


def _best_told(results: StudyResults, split: str) -> tuple[str, float] | None:
    """The method of the summary that knows the parameters and has the lowest median error."""
    rows = results.summary[(results.summary["metric"] == "rmse") & (results.summary["split"] == split)]
    told = [method(name).told_parameters and not _is_reference(name) for name in rows["method"]]
    rows = rows[told].sort_values("median", kind="stable")
    return None if rows.empty else (str(rows.iloc[0]["method"]), float(rows.iloc[0]["median"]))


def _codes(results: StudyResults) -> tuple[list[ReportFigure], list[tuple[str, str]]]:
    observed = results.observed
    if observed is None:
        return [], []
    parameters = results.parameters
    coloured = (
        f"coloured by {', '.join(parameters)}, which no training saw"
        if parameters
        else "of which no parameter is known"
    )
    case = words_of(next(iter(results.cases.values())))
    figures = [
        ReportFigure(
            "codes",
            f"Scatter plots of the learned codes of visible environments, {coloured}, and of inferred ones.",
            f"Dots: learned codes of the visible environments, {coloured}. Crosses: codes drawn from what the frames "
            f"({case}) leave open of environments that were not seen, with the ellipse that would hold 90 % of a "
            "normal distribution of their spread.",
            render(plot_codes(observed, results.environments, parameters)),
        ),
        ReportFigure(
            "code_traversal",
            "Forecasts by codes that lie -2 to 2 standard deviations from the mean along each principal direction.",
            f"What a code does: {'the forecast' if observed.sizes['x'] == 1 else 'the last frame of the forecast'} of "
            f"{observed['channel'].values[0]} from one and the same first frame, by codes that lie so many standard "
            "deviations of the visible codes from their mean along each of their principal directions.",
            render(plot_traversal(observed)),
        ),
    ]
    explained = explained_parameters(observed, results.environments, parameters)
    return figures, [(name, number(share)) for name, share in explained.items()]


def _opened(results: StudyResults) -> pd.DataFrame:
    """What frames leave open in the cases of the study, by quantity; nothing where nobody computed it."""
    openness = results.open_directions
    return pd.DataFrame() if openness is None else openness[openness["case"].isin(results.cases)]


def _open_figure(results: StudyResults) -> list[ReportFigure]:
    openness = _opened(results)
    if openness.empty:
        return []
    drawn = openness[~openness["quantity"].str.startswith("direction") | (openness["explained"] > 0.02)]
    cases = {name: words_of(case) for name, case in results.cases.items() if name in set(drawn["case"])}
    read = (
        f"; {', '.join(results.parameters)}, which no training saw, are read off the codes"
        if results.parameters
        else ""
    )
    return [
        ReportFigure(
            "open_directions",
            "Spread of what frames leave open, by principal direction of the codes and by parameter, case by case.",
            "What frames leave open: standard deviation of the codes that they leave possible, along the principal "
            "directions of the visible environments' codes and in the combination of these that is left most and least "
            "open, over that of the visible environments (dotted: as much as these differ, so that nothing of it is "
            f"known){read}. A dot is an unseen environment, lines join medians.",
            render(plot_open_directions(drawn, cases)),
        )
    ]


def _open_table(results: StudyResults) -> OpenTable | None:
    openness = _opened(results)
    if openness.empty:
        return None
    shown = [name for name in openness["quantity"].unique() if name != NARROWEST]
    medians = openness.groupby(["case", "quantity", "split"])[["spread", "error"]].median()
    rows = []
    for name, case in results.cases.items():
        cells = []
        for quantity in shown:
            found = [medians.loc[key] for split in _SPLITS if (key := (name, quantity, split)) in medians.index]
            spread = " / ".join(number(float(one["spread"])) for one in found)
            errors = [float(one["error"]) for one in found]
            off = " / ".join(map(number, errors)) if errors and not any(map(math.isnan, errors)) else ""
            cells.append(f"{spread} (off by {off})" if off else spread)
        rows.append((words_of(case), cells))
    explained = openness.drop_duplicates("quantity").set_index("quantity")["explained"]
    headings = [
        quantity if math.isnan(share := float(explained[quantity])) else f"{quantity} ({100 * share:.0f} %)"
        for quantity in shown
    ]
    return OpenTable(headings, rows)
