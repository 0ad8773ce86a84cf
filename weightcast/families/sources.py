"""The files that a study's samples are read from; none where they are simulated.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

from pathlib import Path

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.samples.formats import SUFFIXES
from weightcast.samples.settings import SnapshotSettings


def source_files(settings: SnapshotSettings, table: EnvironmentTable) -> list[str]:
    """The one long table, or a file for each environment in the order of the table.

    Raises:
        InputError: a file is missing, or one file is named where a format needs one for each environment.
    """
    if settings.file is None:
        return []
    path = Path(settings.file)
    if not path.is_dir():
        if settings.source != "csv":
            raise InputError(
                f"{path}: found no folder, expected one with a {settings.source} file for each environment; one long "
                "table of all is read as csv"
            )
        if not path.is_file():
            raise InputError(f"{path}: found no such file, expected a long table or a folder of samples")
        return [str(path)]
    endings = [ending for ending, named in SUFFIXES.items() if named == settings.source]
    found = []
    for environment in table:
        files = [path / f"{environment.id}{ending}" for ending in endings]
        own = next((file for file in files if file.is_file()), None)
        if own is None:
            raise InputError(f"{files[0]}: found no such file, expected the samples of {environment.id}")
        found.append(str(own))
    return found
