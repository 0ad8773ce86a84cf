"""Where the workflow lies: the Snakefile with rules, scripts and profiles beside it.

In a clone, installed or not, it is the repository itself. A wheel carries the same files as data, below
share/weightcast of the environment (see ``data-files`` in pyproject.toml): they are no package, since Snakemake and a
person in a clone want them at the repository's top, and data keeps that layout in wheel and sdist alike.
"""

from __future__ import annotations

import importlib.metadata
import sysconfig
from pathlib import Path

from weightcast.core.errors import InputError

INSTALLED = Path("share/weightcast/Snakefile")


def snakefile() -> Path:
    """The Snakefile of this installation, for ``snakemake --snakefile`` or as a ``module`` of another workflow.

    Raises:
        InputError: there is none, as in a copy of the library alone.
    """
    places = [Path(__file__).resolve().parents[1] / "Snakefile", *_recorded(), sysconfig.get_path("data") / INSTALLED]
    for place in places:
        if (place.parent / "rules" / "common.smk").is_file() and place.is_file():
            return place
    raise InputError(f"Snakefile: not found in {places[0].parent}, nor in {places[-1].parent}; install weightcast anew")


def _recorded() -> list[Path]:
    """What the installer noted, wherever it has put data files."""
    try:
        files = importlib.metadata.files("weightcast") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [
        Path(str(file.locate())).resolve() for file in files if file.parts[-len(INSTALLED.parts) :] == INSTALLED.parts
    ]
