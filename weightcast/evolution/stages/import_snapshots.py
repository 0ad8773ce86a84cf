"""The stage ``import_snapshots``: samples from the user's own file, part of them held out."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.evolution.jobs import ImportSnapshots
from weightcast.samples import read
from weightcast.samples.snapshots import Snapshots


@stage("import_snapshots")
def import_snapshots(run: Run, settings: ImportSnapshots, file: Path) -> Snapshots:
    """Read a file of samples, in any of the formats, and hold part of them out."""
    return read.import_snapshots(settings.data, settings.seed)
