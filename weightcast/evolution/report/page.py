"""The page of a study across time: reads its results, draws, judges, and writes one offline HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.core.methods import method, printing_order
from weightcast.core.report.number_formats import count, number
from weightcast.core.report.parts import ReportFigure, Section, fill_template, stage_rows, write_report
from weightcast.core.report.versions import versions
from weightcast.evolution.report.comparison import METRIC_LABELS, choose_protagonists
from weightcast.evolution.report.figures import (
    draw_costs,
    draw_distributions,
    draw_errors,
    draw_growth_map,
    draw_mass,
    draw_summary,
    draw_trainings,
    draw_weight_path,
)
from weightcast.evolution.report.inputs import TimeResults, read_time_results
from weightcast.evolution.report.published import published_words
from weightcast.evolution.report.tables import moment_rows, moment_table, published_table, summary_tables
from weightcast.evolution.report.verdict import give_time_verdict
from weightcast.samples.point_masses import point_masses
from weightcast.samples.snapshots import Snapshots

TEMPLATE = "evolution/report/page.html.j2"


def build_time_report(
    results_directory: str | Path, snapshots_path: str | Path, output_html: str | Path, figures_directory: str | Path
) -> None:
    """Write a study's report: one self-contained page that asks nothing of the network, and its figures as files.

    All figures are drawn before anything is written; the page comes last.

    Args:
        results_directory: ``results/<study>`` with metrics.csv, summary.csv and config.yaml, and in ``report/``, where
            computed, costs.csv, training_curves.csv, weight_path.csv and distributions.nc. What is missing among the
            latter is named in the page.
        snapshots_path: the study's samples, ``data/<study>/snapshots.nc``.
        output_html: the page.
        figures_directory: folder for the figures, SVG where small and PNG otherwise.

    Raises:
        InputError: a required file is missing, or one that is there cannot be used.
    """
    results = read_time_results(Path(results_directory), Path(snapshots_path))
    page, figures = render_time_page(results)
    write_report(page, figures, Path(output_html), Path(figures_directory))


def render_time_page(results: TimeResults) -> tuple[str, list[ReportFigure]]:
    """The page as text, and the figures in it."""
    _check(results)
    dimensions = len(results.snapshots.dimensions)
    chosen = choose_protagonists(results.summary, results.study, dimensions)
    summary = draw_summary(results, chosen)
    distributions = draw_distributions(results)
    weight_path, costs = draw_weight_path(results), draw_costs(results, chosen)
    trainings = draw_trainings(results)
    masses = [figure for figure in (draw_mass(results), draw_growth_map(results)) if figure is not None]
    moments = moment_rows(results.distributions) if results.distributions is not None else []
    moment_errors = moment_table(results.summary, chosen)
    protocols: Sequence[str] = results.study.evaluation.published or [results.study.data.source]
    tables = [(published_words(one), published_table(results.summary, one, chosen)) for one in protocols]
    published = [(words, rows) for words, rows in tables if rows]
    sections = [
        Section("distributions", "Distributions over time", distributions, _absence(results, "distributions")),
        Section("errors", "Errors against time", [draw_errors(results, chosen)]),
        *([Section("mass", "Mass and growth", masses)] if masses else []),
        Section("path", "The path of weights", [weight_path] if weight_path else [], _absence(results, "weight_path")),
        Section("moments", "Moments", [], "" if moments else _absence(results, "distributions")),
        *([Section("published", "Beside published figures", [])] if published else []),
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
            "" if trainings else _absence(results, "curves") or "Left out: no artifact tells how its training went.",
        ),
    ]
    page = fill_template(
        TEMPLATE,
        study=results.study.study,
        facts=_facts(results),
        verdict=give_time_verdict(
            results.summary,
            results.metrics,
            results.study,
            dimensions,
            results.study.evaluation.bootstrap,
            results.kept,
        ),
        metric_label=METRIC_LABELS[chosen.metric],
        drawn=results.study.evaluation.samples,
        truth=results.truth_words,
        summary=summary,
        tables=summary_tables(
            results.summary, results.metrics, chosen, results.study.evaluation.bootstrap, results.kept
        ),
        methods=[method(name) for name in sorted(results.metrics["method"].unique(), key=printing_order)],
        sections=sections,
        moments=moments,
        moment_errors=moment_errors,
        predicted=_predicted(results),
        published=published,
        stages=stage_rows(results.artifact_costs),
        stages_absence=_absence(results, "artifact_costs"),
        config=results.config,
        versions=versions(),
    )
    return page, [summary, *(figure for section in sections for figure in section.figures)]


def _check(results: TimeResults) -> None:
    """What no single file can know."""
    if not set(METRIC_LABELS) & set(results.summary["metric"]):
        found = sorted(set(results.summary["metric"]))
        raise InputError(f"summary.csv: metric: found {found}, expected one of {', '.join(METRIC_LABELS)} among them")
    if results.distributions is not None:
        names = [str(name) for name in results.distributions["dimension"].values]
        if names != list(results.snapshots.dimensions):
            expected = ", ".join(results.snapshots.dimensions)
            raise InputError(f"report/distributions.nc: dimension: found {', '.join(names)}, expected {expected}")


def _absence(results: TimeResults, name: str) -> str:
    """Why a section has nothing to show; empty where it has."""
    if name not in results.missing:
        return ""
    return f"Left out: {results.missing[name]} was not computed for this study."


def _predicted(results: TimeResults) -> str:
    """Whose distributions are shown."""
    if results.distributions is None:
        return ""
    return method(str(results.distributions["source"].values[1])).label


def _facts(results: TimeResults) -> list[tuple[str, str]]:
    """What kind of study this is, in a line."""
    snapshots, study, metrics = results.snapshots, results.study, results.metrics
    state = f"counts below {snapshots.states}" if snapshots.counts else "real numbers"
    unit = f" {snapshots.time_unit}" if snapshots.time_unit else ""
    dimensions = ", ".join(snapshots.dimensions[:6])
    if len(snapshots.dimensions) > 6:
        dimensions += f" and {len(snapshots.dimensions) - 6} more"
    flows = metrics[[method(name).family == "generator" for name in metrics["method"]]]
    return [
        ("data", study.data.source if not study.data.imported else f"{study.data.file} ({study.data.source})"),
        ("state", f"{state}: {dimensions}"),
        (
            "times",
            f"{len(snapshots.times)}, from {snapshots.times[0]:g} to {snapshots.times[-1]:g}{unit}, "
            f"{int(snapshots.observed.sum())} of them observed",
        ),
        ("training samples", _sizes([len(part) for part in snapshots.observed_train])),
        ("held-out samples", "none" if snapshots.all_train else _sizes([len(part) for part in snapshots.held_out])),
        *_mass(snapshots),
        *_points(snapshots),
        ("methods", str(metrics["method"].nunique())),
        ("flow seeds", str(flows["seed"].nunique())),
    ]


def _points(snapshots: Snapshots) -> list[tuple[str, str]]:
    """Snapshots without a spread; nothing where all have one."""
    found = point_masses(snapshots.observed_times, snapshots.observed_train)
    return [("points", "; ".join(point.describe(snapshots.dimensions) for point in found))] if found else []


def _mass(snapshots: Snapshots) -> list[tuple[str, str]]:
    """Sizes of the population, where they are known."""
    if snapshots.masses is None:
        return []
    relative = snapshots.masses / snapshots.masses[0]
    return [("mass", f"1 at the first time, {number(float(relative[-1]))} at the last")]


def _sizes(sizes: list[int]) -> str:
    """Samples of each time."""
    low, high = min(sizes), max(sizes)
    return f"{count(low)} a time" if low == high else f"{count(low)} to {count(high)} a time"
