"""Where Snakemake keeps copies of source files: beside the run, where the home folder cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "XDG_CACHE_HOME"
INSTEAD = Path(".snakemake", "cache")


def keep_beside_run() -> str | None:
    """Let Snakemake keep its copies in the folder where it runs, if it could not where it usually does.

    A logger is the first of a workflow's own code that Snakemake starts, before it opens its cache and ends in a
    traceback on clusters and in containers whose home folders are read-only.

    Returns:
        A line that says so; None where all is as usual.
    """
    usual = Path(os.environ.get(VARIABLE) or Path("~", ".cache").expanduser(), "snakemake")
    try:
        usual.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        pass
    else:
        if os.access(usual, os.W_OK | os.X_OK):
            return None
    os.environ[VARIABLE] = str(INSTEAD.absolute())
    return f"weightcast: {usual} cannot be written: Snakemake keeps its copies of sources in {INSTEAD}"
