"""The mini study, run by the real Snakefile."""

from __future__ import annotations

import shutil

import pytest
from checkout import Checkout, copy_repository


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Checkout:
    """The mini study, complete, and what was seen of its run in console.txt.

    Tests must leave it as they found it; to change it, take ``study``.
    """
    checkout = copy_repository(tmp_path_factory.mktemp("finished"))
    done = checkout.snakemake()
    (checkout.folder / "console.txt").write_text(done.stdout + done.stderr)
    return checkout


@pytest.fixture
def study(finished, tmp_path) -> Checkout:
    """A copy of the finished study, times included, to be changed at will."""
    shutil.copytree(finished.folder, tmp_path / "study", symlinks=True)
    return Checkout(tmp_path / "study")
