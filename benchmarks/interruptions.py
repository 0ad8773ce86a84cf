"""Kills a study again and again, and compares what comes of it with what an undisturbed run makes.

    python benchmarks/interruptions.py [--config tests/workflow/mini.yaml] [--kill 20] [--terminate 10] [--folder DIR]

Moments are drawn anew, from a seed, between the start of the command and when an undisturbed run would be done. Of
kills (SIGKILL), every other one reaches Snakemake alone, so that its jobs are left without it. A request to end
(SIGTERM) reaches Snakemake, or Snakemake and its jobs, and is given time to be heard. After each the same command is
started again, with nothing done in between. At the end every artifact and table is compared, and no half-written file
may be left.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from weightcast.core.artifact_header import read_metadata

REPOSITORY = Path(__file__).parents[1]
CODE = ("Snakefile", "config", "envs", "profiles", "rules", "scripts", "snakemake_logger_plugin_weightcast", "tests")
GRACE_SECONDS = 60.0
TIMES = ("costs.csv", "method_costs.csv", "summary.csv", "training_curves.csv")
"""Tables that tell how long something took."""


class Study:
    """A study in a folder of its own."""

    def __init__(self, folder: Path, config: str, cores: int) -> None:
        self.folder, self.config, self.cores = folder, config, cores
        for name in (*CODE, "weightcast", "config.yaml"):
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / name)

    def start(self) -> subprocess.Popen[bytes]:
        """Begin, or go on."""
        environment = os.environ | {
            "PYTHONPATH": str(self.folder), "WEIGHTCAST_SAVE_SECONDS": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "snakemake", "--cores", str(self.cores), "--configfile", self.config]
        with (self.folder / "console.txt").open("ab") as console:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=console, stderr=console, start_new_session=True
            )

    @property
    def made(self) -> dict[str, str]:
        """What identifies every result: digests of weights, contents of tables."""
        found = {}
        for path in sorted((self.folder / "results").rglob("*")):
            name = str(path.relative_to(self.folder))
            if "/.state/" in name or not path.is_file() or path.name in TIMES:
                continue
            if path.suffix == ".safetensors":
                found[name] = str(read_metadata(path)["tensors_digest"])
            elif path.name == "metrics.csv":
                found[name] = path.read_text(encoding="utf-8")
        return found

    @property
    def half_written(self) -> list[Path]:
        """What should not be left."""
        return [path for top in ("results", "data") for path in (self.folder / top).rglob(".*.partial")]


def main() -> None:
    """Run the campaign, and exit with status 1 if anything differs or is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="tests/workflow/mini.yaml")
    parser.add_argument("--kill", type=int, default=20)
    parser.add_argument("--terminate", type=int, default=10)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="default: a temporary one")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="weightcast-interruptions-"))

    undisturbed = Study(folder / "undisturbed", arguments.config, arguments.cores)
    started = time.monotonic()
    if undisturbed.start().wait() != 0:
        raise SystemExit(f"the undisturbed run failed: {undisturbed.folder / 'console.txt'}")
    whole = time.monotonic() - started
    print(f"undisturbed: {whole:.0f} s, {len(undisturbed.made)} artifacts and tables", flush=True)

    disturbed = Study(folder / "disturbed", arguments.config, arguments.cores)
    failures = interrupt(disturbed, arguments.kill, arguments.terminate, whole, random.Random(arguments.seed))
    process = disturbed.start()
    if process.wait() != 0:
        failures.append(f"the last run failed: {disturbed.folder / 'console.txt'}")
    expected, found = undisturbed.made, disturbed.made
    failures += [f"{name}: differs" for name in expected if name in found and found[name] != expected[name]]
    failures += [f"{name}: lost" for name in expected if name not in found]
    failures += [f"{path}: left half-written" for path in disturbed.half_written]
    same = sum(found.get(name) == value for name, value in expected.items())
    print(f"{same} of {len(expected)} artifacts and tables identical, {len(disturbed.half_written)} half-written files")
    print("\n".join(failures) if failures else "nothing lost")
    if not failures and arguments.folder is None:
        shutil.rmtree(folder)
    raise SystemExit(1 if failures else 0)


def interrupt(study: Study, kills: int, terminations: int, whole: float, draws: random.Random) -> list[str]:
    """Interrupt a study so often, at moments that advance through it; what went wrong."""
    manner = ["kill"] * kills + ["terminate"] * terminations
    draws.shuffle(manner)
    failures = []
    for number, how in enumerate(manner):
        process = study.start()
        wait = draws.uniform(1.0, 2.0 * whole / len(manner) + 6.0)
        try:
            ended = process.wait(wait)
        except subprocess.TimeoutExpired:
            ended = None
        alone = draws.random() < 0.5
        if ended is None:
            _signal(process, signal.SIGKILL if how == "kill" else signal.SIGTERM, alone)
            asked = time.monotonic()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                failures.append(f"interruption {number}: not ended {GRACE_SECONDS:.0f} s after SIGTERM")
                _signal(process, signal.SIGKILL, alone=False)
                process.wait()
            took = time.monotonic() - asked
            to = "Snakemake alone" if alone else "all"
            print(f"{number + 1}: {how} of {to} after {wait:.1f} s, ended in {took:.1f} s", flush=True)
        else:
            print(f"{number + 1}: done before the interruption (status {ended})", flush=True)
            if ended != 0:
                failures.append(f"interruption {number}: a run ended by itself with status {ended}")
            shutil.rmtree(study.folder / "results")  # there must be something to interrupt
    return failures


def _signal(process: subprocess.Popen[bytes], number: int, alone: bool) -> None:
    if alone:
        process.send_signal(number)
    else:
        os.killpg(process.pid, number)


if __name__ == "__main__":
    main()
