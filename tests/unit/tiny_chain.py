"""The trained chain of a tiny study, stage by stage as the pipeline runs it, on any device."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tiny_study import ROWS, random_trajectories, tiny_config, write_config, write_table

from weightcast.core.environment_table import read_environments
from weightcast.core.run import Run
from weightcast.environments.config.load import parse_study
from weightcast.environments.jobs import JOBS, Plan
from weightcast.runner import find_stage
from weightcast.trajectories import write_trajectories

STEPS = 3


def chain_config(folder: Path) -> dict[str, Any]:
    """The tiny study, whose every training takes a few steps, with frames observed in unseen environments."""
    config = deepcopy(tiny_config(folder))
    few = {"steps": STEPS}
    for training in (
        config["base"]["erm"],
        config["base"]["conditioned"],
        config["zoo"]["training"],
        config["zoo"]["training_erm"],
        config["baselines"]["film_matched"],
        config["baselines"]["hypernetwork"]["training"],
        config["generator"]["end_to_end"]["training"],
    ):
        training |= few | {"unroll": 2, "batch": 2}
    for section in ("vae", "diffusion"):
        config["generator"][section]["training"] |= few
    config["generator"]["arms"]["paper"]["diffusion"] |= {"sample_steps": 3, "training": few}
    config["generator"] |= {"seeds": [0]}
    config["baselines"]["regression"] |= {"degrees": [1], "folds": 2}
    config["baselines"]["finetune"] |= {"steps": [2, 3], "learning_rates": [0.001], "choosing_environments": 2}
    config["evaluation"] |= {"observed": [{"frames": 3}], "members": 2, "adaptation_scores": True}
    config["context"] = {
        "maps": ["linear", "film"],
        "dimensions": [1],
        "width": 4,
        "training": few | {"learning_rate": 0.01, "unroll": 2, "batch": 2, "environments": 2},
        "choice": few | {"frames": 3},
        "refine": {"tempers": [1.0, 0.1], "iterations": 2},
    }
    return config


def tiny_plan(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Plan:
    """A plan of the tiny study, whose table and trajectories are written into the folder."""
    for id, _, beta in ROWS:
        trajectories = random_trajectories(id, beta)
        decay = np.exp(-0.1 * beta * np.arange(trajectories.values.shape[1], dtype=np.float32))
        # What is random is the first frame, which then decays: noise cannot be forecast, and every expert would count
        # as diverged.
        values = 1.0 + beta * trajectories.values[:, :1] * decay[:, None, None, None]
        write_trajectories(folder / "trajectories" / f"{id}.nc", replace(trajectories, values=values))
    config = chain_config(folder)
    if change is not None:
        change(config)
    return Plan(parse_study(config), read_environments(write_table(folder / "table.csv")))


class Chain:
    """The stages of a plan, each run once, its output written and read again as the next stage does.

    Args:
        plan: of the tiny study.
        folder: holds the trajectories; outputs go there.
        device: where stages compute.
        run_of: makes the context of a stage; the outputs' names are added.
    """

    def __init__(self, plan: Plan, folder: Path, device: str = "cpu", run_of: Callable[..., Run] = Run) -> None:
        self.plan, self.folder, self.device, self.run_of = plan, folder, torch.device(device), run_of
        self.curves: dict[str, Any] = {}

    def run(self, stage: str, output: str, inputs: Mapping[str, Any], **of: str) -> Path:
        """Run one stage and write its output."""
        path = self.folder / "results" / output
        made = self.call(stage, inputs, path, **of)
        made.save(path)
        return path

    def call(self, stage: str, inputs: Mapping[str, Any], path: Path | None = None, **of: str) -> Any:
        """What one stage returns."""
        run = self.run_of(device=self.device, outputs={"output": path} if path else {})
        settings = JOBS[stage].of(self.plan, **of)  # type: ignore[attr-defined]
        function = find_stage(stage)
        paths = {name: [*map(str, found)] if isinstance(found, list) else str(found) for name, found in inputs.items()}
        try:
            return function(run, settings, **function.load(paths))
        finally:
            label = path.relative_to(self.folder / "results").with_suffix("") if path else stage
            self.curves |= {f"{label}: {name}": curve for name, curve in run.curves.items()}

    def inputs_of(self, stage: str, arm: str = "conditioned") -> dict[str, Any]:
        """Paths of a stage's inputs, for the arm where there is a choice."""
        results = self.folder / "results"
        base = self.plan.study.generator.arms[arm].base
        bases = {name: results / f"base/{name}.safetensors" for name in ("erm", "conditioned", "film-matched")}
        bases["hypernetwork"] = results / "base/hypernetwork.safetensors"
        zoo, trajectories = results / f"zoo/{base}.safetensors", self.folder / "trajectories"
        return {
            "train_base": {"trajectories": trajectories},
            "train_context": {"trajectories": trajectories},
            "train_experts": {"base": bases[base], "trajectories": trajectories},
            "train_vae": {"zoo": zoo, "base": bases[base], "trajectories": trajectories},
            "train_diffusion": {"zoo": zoo, "vae": results / f"vae/{arm}-0.safetensors"},
            "tune_generator": {
                "generator": results / f"diffusion/{arm}-0.safetensors",
                "trajectories": trajectories,
            },
            "generate_weights": {"generators": [results / f"diffusion/{arm}-0.safetensors"], "base": bases[base]},
            "fold_bases": {"bases": list(bases.values())},
            "finetune_bases": {"bases": [bases["erm"], bases["conditioned"]], "trajectories": trajectories},
            "regress_weights": {
                "zoo": zoo,
                "base": bases[base],
                "reference": results / f"experts/{base}-unseen.safetensors",
            },
            "regress_latents": {
                "zoo": zoo,
                "base": bases[base],
                "vaes": [results / f"vae/{arm}-0.safetensors"],
                "reference": results / f"experts/{base}-unseen.safetensors",
            },
            "adapt_to_frames": {
                "bases": [bases["film-matched"], bases["hypernetwork"]],
                "generators": [results / f"end-to-end/{arm}-0.safetensors"],
                "finetuned": [bases["erm"], bases["conditioned"]],
                "zoo": results / f"zoo/{self.plan.study.zoo.bases[-1]}.safetensors",
                "started_from": [bases["conditioned"]],
                "contexts": [results / "base/context.safetensors"],
                "trajectories": trajectories,
            },
            "evaluate_weights": {"weights": results / "weights/bases.safetensors", "trajectories": trajectories},
            "evaluate_without_network": {"trajectories": trajectories},
            "show_rollouts": {
                "weights": sorted((results / "weights").glob("*.safetensors")),
                "trajectories": trajectories,
            },
            "map_weights": {
                "zoos": [results / f"zoo/{base}.safetensors" for base in self.plan.study.zoo.bases],
                "vaes": [results / f"vae/{arm}-0.safetensors" for arm in self.plan.study.generator.arms],
            },
        }[stage]

    def train(self) -> None:
        """Everything that is trained, to the generators."""
        for base in ("erm", "conditioned", "film-matched", "hypernetwork"):
            self.run("train_base", f"base/{base}.safetensors", self.inputs_of("train_base"), base=base)
        self.run("train_context", "base/context.safetensors", self.inputs_of("train_context"))
        for arm, settings in self.plan.study.generator.arms.items():
            base, inputs = settings.base, lambda stage, arm=arm: self.inputs_of(stage, arm)
            shards = [
                self.run(
                    "train_experts",
                    f"zoo/shards/{base}/{shard}-000.safetensors",
                    inputs("train_experts"),
                    base=base,
                    shard=f"{shard}-000",
                )
                for shard in ("visible", "unseen")
            ]
            self.run("gather_zoo", f"zoo/{base}.safetensors", {"shards": shards[:1]}, base=base, part="zoo")
            reference = f"experts/{base}-unseen.safetensors"
            self.run("gather_zoo", reference, {"shards": shards[1:]}, base=base, part="reference")
            self.run("train_vae", f"vae/{arm}-0.safetensors", inputs("train_vae"), arm=arm, seed="0")
            self.run("train_diffusion", f"diffusion/{arm}-0.safetensors", inputs("train_diffusion"), arm=arm, seed="0")
        tuned = self.inputs_of("tune_generator")
        self.run("tune_generator", "end-to-end/conditioned-0.safetensors", tuned, arm="conditioned", seed="0")

    def finish(self) -> dict[str, Any]:
        """Weights of every method, then tables by name."""
        for arm, settings in self.plan.study.generator.arms.items():
            inputs = self.inputs_of("generate_weights", arm)
            self.run("generate_weights", f"weights/{arm}.safetensors", inputs, source=f"generator-{arm}")
            inputs = self.inputs_of("regress_weights", arm)
            self.run("regress_weights", f"weights/zoo-{settings.base}.safetensors", inputs, base=settings.base)
            inputs = self.inputs_of("regress_latents", arm)
            self.run("regress_latents", f"weights/latents-{arm}.safetensors", inputs, arm=arm)
        for stage in ("fold_bases", "finetune_bases", "adapt_to_frames"):
            name = {"fold_bases": "bases"}.get(stage, stage)
            of = {"case": "3-frames"} if stage == "adapt_to_frames" else {}
            self.run(stage, f"weights/{name}.safetensors", self.inputs_of(stage), **of)
        tables = {}
        for file in sorted((self.folder / "results" / "weights").glob("*.safetensors")):
            inputs = self.inputs_of("evaluate_weights") | {"weights": file}
            tables[file.stem] = self.call("evaluate_weights", inputs, source=file.stem).frame
        for stage in ("evaluate_without_network", "map_weights"):
            tables[stage] = self.call(stage, self.inputs_of(stage)).frame
        tables["show_rollouts"] = self.call("show_rollouts", self.inputs_of("show_rollouts")).dataset
        return tables


def study_with_context(chain: Chain, folder: Path) -> Path:
    """The results of a chain's study as commands read them, its context trained, its trajectories beside them."""
    chain.run("train_context", "base/context.safetensors", chain.inputs_of("train_context"))
    study = folder / "results" / "tiny"
    shutil.move(folder / "results" / "base", study / "base")
    write_config(study / "config.yaml", chain.plan.study.model_dump(mode="json"))
    write_table(study / "environments.csv")
    shutil.copytree(folder / "trajectories", folder / "data" / "tiny" / "trajectories")
    return study


def observe_between(study: Path, path: Path, frames: int = 5) -> Path:
    """The first frames of a trajectory of an unseen environment of that study, in a file."""
    with xr.open_dataset(study.parents[1] / "data/tiny/trajectories/between.nc", decode_times=False) as whole:
        whole.isel(trajectory=[0], time=slice(0, frames)).load().to_netcdf(path)
    return path
