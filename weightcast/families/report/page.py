"""The page of a study of environments across time: reads its results, draws, judges, writes one offline HTML file."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from weightcast.core.methods import PATH_ENSEMBLE, method, printing_order
from weightcast.core.plots.export import render
from weightcast.core.plots.style import split_label
from weightcast.core.plots.training_curves import plot_training_curves
from weightcast.core.report.parts import ReportFigure, Section, fill_template, stage_rows, write_report
from weightcast.core.report.versions import versions
from weightcast.core.significance import split_order
from weightcast.evolution.plots.summary import plot_time_summary
from weightcast.families.plots.bands import MOST_DIMENSIONS, plot_bands
from weightcast.families.report.inputs import FamilyResults, read_family_results
from weightcast.families.report.tables import family_tables
from weightcast.families.report.verdict import give_family_verdict

TEMPLATE = "families/report/page.html.j2"


def build_family_report(results_directory: str | Path, output_html: str | Path, figures_directory: str | Path) -> None:
    """Write a study's report: one self-contained page that asks nothing of the network, and its figures as files.

    Args:
        results_directory: ``results/<study>``, complete.
        output_html: the page.
        figures_directory: folder for the figures.

    Raises:
        InputError: a file is missing or cannot be used.
    """
    results = read_family_results(Path(results_directory))
    page, figures = render_family_page(results)
    write_report(page, figures, Path(output_html), Path(figures_directory))


def render_family_page(results: FamilyResults) -> tuple[str, list[ReportFigure]]:
    """The page as text, and the figures in it."""
    summary = _drawn(
        "summary",
        plot_time_summary(results.summary, "wasserstein", "W, state's units"),
        "Dot plot of every method's W1 with its interval, a panel for each split. The tables below hold the same "
        "numbers.",
        "Median over environments of the mean W1 at the times after all that is shown, with 95 % intervals over "
        "environments and seeds.",
    )
    trainings = _drawn(
        "trainings",
        plot_training_curves(results.curves),
        "Training losses against the step.",
        "Negative log-likelihood of training samples, with the codes' prior.",
    )
    sections = [
        Section("bands", "Environments that nobody knew", _band_figures(results)),
        Section("choices", "What left-out environments chose", []),
        Section("costs", "Costs", []),
        Section("trainings", "Trainings", [trainings]),
    ]
    page = fill_template(
        TEMPLATE,
        study=results.study.study,
        facts=_facts(results),
        verdict=give_family_verdict(results.summary, results.metrics, results.study.evaluation.bootstrap),
        drawn=results.study.evaluation.samples,
        summary=summary,
        tables=family_tables(results.summary),
        methods=[method(name) for name in sorted(results.metrics["method"].unique(), key=printing_order)],
        sections=sections,
        choices=results.choices,
        zoo_priors=results.zoo_priors,
        zoo_vaes=results.zoo_vaes,
        stages=stage_rows(results.costs),
        stages_absence="",
        config=results.config,
        versions=versions(),
    )
    return page, [summary, *(figure for section in sections for figure in section.figures)]


def _band_figures(results: FamilyResults) -> list[ReportFigure]:
    """One environment of each split: the first whose bands are known at all times."""
    bands = results.bands
    means = bands[(bands["quantity"] == "mean") & bands["method"].str.startswith(PATH_ENSEMBLE)]
    dimensions = results.study.data.dimensions
    shown = {name: case.times or [] for name, case in results.study.evaluation.shown.items()}
    figures = []
    for split in sorted(means["split"].unique(), key=split_order):
        of_split = means[means["split"] == split]
        times = of_split.groupby("environment", sort=False)["time"].nunique()
        environment = str(times.idxmax())
        known = ", ".join(f"{name} {value:g}" for name, value in results.table[environment].parameters.items())
        hidden = f" Not shown: {', '.join(dimensions[MOST_DIMENSIONS:])}." if len(dimensions) > MOST_DIMENSIONS else ""
        figures.append(
            _drawn(
                f"bands-{split}",
                plot_bands(of_split[of_split["environment"] == environment], dimensions, shown),
                f"Means over time of the environment {environment}: bands of the ensemble and the truth.",
                f"{split_label(split)}: {environment}{f' ({known}, which no method here was told)' if known else ''}. "
                f"Bands of the first seed's ensemble on the mean of each dimension.{hidden}",
            )
        )
        sizes = bands[(bands["quantity"] == "mass") & (bands["environment"] == environment)]
        if len(sizes):
            figures.append(
                _drawn(
                    f"mass-{split}",
                    plot_bands(sizes, ["size of the population"], shown, "over that at the first time shown"),
                    f"Size of the population of {environment} over time: bands of the ensemble and the truth.",
                    f"{split_label(split)}: {environment}. Bands of the first seed's ensemble on the size of the "
                    "population, in that at the first time shown.",
                )
            )
    return figures


def _facts(results: FamilyResults) -> list[tuple[str, str]]:
    """What kind of study this is, in a line."""
    study, table = results.study, results.table
    state = f"counts below {study.data.states}" if study.data.states else "real numbers"
    return [
        ("data", study.data.file or study.data.source),
        ("state", f"{state}: {', '.join(study.data.dimensions[:6])}"),
        (
            "environments",
            f"{len(table.visible)} visible, {len(table.interpolation)} inside, {len(table.extrapolation)} outside",
        ),
        ("cases", ", ".join(study.evaluation.shown)),
        ("seeds", str(len(study.paths.seeds))),
    ]


def _drawn(name: str, figure: Figure, alt: str, caption: str) -> ReportFigure:
    return ReportFigure(name, alt, caption, render(figure))
