"""The files that a study's samples are read from; none where they are simulated.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

from pathlib import Path

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.samples.formats import COMPRESSED, SUFFIXES
from weightcast.samples.settings import SampleFormat, SnapshotSettings

OF_ALL: tuple[SampleFormat, ...] = ("csv", "h5ad")
"""Formats of files that can hold all environments, with a column that says which a row is of."""


def source_files(settings: SnapshotSettings, table: EnvironmentTable) -> list[str]:
    """The one file of all environments, or a file for each of them in the order of the table.

    Raises:
        InputError: a file is missing, or one file is named where a format needs one for each environment.
    """
    if settings.file is None:
        return []
    path = Path(settings.file)
    if not path.is_dir():
        if settings.source not in OF_ALL:
            raise InputError(
                f"{path}: found no folder, expected one with a {settings.source} file for each environment; one file "
                "of all is read as csv or h5ad"
            )
        if not path.is_file():
            raise InputError(f"{path}: found no such file, expected one of all environments or a folder of samples")
        return [str(path)]
    endings = endings_of(settings.source)
    found = []
    for environment in table:
        files = [path / f"{environment.id}{ending}" for ending in endings]
        own = next((file for file in files if file.is_file()), None)
        if own is None:
            raise InputError(f"{files[0]}: found no such file, expected the samples of {environment.id}")
        found.append(str(own))
    return found


def endings_of(format: str) -> list[str]:
    """What names of files of a format end in; tables may be compressed."""
    endings = [ending for ending, named in SUFFIXES.items() if named == format]
    return endings + [f"{ending}{COMPRESSED}" for ending in endings if format == "csv"]
