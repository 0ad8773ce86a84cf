"""What a GPU gains: the steps of the pipeline's trainings on the CPU and on a GPU, side by side in one run.

    python benchmarks/device.py [--device cuda] [--seconds 8] [--threads 1] [--tf32] [--autocast] [--compile MODE]

Timed are the very functions that the stages call: a stacked training step of experts (small FNO with 64 and 1024
members, published FNO), a step of the weight VAE and of the latent diffusion (sizes of the default study and, on a GPU,
the published ones), and sampling. Both devices see the same numbers; each measurement repeats its step for about
``--seconds`` and quotes the median, and what does not fit into a device's memory is said to. Below five minutes on a
machine with a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from weightcast.core.config.device import AccelerationSettings
from weightcast.core.config.training import PredictorTraining, TrainingSettings
from weightcast.core.device import choose_device, set_precision
from weightcast.core.run import Run
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.experts import plan_members, train_experts
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.train_diffusion import train_latent_diffusion
from weightcast.environments.stages.train_vae import train_weight_vae
from weightcast.environments.vae import WeightVAE

SMALL = {"kind": "fno", "channels": 2, "width": 12, "modes": [4, 4], "depth": 3, "projection": 24}
PUBLISHED = {"kind": "fno", "channels": 2, "width": 64, "modes": [12, 6], "depth": 4, "projection": 128}
SMALL_GRID, PUBLISHED_GRID = (24, 24), (128, 64)
ENVIRONMENTS = 8


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: what is timed.
        prepare: run -> a function of a number of steps that does them.
        on_cpu: whether the CPU is asked at all; what would take it minutes is not.
    """

    name: str
    prepare: Callable[[Run], Callable[[int], object]]
    on_cpu: bool = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="beside the CPU: auto, cuda or cuda:<number>")
    parser.add_argument("--seconds", type=float, default=8.0, help="that each row may take on each device")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; the pipeline's jobs have one each")
    parser.add_argument("--tf32", action="store_true", help="TensorFloat-32 on the GPU")
    parser.add_argument("--autocast", action="store_true", help="bfloat16 on the GPU")
    parser.add_argument("--compile", default="none", choices=["none", "default", "cuda-graphs"])
    parser.add_argument("--csv", metavar="FILE", help="write the table here, too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    accelerated = AccelerationSettings(
        tf32=arguments.tf32, autocast="bfloat16" if arguments.autocast else "none", compile=arguments.compile
    )
    set_precision(accelerated)
    gpu = choose_device(arguments.device)
    runs = {"cpu": Run()} | ({} if gpu.type == "cpu" else {"gpu": Run(gpu, accelerated)})
    name = torch.cuda.get_device_name(gpu) if gpu.type == "cuda" else "no GPU: its column stays empty"
    print(f"torch {torch.__version__}, {arguments.threads} CPU thread(s); {name}; {accelerated}")
    print(f"{'milliseconds a step':44s} {'CPU':>10s} {'GPU':>10s} {'CPU / GPU':>10s}")
    rows = []
    for case in cases():
        found = {}
        for label, run in runs.items():
            if label == "gpu" or case.on_cpu:
                found[label] = milliseconds(case, run, arguments.seconds)
        cpu, fast = found.get("cpu"), found.get("gpu")
        ratio = cpu / fast if cpu and fast else None
        print(f"{case.name:44s} {_shown(cpu)} {_shown(fast)} {_shown(ratio)}", flush=True)
        rows.append([case.name, cpu, fast, ratio])
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123
            csv.writer(file).writerows([["step", "cpu_ms", "gpu_ms", "ratio"], *rows])


def cases() -> list[Case]:
    """Every row, in the order of printing."""
    small = (SMALL, SMALL_GRID)
    return [
        Case("experts: small FNO, 64 members", partial(expert_step, *small, 64)),
        Case("experts: small FNO, 1024 members", partial(expert_step, *small, 1024)),
        Case("experts: published FNO, 1 member", partial(expert_step, PUBLISHED, PUBLISHED_GRID, 1)),
        Case("experts: published FNO, 16 members", partial(expert_step, PUBLISHED, PUBLISHED_GRID, 16), on_cpu=False),
        Case("VAE: default study", partial(vae_step, *small, VAESettings(training=_steps(1)), 48)),
        Case("diffusion: default study", partial(diffusion_step, 71, 8, DiffusionSettings(training=_steps(1)))),
        Case("diffusion: published", partial(diffusion_step, 386, 512, _published_diffusion()), on_cpu=False),
        Case("sampling: default study, 42 sets", partial(sampling, 71, 8, DiffusionSettings(training=_steps(1)), 42)),
        Case("sampling: published, 1 set, 10 evaluations", partial(sampling, 386, 512, _published_diffusion(), 1)),
    ]


def milliseconds(case: Case, run: Run, seconds: float) -> float | None:
    """Median time of a step; None where memory does not suffice."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            work = case.prepare(run)
            work(2)  # tables, memory and compilation are paid for here
            spent: list[float] = []
            started = time.monotonic()
            steps = 1
            while len(spent) < 2 or time.monotonic() - started < seconds:
                _wait(run.device)
                begun = time.perf_counter()
                work(steps)
                _wait(run.device)
                spent.append((time.perf_counter() - begun) / steps)
                if spent[-1] > seconds / 2:  # a step that long needs no second look
                    break
                steps = max(1, min(20, int(0.1 * seconds / spent[-1])))
            return 1e3 * statistics.median(spent)
    except torch.OutOfMemoryError:
        print(f"{case.name}: {run.device} has too little memory", file=sys.stderr)
        return None


def expert_step(
    architecture: dict[str, object], grid: tuple[int, int], members: int, run: Run
) -> Callable[[int], object]:
    """A stacked training step of experts, two windows of four steps each."""
    predictor = StackedPredictor.of_architecture(architecture)
    start = run.place(predictor.graph.read(predictor.module).repeat(members, 1))
    predictor = predictor.on(run)
    count = min(ENVIRONMENTS, members)
    frames = run.draws(0, "frames").normal(count, 2, 8, 2, *grid)
    planned = plan_members([f"e{number}" for number in range(members)], 1, 0)
    of = [number % count for number in range(members)]

    def work(steps: int) -> object:
        training = PredictorTraining(steps=steps, learning_rate=1e-4, unroll=4, batch=2)
        return train_experts(run, start, planned, frames, of, predictor, training)

    return work


def vae_step(
    architecture: dict[str, object], grid: tuple[int, int], settings: VAESettings, members: int, run: Run
) -> Callable[[int], object]:
    """A training step of the weight VAE, functional loss included."""
    predictor = StackedPredictor.of_architecture(architecture)
    graph = predictor.graph
    vae = run.place(WeightVAE(graph, settings))
    draws = run.draws(0, "zoo")
    zoo = run.place(graph.read(predictor.module)) + 0.01 * draws.normal(members, graph.num_parameters)
    predictor = predictor.on(run)
    frames, prepared = draws.normal(ENVIRONMENTS, 2, 8, 2, *grid), draws.uniform(ENVIRONMENTS, 2)
    of = draws.integers(ENVIRONMENTS, members)

    def work(steps: int) -> object:
        chosen = settings.model_copy(update={"training": _steps(steps)})
        return train_weight_vae(run, vae, predictor, zoo, prepared, of, frames, chosen, 0)

    return work


def diffusion_step(nodes: int, latent: int, settings: DiffusionSettings, run: Run) -> Callable[[int], object]:
    """A training step of the latent diffusion."""
    diffusion = _diffusion(nodes, latent, settings, run)
    draws = run.draws(0, "latents")
    latents, prepared = draws.normal(64, nodes, latent), draws.uniform(64, 2)

    def work(steps: int) -> object:
        chosen = settings.model_copy(update={"training": _steps(steps)})
        return train_latent_diffusion(run, diffusion, latents, prepared, chosen, 0)

    return work


def sampling(nodes: int, latent: int, settings: DiffusionSettings, count: int, run: Run) -> Callable[[int], object]:
    """Drawing latents of some sets of weights, in the settings' number of network evaluations."""
    diffusion = _diffusion(nodes, latent, settings, run)
    draws = run.draws(0, "noise")
    noise, prepared = draws.normal(count, nodes, latent), draws.uniform(count, 2)

    @torch.no_grad()
    def work(steps: int) -> Tensor:
        for _ in range(steps):
            drawn = diffusion.sample(noise, prepared, settings.sample_steps)
        return drawn

    return work


def _diffusion(nodes: int, latent: int, settings: DiffusionSettings, run: Run) -> LatentDiffusion:
    corners = [Known(parameters={"a": end, "b": end}) for end in (0.0, 1.0)]
    return run.place(LatentDiffusion(nodes, latent, new_condition("parameters", corners), settings))


def _published_diffusion() -> DiffusionSettings:
    return DiffusionSettings(width=768, heads=12, layers=12, batch=8, sample_steps=10, training=_steps(1))


def _steps(count: int) -> TrainingSettings:
    return TrainingSettings(steps=count, learning_rate=1e-4)


def _wait(device: torch.device) -> None:
    """Until what was queued is done; a GPU computes while Python goes on."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _shown(value: float | None) -> str:
    return f"{value:10.3g}" if value is not None else f"{'-':>10s}"


if __name__ == "__main__":
    main()
