"""Checks of the file that a study across time reads."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.errors import InputError


def refuse_own_file(file: str | Path, snapshots: Path, where: str) -> None:
    """Raise an `InputError` if the user's file lies where the pipeline would write its copy of the samples."""
    if Path(file).resolve() == snapshots.resolve():
        raise InputError(f"{where}: found {file}, expected another file: the pipeline writes its own copy there")
