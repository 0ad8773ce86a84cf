"""The scripts that fill the documentation, imported as they import each other: from their own folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from tiny_study import ROOT

FOLDER = ROOT / "docs"


@contextmanager
def docs_script(name: str) -> Iterator[ModuleType]:
    """A script of docs/, by its name; afterwards neither it nor what it imported from there is known any more."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield import_module(name)
    finally:
        sys.path.remove(str(FOLDER))
        for script in FOLDER.glob("*.py"):
            sys.modules.pop(script.stem, None)
