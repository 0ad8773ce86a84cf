"""The stage ``cut_records``: trajectories of a few environments, cut from the user's long table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from weightcast.core.stage import stage
from weightcast.environments.jobs import CutRecords
from weightcast.environments.made_trajectories import MadeFiles
from weightcast.environments.table_trajectories import TableTrajectories
from weightcast.environments.trajectory_manifest import Manifest
from weightcast.trajectories import write_trajectories
from weightcast.trajectories.checks import check_not_negative
from weightcast.trajectories.grouped import contents_digest

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("cut_records")
def cut_records(run: Run, settings: CutRecords, source: list[Path]) -> Manifest:
    """Read the table, and cut one environment's windows after the other.

    Environments whose windows are as they were keep their files: an edit of the table is an edit of those places alone
    that it touches.

    Args:
        run: whose output the files lie beside.
        settings: how the table is read and cut.
        source: the files of the table.

    Raises:
        InputError: the table cannot be used, an environment is no place of it, or has too few windows.
    """
    table = TableTrajectories(source, settings.records, settings.channels, "config", settings.calendar, settings.gaps)
    made = {
        row.id: replace(
            table.trajectories(row.id, settings.frames, settings.trajectories, settings.history),
            parameters=dict(row.parameters),
        )
        for row in settings.environments
    }
    for id, one in made.items():
        check_not_negative(source[0], id, one.values, one.channels, settings.transforms)
    files = MadeFiles(run.outputs["output"], {id: contents_digest(one) for id, one in made.items()})
    for id, one in made.items():
        if id not in files:
            write_trajectories(files.path(id), one, gaps=settings.gaps is not None)
            files.note(id)
    return files.manifest(settings.ids)
