"""How much memory stages take on a zoo several times larger than they may hold, beside what their rules ask for.

``python benchmarks/zoo_memory.py [--gigabytes 2.5] [--memory 0.5] [--stages train_vae ...]``. A study is made up in a
temporary folder: Fourier neural operators of 2.6 million weights, experts of which eight in each environment are the
base with some noise, random frames. Each stage then runs as a job of its own, and its largest resident set is what the
system says of that process. Trainings take few steps: what they hold does not grow with them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml

from weightcast.core.environment_table import read_environments
from weightcast.core.stored_tensor import JoinedRows
from weightcast.cost.environments import write_random_frames
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.commands.untrained import untrained_predictor
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.load import load_study
from weightcast.environments.config.weight_map import PooledMap
from weightcast.environments.expert_files import expert_path
from weightcast.environments.jobs import Plan
from weightcast.environments.memory import memory_mb
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.weight_maps import build_weight_map
from weightcast.environments.zoo import ExpertFile, ExpertShard

ROOT = Path(__file__).resolve().parents[1]
MEMBERS, UNSEEN = 8, 4
FEW = {"steps": 4, "learning_rate": 0.001}
MEASURED = """
import atexit, pathlib, runpy, sys
atexit.register(lambda: print(pathlib.Path("/proc/self/status").read_text(), flush=True))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script, and says at its end what was resident at most; what the system says of a child counts its parent."""
POOLED = FEW | {"unroll": 1, "batch": 2, "environments": 2}
STAGES = (
    *("gather_zoo", "gather_reference", "train_vae", "train_diffusion", "generate_weights", "fold_bases"),
    *("regress_weights", "regress_latents", "evaluate_weights", "map_weights", "compare_with_experts"),
)


@dataclass(frozen=True)
class Taken:
    """What a job took.

    Attributes:
        stage: that it ran.
        peak: megabytes of its largest resident set.
        asked: megabytes that its rule asks for.
        seconds: that it took.
    """

    stage: str
    peak: float
    asked: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.stage:22s}{self.peak:9.0f} MB{self.asked:9d} MB asked{self.seconds:8.1f} s"


def configuration(folder: Path, memory: float) -> dict[str, Any]:
    """A study whose networks are large, and whose trainings are short."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "tests/workflow/mini.yaml").read_text(encoding="utf-8"))
    config |= {"study": "large", "environments": str(folder / "table.csv"), "memory": memory, "device": "cpu"}
    config["logarithmic_parameters"] = []
    config["data"] |= {"source": "netcdf", "directory": str(folder), "settings": {}, "grid": [16, 16]}
    config["predictor"] |= {"width": 50, "modes": [8, 8], "depth": 4, "projection": 16}
    config["base"] = {"erm": POOLED}
    config["zoo"] |= {"bases": ["erm"], "members": MEMBERS, "shard_environments": 1, "training": FEW | {"batch": 2}}
    arm = {"base": "erm", "end_to_end": False, "diffusion": {"relative_to": "regression"}}
    config["generator"] |= {"seeds": [0], "arms": {"paper": arm}}
    for section in ("vae", "diffusion"):
        config["generator"][section] |= {"width": 32, "batch": 4, "training": FEW}
    config["generator"]["vae"] |= {"latent": 8, "functional_batch": 1}
    config["baselines"] |= {"film_matched": None, "hypernetwork": None}
    return config


def write_study(folder: Path, gigabytes: float, memory: float) -> Plan:
    """The study, its frames, its base, and the experts of every environment, each shard with its manifest."""
    config = configuration(folder, memory)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "table.csv").write_text("id,role,x\na,visible,0\n", encoding="utf-8")
    weights = untrained_predictor(load_study(folder / "config.yaml")).graph.num_parameters
    visible = max(3, round(gigabytes * 1e9 / (4 * weights * MEMBERS)))
    rows = [f"v{number},visible,{number / visible:.6f}" for number in range(visible)]
    rows += [f"u{number},interpolation,{(number + 0.5) / UNSEEN:.6f}" for number in range(UNSEEN)]
    for name in ("table.csv", "environments.csv"):  # as a study names it, and as jobs read it
        (folder / name).write_text("\n".join(["id,role,x", *rows, ""]), encoding="utf-8")
    study = load_study(folder / "config.yaml")
    plan = Plan(study, read_environments(study.environments))
    write_random_frames(folder / "trajectories", plan)

    predictor = untrained_predictor(study)
    start = predictor.graph.read(predictor.module).detach()
    channels = len(study.data.channels)
    condition = new_condition("parameters", [Known(parameters=row.parameters) for row in plan.table.visible])
    described: dict[str, Any] = {
        "architecture": study.predictor.model_dump(mode="json") | {"channels": channels},
        "normalisation": Normalisation((0.0,) * channels, (1.0,) * channels).metadata(),
        "condition": condition.describe(),
        "weight_map": describe_weight_map(PooledMap(), condition),
        "seconds": 1.0,
    }
    weight_map = build_weight_map(PooledMap(), condition, start, predictor.graph)
    normalisation = Normalisation.from_metadata(described["normalisation"])
    BaseNetwork(weight_map, predictor, normalisation, described).save(folder / "base.safetensors")
    shared = {name: described[name] for name in ("architecture", "normalisation", "condition")} | {"base": "pooled"}
    for shard, ids in plan.shards.items():
        count = MEMBERS if shard.startswith("visible") else 1
        for id in ids:
            draws = torch.Generator().manual_seed(abs(hash(id)) % 2**31)
            experts = start * (1.0 + 0.05 * torch.randn(count, len(start), generator=draws))
            entry = {"environment": id, "diverged": False, "seconds": 1.0}
            manifest = [entry | {"member": member} for member in range(count)]
            file = ExpertFile.save(expert_path(folder / "shards", id), experts, manifest)
            ExpertShard(JoinedRows.of([file]), manifest, shared).save(folder / "shards" / f"{shard}.safetensors")
    return plan


def job_of(stage: str, folder: Path, plan: Plan) -> dict[str, Any]:
    """The job of a stage, as its rule writes it."""

    def at(name: str) -> str:
        return str(folder / f"{name}.safetensors")

    def shards(role: str) -> list[str]:
        return [at(f"shards/{shard}") for shard in plan.shards if shard.startswith(role)]

    zoo, base = {"zoo": at("zoo")}, {"base": at("base")}
    weights = [at(name) for name in ("weights/bases", "weights/zoo", "weights/generator", "weights/latents")]
    trajectories = {"trajectories": str(folder / "trajectories")}
    generator, vae = {"arm": "paper", "seed": "0"}, at("vae")
    of, inputs, output = {
        "gather_zoo": ({"base": "erm", "part": "zoo"}, {"shards": shards("visible")}, at("zoo")),
        "gather_reference": ({"base": "erm", "part": "reference"}, {"shards": shards("unseen")}, at("reference")),
        "train_vae": (generator, zoo | base | trajectories, vae),
        "train_diffusion": (generator, zoo | {"vae": vae}, at("diffusion")),
        "generate_weights": ({"source": "generator-paper"}, base | {"generators": [at("diffusion")]}, weights[2]),
        "fold_bases": ({}, {"bases": [at("base")]}, weights[0]),
        "regress_weights": ({"base": "erm"}, zoo | base | {"reference": at("reference")}, weights[1]),
        "regress_latents": ({"arm": "paper"}, zoo | base | {"reference": at("reference"), "vaes": [vae]}, weights[3]),
        "evaluate_weights": ({"source": "zoo-erm"}, {"weights": weights[1]} | trajectories, str(folder / "zoo.csv")),
        "map_weights": ({}, {"zoos": [at("zoo")], "vaes": [vae]}, str(folder / "map.csv")),
        "compare_with_experts": (
            {},
            {"weights": weights, "zoos": [at("zoo")], "evaluations": [str(folder / "zoo.csv")]} | trajectories,
            str(folder / "novelty.csv"),
        ),
    }[stage]
    name = "gather_zoo" if stage == "gather_reference" else stage
    told = {"stage": name, "of": of, "inputs": inputs, "outputs": {"output": output}}
    return told | {"config": str(folder / "config.yaml")}


def run_job(stage: str, folder: Path, plan: Plan) -> Taken:
    """Run a job in a process of its own.

    Raises:
        SystemExit: it failed.
    """
    job = job_of(stage, folder, plan)
    started, log = time.monotonic(), folder / "log.txt"
    command = [sys.executable, "-c", MEASURED, str(ROOT / "scripts/run_stage.py"), json.dumps(job)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as said:
        status = subprocess.run(command, env=environment, stdout=said, stderr=said, check=False).returncode
    if status:
        raise SystemExit(f"{stage}: {log.read_text(encoding='utf-8')[-3000:]}")
    asked = memory_mb(job["stage"], plan, job["of"])
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", log.read_text(encoding="utf-8"))[-1])
    return Taken(stage, peak * 1024 / 1e6, asked, time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.5, help="of the zoo")
    parser.add_argument("--memory", type=float, default=0.5, help="gigabytes that a stage may hold of it")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES, help="in this order")
    parser.add_argument("--folder", type=Path, help="where to put the study; default: a temporary one")
    told = parser.parse_args()
    with TemporaryDirectory(dir=told.folder) as folder:
        plan = write_study(Path(folder), told.gigabytes, told.memory)
        size = sum(path.stat().st_size for path in Path(folder, "shards").rglob("*.safetensors"))
        environments = len(plan.table.visible)
        print(f"{size / 1e9:.2f} GB in {environments} environments, {told.memory:g} GB of memory", flush=True)
        for stage in told.stages:
            print(run_job(stage, Path(folder), plan), flush=True)


if __name__ == "__main__":
    main()
