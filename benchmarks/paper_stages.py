"""Every stage at the published sizes of networks, a few steps of each: memory beside what is foretold, and time.

    python benchmarks/paper_stages.py [--folder FOLDER] [--options ...]

The study is config/paper/lambda-omega.yaml with its predictor, VAE and diffusion as they are, 4.7 and 387 million
numbers. Cut are environments (12), members (4), steps (2 of each training), batches of VAE and diffusion (4, so that a
machine with 24 GB holds them), steps of the sampler (10), frames of the end-to-end training, and what is evaluated. It
goes through the real Snakefile, one job at a time on one core, in a temporary folder or the one that is named.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from side_by_side import ROOT
from watched_run import watch

from weightcast.core.environment_table import read_environments
from weightcast.environments.config.load import load_study
from weightcast.environments.jobs import Plan
from weightcast.environments.memory import MARGIN, memory_mb

STUDY = ROOT / "config/paper/lambda-omega.yaml"
VISIBLE, UNSEEN = 9, 3
STEPS = 2


def write_study(folder: Path) -> Path:
    """Write table and configuration; the latter's path."""
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    with (ROOT / study["environments"]).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    seen, unseen = ([row for row in rows if (row[1] == "visible") is visible] for visible in (True, False))
    chosen = seen[:: len(seen) // VISIBLE][:VISIBLE] + unseen[:: len(unseen) // UNSEEN][:UNSEEN]
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *chosen])
    study |= {"environments": "table.csv", "device": "cpu"}
    study["predictor"]["residual"] = (
        True  # so that experts that hardly trained forecast anything, and are none diverged
    )
    study["data"] |= {"frames": 21, "trained_frames": 11}
    study["data"]["trajectories"] = {"train": 4, "validation": 1, "test": 1}
    for base in ("erm", "conditioned"):
        study["base"][base] |= {"steps": STEPS, "environments": 4}
    study["zoo"]["members"] = 4
    for training in ("training", "training_erm"):
        study["zoo"][training]["steps"] = STEPS
    generator = study["generator"]
    generator["arms"]["paper"]["diffusion"]["sample_steps"] = 10
    for part in ("vae", "diffusion"):
        generator[part]["batch"] = 4
        generator[part]["training"]["steps"] = STEPS
    generator["end_to_end"] |= {"environments": 2}
    generator["end_to_end"]["training"] |= {"steps": STEPS, "batch": 2}
    baselines = study["baselines"]
    baselines["film_matched"] |= {"steps": STEPS, "environments": 4}
    baselines["hypernetwork"]["training"] |= {"steps": STEPS, "environments": 4}
    baselines["regression"] |= {"degrees": [1], "folds": 3}
    baselines["finetune"] |= {"steps": [1, 2], "learning_rates": [0.0003], "choosing_environments": 2}
    study["evaluation"] |= {"horizons": [1, 2, 5, 10], "bootstrap": 100}
    config = folder / "study.yaml"
    config.write_text(yaml.safe_dump(study), encoding="utf-8")
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="an empty folder, or one that a run of this began in")
    parser.add_argument("--options", nargs="*", default=[], help="further ones of Snakemake")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        config = write_study(folder)
        found = watch(folder, config, "--jobs", "1", *arguments.options)
        study = load_study(config)
        plan = Plan(study, read_environments(folder / study.environments))
        foretold: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for job, peak, _, seconds in found.jobs:
            key = job.stage, memory_mb(job.stage, plan, job.of)
            foretold.setdefault(key, []).append((peak, seconds))
        print(f"\n{'stage':28s}{'jobs':>5s}{'peak, MB':>10s}{'foretold':>10s}{'ratio':>7s}{'asked':>8s}{'seconds':>9s}")
        for (stage, asked), jobs in sorted(foretold.items(), key=lambda one: -max(peak for peak, _ in one[1])):
            peak, seconds = max(peak for peak, _ in jobs), max(seconds for _, seconds in jobs)
            alone = asked / MARGIN
            print(f"{stage:28s}{len(jobs):5d}{peak:10.0f}{alone:10.0f}{peak / alone:7.2f}{asked:8d}{seconds:9.0f}")
        print(f"\n{found.seconds / 60:.1f} min, {found.together:.0f} MB together, exit status {found.status}")
    sys.exit(found.status)


if __name__ == "__main__":
    main()
