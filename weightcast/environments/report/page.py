"""The page itself: draws a study's results, judges, and lays out one offline HTML file."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from weightcast.core.errors import InputError
from weightcast.core.methods import method, printing_order
from weightcast.core.report.number_formats import count, seconds
from weightcast.core.report.parts import ReportFigure, Section, fill_template, stage_rows
from weightcast.core.report.summary_tables import summary_tables
from weightcast.core.report.versions import versions
from weightcast.core.significance import environment_errors, split_order
from weightcast.environments.report.adaptation import adaptation_tables
from weightcast.environments.report.explanation import explain
from weightcast.environments.report.figures import (
    choose_protagonists,
    draw_attention,
    draw_costs,
    draw_horizon,
    draw_plane,
    draw_rollouts,
    draw_summary,
    draw_trainings,
    draw_weight_map,
)
from weightcast.environments.report.inputs import StudyResults
from weightcast.environments.report.labels import label_rows
from weightcast.environments.report.novelty import novelty_section
from weightcast.environments.report.unknown import unknown_environments
from weightcast.environments.report.verdict import give_verdict

_EMPTY = {"rollouts": "it holds no forecasts to show", "curves": "no artifact tells how its training went"}
TEMPLATE = "environments/report/page.html.j2"


def render_page(results: StudyResults) -> tuple[str, list[ReportFigure]]:
    """The page as text, and the figures in it."""
    _check(results)
    errors = environment_errors(results.metrics, results.trained_horizon)
    protagonists = choose_protagonists(results.summary)
    summary = draw_summary(results)
    weight_map, costs, trainings = draw_weight_map(results), draw_costs(results), draw_trainings(results)
    rollouts = list(draw_rollouts(results, protagonists))
    explanation = explain(results, protagonists.arm)
    sections = [
        Section("horizon", "Error against horizon", [draw_horizon(results, protagonists)]),
        Section("plane", "Error over the environments", [draw_plane(results, errors, protagonists)]),
        Section("rollouts", "Side by side", rollouts, "" if rollouts else _absence(results, "rollouts")),
        Section(
            "weights",
            "Weights and environments",
            [weight_map] if weight_map else [],
            "" if weight_map else _absence(results, "weight_map"),
        ),
        Section(
            "costs",
            "Costs",
            [costs] if costs else [],
            "" if costs else "No training costs are known: summary.csv has none.",
        ),
        Section(
            "trainings",
            "Trainings",
            [trainings] if trainings else [],
            "" if trainings else _absence(results, "curves"),
        ),
    ]
    adaptation = adaptation_tables(results)
    if adaptation:
        sections.insert(-2, Section("adaptation", "Adaptation scores", []))
    labels = label_rows(results)
    if labels:
        sections.insert(-2, Section("labels", "Surrogate labels", []))
    if explanation is not None or "explanation" in results.missing:
        figures = [explanation.figure] if explanation else []
        absence = "" if explanation else _absence(results, "explanation")
        sections.insert(-2, Section("explanation", "Symbolic explanation", figures, absence))
    if results.attention is not None:
        sections.insert(-2, Section("attention", "What the encoder looks at", [draw_attention(results.attention)]))
    novelty = novelty_section(results)
    if novelty is not None or "novelty" in results.missing:
        sections.insert(
            -2, Section("novelty", "New, or memorised?", [], "" if novelty else _absence(results, "novelty"))
        )
    unknown = unknown_environments(results)
    page = fill_template(
        TEMPLATE,
        study=results.study,
        facts=_facts(results),
        verdict=give_verdict(results.summary, errors, results.trained_horizon),
        advice=[] if results.verdict is None else list(results.verdict["answer"]),
        trained_horizon=results.trained_horizon,
        parameters=results.parameters,
        summary=summary,
        tables=summary_tables(results.summary),
        methods=[method(name) for name in sorted(results.metrics["method"].unique(), key=printing_order)],
        sections=sections,
        explanation=explanation,
        unknown=unknown,
        adaptation=adaptation,
        labels=labels,
        novelty=novelty,
        stages=stage_rows(results.costs),
        stages_absence=_absence(results, "costs") if results.costs is None else "",
        zoo=_zoo(results.costs),
        config=results.config,
        judged_by=results.judged_by,
        versions=versions(),
    )
    leading = [*unknown.figures, *unknown.codes] if unknown else []
    return page, [*leading, summary, *(figure for section in sections for figure in section.figures)]


def _check(results: StudyResults) -> None:
    """What no single file can know."""
    if not {"rmse"} <= set(results.summary["metric"]):
        raise InputError(
            f"summary.csv: metric: found {sorted(set(results.summary['metric']))}, expected rmse among them"
        )
    for name, found in (
        ("report/weight_map.csv", results.weight_map["environment"] if results.weight_map is not None else []),
        ("report/rollouts.nc", results.rollouts["environment"].values if results.rollouts is not None else []),
        ("report/observed.nc", _environments_of(results.observed)),
        (
            "report/open_directions.csv",
            results.open_directions["environment"] if results.open_directions is not None else [],
        ),
        ("report/explanation.csv", results.explanation["environment"] if results.explanation is not None else []),
        ("report/novelty.csv", results.novelty["environment"] if results.novelty is not None else []),
    ):
        unknown = sorted({str(value) for value in found} - set(results.environments["id"]))
        if unknown:
            raise InputError(f"{name}: environment: found {unknown[0]!r}, expected one of the table of environments")


def _environments_of(observed: xr.Dataset | None) -> list[str]:
    """Shown environments and visible ones with a code."""
    return [] if observed is None else [*observed["environment"].values, *observed["visible"].values]


def _absence(results: StudyResults, name: str) -> str:
    """Why a section has no figures."""
    if name in results.missing:
        return f"Left out: {results.missing[name]} was not computed for this study."
    return f"Left out: {_EMPTY[name]}."


def _facts(results: StudyResults) -> list[tuple[str, str]]:
    """What kind of study this is, in a line."""
    roles = results.environments["role"].value_counts()
    environments = ", ".join(f"{roles[role]} {role}" for role in sorted(roles.index, key=split_order))
    metrics = results.metrics
    generated = metrics[[method(name).family == "generator" for name in metrics["method"]]]
    return [
        ("environments", environments),
        ("parameters", ", ".join(results.parameters) or "none known"),
        ("trained horizon", f"{results.trained_horizon} frames"),
        ("evaluated up to", f"{metrics['horizon'].max()} frames"),
        ("methods", str(metrics["method"].nunique())),
        ("generator seeds", str(generated["seed"].nunique())),
    ]


def _zoo(costs: pd.DataFrame | None) -> str:
    """What the zoos of experts took, as a sentence, or nothing."""
    zoos = costs[costs["stage"] == "zoo"] if costs is not None else pd.DataFrame()
    if zoos.empty:
        return ""
    parts = [
        f"{count(row.members)} experts from the {row.artifact} base in {seconds(row.train_seconds)} s"
        for row in zoos.itertuples()
    ]
    return f"The zoo that generators and weight regressions learn from took its own training: {', '.join(parts)}."
