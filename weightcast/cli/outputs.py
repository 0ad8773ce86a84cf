"""Checks of a place to write to, before anything is computed for it."""

from __future__ import annotations

from pathlib import Path

from weightcast.errors import InputError


def check_output(path: Path) -> None:
    """Raise an `InputError` if no file can be written under this name."""
    if path.is_dir():
        raise InputError(f"{path}: found a folder, expected the name of a file to write")
    if any(parent.exists() and not parent.is_dir() for parent in path.parents):
        raise InputError(f"{path}: found a file where the folder {path.parent} should be, expected a folder")
