"""The stage ``write_family_report``: the offline page of a study of environments across time, and its figures."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.families.jobs import WriteFamilyReport
from weightcast.families.report.page import build_family_report


@stage("write_family_report")
def write_family_report(
    run: Run,
    settings: WriteFamilyReport,
    metrics: Path,
    summary: Path,
    costs: Path,
    curves: Path,
    bands: Path,
    choices: list[Path],
    priors: list[Path],
) -> None:
    """Write the page and the folder of figures of the study whose folder the table of metrics lies in."""
    build_family_report(metrics.parent, run.outputs["page"], run.outputs["figures"])
