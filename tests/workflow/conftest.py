"""A copy of the repository in which the mini study has been run by the real Snakefile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from weightcast.cost.jobs import parse_dry_run

REPOSITORY = Path(__file__).parents[2]
CODE = (
    "Snakefile", "config.yaml", "config", "envs", "profiles", "rules", "scripts", "snakemake_logger_plugin_weightcast",
    "tests/workflow", "weightcast",
)  # fmt: skip


@dataclass(frozen=True)
class Checkout:
    """A working copy to run Snakemake in."""

    folder: Path

    def run(self, *command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, with the copy's own library."""
        environment = os.environ | {"PYTHONPATH": str(self.folder), "WEIGHTCAST_SAVE_SECONDS": "0"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if ok and done.returncode:
            logs = "\n".join(path.read_text()[-2000:] for path in self.folder.glob("results/*/logs/**/*.log"))
            pytest.fail(
                f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-6000:]}\n{logs[-6000:]}"
            )
        return done

    def snakemake(self, *arguments: str, config: str = "tests/workflow/mini.yaml", ok: bool = True):
        """Run Snakemake on a configuration of the copy."""
        # Targets first: --configfile and --quiet would take what follows them for more of their own.
        return self.run(sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", config, ok=ok)

    def planned(self, *arguments: str, config: str = "tests/workflow/mini.yaml") -> dict[str, int]:
        """Jobs by rule that a dry run announces; empty if there is nothing to do."""
        done = self.snakemake(*arguments, "-n", "--quiet", "rules", config=config)
        table = (done.stdout + done.stderr).partition("Job stats:")[2]
        return {rule: int(number) for rule, number in re.findall(r"^(\w+)\s+(\d+)$", table, re.M) if rule != "total"}

    def run_as_planned(self, config: str) -> None:
        """Run a whole study, after seeing that the forecast counts the very jobs that the dry run announces, and check
        that the forecast's jobs are those that ran: each wrote its outputs, and its benchmark where it says so."""
        planned = self.planned(config=config)
        assert planned.pop("all") == 1
        done = self.snakemake("-n", "--printshellcmds", config=config)
        jobs = parse_dry_run(done.stdout + done.stderr)
        assert Counter(job.rule for job in jobs) == planned
        self.snakemake(config=config)
        for job in jobs:
            noted = [] if job.benchmark is None else [job.benchmark]
            for path in [*job.job.outputs.values(), *noted]:
                assert (self.folder / path).exists(), path

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the copy."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{old!r} not in {file}"
        path.write_text(text.replace(old, new))


def copy_repository(folder: Path) -> Checkout:
    """The code alone: no results, no data."""
    for name in CODE:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return Checkout(folder)


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
