"""Checks of a place to write to, before anything is computed for it."""

from __future__ import annotations

import os
from pathlib import Path

from weightcast.core.errors import InputError


def check_output(path: Path) -> None:
    """Raise an `InputError` if no file can be written under this name. Missing folders would be made."""
    if path.is_dir():
        raise InputError(f"{path}: found a folder, expected the name of a file to write")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"{path}: found a file {folder}, expected a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: found a folder {folder} that cannot be written to, expected one that can")
