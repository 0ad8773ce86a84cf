"""A copy of the repository, to run the real Snakefile in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from warm_python import Client, WarmPython

REPOSITORY = Path(__file__).parents[1]
CODE = (
    "Snakefile", "config.yaml", "config", "envs", "profiles", "rules", "scripts", "snakemake_logger_plugin_weightcast",
    "tests/slurm", "tests/workflow", "weightcast",
)  # fmt: skip


# Jobs by rule of a study with one kind of base, one arm that is not fine-tuned and one seed, whose visible environments
# fit into one shard and whose unseen ones into another; without those that make its trajectories.
JOBS_OF_ONE_ARM = {
    **dict.fromkeys(("train_erm", "train_conditioned", "train_film_matched", "train_hypernetwork"), 1),
    "train_experts": 2,
    **dict.fromkeys(("gather_zoo", "gather_reference", "train_vae", "train_diffusion", "generate_weights"), 1),
    **dict.fromkeys(("fold_bases", "finetune_bases", "regress_weights", "regress_latents"), 1),
    "evaluate_weights": 5,  # bases, fine-tuned, zoo, latents, generator
    **dict.fromkeys(("evaluate_without_network", "collect_costs", "summarise", "map_weights"), 1),
    "compare_with_experts": 1,
    **dict.fromkeys(("resolve_config", "show_environments", "show_rollouts", "write_report", "all"), 1),
}

# Where several studies run side by side, each worker of pytest has one.
CORES = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"


@dataclass(frozen=True)
class Checkout:
    """A working copy to run Snakemake in; its jobs start in a warm Python, which may be one of its own."""

    folder: Path
    warm: Client | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Of commands: the copy's own library."""
        return os.environ | {"PYTHONPATH": str(self.folder)}

    def run(self, *command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, with the copy's own library."""
        warm = self.warm or _warm_python()
        if command[:3] == (sys.executable, "-m", "snakemake"):
            command = (warm.python, *command[1:])
        environment = self.environment | warm.environment
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if ok and done.returncode:
            logs = "\n".join(path.read_text()[-2000:] for path in self.folder.glob("results/*/logs/**/*.log"))
            pytest.fail(
                f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-6000:]}\n{logs[-6000:]}"
            )
        return done

    def snakemake_command(self, *arguments: str, config: str = "tests/workflow/mini.yaml") -> list[str]:
        """The command of :meth:`snakemake`."""
        # Targets first: --configfile and --quiet would take what follows them for more of their own.
        return [sys.executable, "-m", "snakemake", *arguments, "--cores", CORES, "--configfile", config]

    def snakemake(self, *arguments: str, config: str = "tests/workflow/mini.yaml", ok: bool = True):
        """Run Snakemake on a configuration of the copy."""
        return self.run(*self.snakemake_command(*arguments, config=config), ok=ok)

    def planned(self, *arguments: str, config: str = "tests/workflow/mini.yaml") -> dict[str, int]:
        """Jobs by rule that a dry run announces; empty if there is nothing to do."""
        done = self.snakemake(*arguments, "-n", "--quiet", "rules", config=config)
        return _job_stats(done.stdout + done.stderr)

    def announced(self) -> dict[str, int]:
        """Jobs by rule that the last run announced before it began, from what Snakemake itself noted of it."""
        return _job_stats(max((self.folder / ".snakemake/log").glob("*.log")).read_text())

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the copy."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{old!r} not in {file}"
        path.write_text(text.replace(old, new))


@cache
def _warm_python() -> Client:
    folder = Path(tempfile.mkdtemp(prefix="warm-python-"))
    return WarmPython(folder).client(folder)


def _job_stats(said: str) -> dict[str, int]:
    table = said.partition("Job stats:")[2].partition("\ntotal ")[0]
    return {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


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
