"""The stage ``write_report``: a study's results as one offline page, its figures also as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from weightcast.core.outputs import Content
from weightcast.core.report.parts import FigureFolder
from weightcast.core.stage import Saved, stage
from weightcast.environments.jobs import WriteReport
from weightcast.environments.report.inputs import ResultFiles, read_results
from weightcast.environments.report.page import render_page

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("write_report")
def write_report(
    run: Run,
    settings: WriteReport,
    study: Path,
    environments: Path,
    metrics: Path,
    summary: Path,
    costs: Path | None,
    curves: Path | None,
    weight_map: Path | None,
    rollouts: Path | None,
    explanation: Path | None,
    novelty: Path | None,
    labels: Path | None = None,
    observed_summary: Path | None = None,
    observed_forecasts: Path | None = None,
    open_directions: Path | None = None,
    attention: Path | None = None,
    verdict: Path | None = None,
) -> dict[str, Saved]:
    """Draw, judge and lay out; nothing is written before all of that is done, and the page comes last.

    Args:
        run: not used; reports are made on the CPU.
        settings: none.
        study: the resolved configuration.
        environments: the table of environments.
        metrics: all errors.
        summary: what they say.
        costs: what each artifact cost; this and what follows is named in the page where it is missing.
        curves: how the trainings went.
        weight_map: principal components of the zoo's weights.
        rollouts: forecasts to be shown.
        explanation: distilled equations, if the configuration asks for them.
        novelty: generated weights beside the experts, if there is a generator.
        labels: surrogate labels and parameters, if an arm is told labels.
        observed_summary: what methods make of a few frames, if the configuration has cases of them.
        observed_forecasts: frames, forecasts and codes of unknown environments, if the study has a context base.
        open_directions: what frames leave open of these, likewise.
        attention: what encoders look at, if the configuration asks for it.
        verdict: what to use, if the configuration has cases of observed frames.

    Raises:
        InputError: a required file is missing, or one that is there cannot be used.
    """
    files = ResultFiles(
        study, environments, metrics, summary, costs, curves, weight_map, rollouts, explanation, labels, novelty
    )
    files = replace(files, observed_summary=observed_summary, observed=observed_forecasts)
    files = replace(files, open_directions=open_directions, attention=attention, verdict=verdict)
    page, figures = render_page(read_results(files))
    return {"figures": FigureFolder(figures), "page": Content(page.encode())}
