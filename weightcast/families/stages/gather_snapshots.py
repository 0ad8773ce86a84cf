"""The stage ``gather_snapshots``: samples of all environments, simulated or from the user's own files."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.families.gathering import import_family, simulate_family
from weightcast.families.jobs import GatherSnapshots
from weightcast.families.snapshots import FamilySnapshots


@stage("gather_snapshots")
def gather_snapshots(
    run: Run, settings: GatherSnapshots, table: EnvironmentTable, files: list[Path]
) -> FamilySnapshots:
    """Simulate every environment, or read its samples from the files that the configuration names."""
    if settings.data.imported:
        return import_family(settings.data, table, settings.seed)
    return simulate_family(settings.data, table, settings.seed)
