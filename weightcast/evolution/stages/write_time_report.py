"""The stage ``write_time_report``: a study across time as one offline page, its figures also as files."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.evolution.jobs import WriteTimeReport
from weightcast.evolution.report.page import build_time_report


@stage("write_time_report")
def write_time_report(
    run: Run,
    settings: WriteTimeReport,
    metrics: Path,
    summary: Path,
    costs: Path,
    curves: Path,
    distributions: Path,
    weight_path: Path,
    snapshots: Path,
    couplings: Path | None,
) -> None:
    """Write the page and the folder of figures of the study whose folder the table of metrics lies in."""
    build_time_report(metrics.parent, snapshots, run.outputs["page"], run.outputs["figures"])
