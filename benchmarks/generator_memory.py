"""How the generator grows with the predictor whose weights it draws: numbers, and memory of its training.

    OMP_NUM_THREADS=1 python benchmarks/generator_memory.py [--quick]

Fourier neural operators of width 12 to 64, otherwise those of the default study (config.yaml). For each, a process of
its own makes a weight VAE and a latent diffusion and trains both for two steps, on 48 experts; counted is what its
memory grew by since everything was imported. Two coders: attention over the nodes of the weight graph, and fully
connected layers over all weights in a row, which is what one would write first. Beside them stands what the rule of
the pipeline's job asks for, with its margin and what an idle program takes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from side_by_side import ROOT, Effort, Row, Spread, alone, as_a_job

from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study

NAME = "generator memory"
WIDTHS = (12, 24, 36, 48, 64)
FRAMES = 6
MEMBERS = 48

Coder = Literal["attention", "flat"]


def rows(effort: Effort) -> Iterator[Row]:
    """Every width, in both coders; every other one in a quick run."""
    for width in WIDTHS[::2] if effort.quick else WIDTHS:
        yield from width_rows(width)


def width_rows(width: int) -> Iterator[Row]:
    """One width of the predictor."""
    case, coders = "width of a small FNO", ("attention", "flat")
    found = {coder: _measured(width, coder) for coder in coders}
    first = found["attention"]
    yield Row.of(NAME, case, width, "predictor, thousand numbers", Spread.exact(first["weights"] / 1e3))
    for coder, numbers in found.items():
        yield Row.of(NAME, case, width, f"{coder}, million numbers", Spread.exact(numbers["learned"] / 1e6))
        yield Row.of(NAME, case, width, f"{coder}, MB", Spread.exact(numbers["megabytes"]))
    yield Row.of(NAME, case, width, "flat / attention", Spread.exact(found["flat"]["megabytes"] / first["megabytes"]))
    yield Row.of(NAME, case, width, "asked for by the job, MB", Spread.exact(asked_megabytes(width)))


def asked_megabytes(width: int) -> float:
    """What the rule of the VAE's job asks for, at this width."""
    from weightcast.core.environment_table import read_environments
    from weightcast.environments.jobs import Plan
    from weightcast.environments.memory import memory_mb

    study = _study(width)
    return memory_mb("train_vae", Plan(study, read_environments(ROOT / study.environments)), {})


def train(width: int, coder: Coder) -> dict[str, float]:
    """Make and train a generator in this process: numbers of the predictor and learned, megabytes that it took."""
    import torch

    from weightcast.core.draws import Draws
    from weightcast.core.nets.build import describe_architecture
    from weightcast.core.run import Run
    from weightcast.environments.conditions import Known, new_condition
    from weightcast.environments.diffusion import LatentDiffusion
    from weightcast.environments.predictor import StackedPredictor
    from weightcast.environments.stages.train_diffusion import train_latent_diffusion
    from weightcast.environments.stages.train_vae import train_weight_vae
    from weightcast.environments.vae import new_vae

    as_a_job()
    study = _study(width)
    vae_settings, diffusion_settings = study.generator.of_arm(next(iter(study.generator.arms)))
    short = {"training": vae_settings.training.model_copy(update={"steps": 2})}
    vae_settings = vae_settings.model_copy(update=short | {"coder": coder})
    diffusion_settings = diffusion_settings.model_copy(update=short)
    torch.ones(64, 64) @ torch.ones(64, 64)
    before = _resident()

    run, draws = Run(), Draws("cpu", 0, "memory")
    predictor = StackedPredictor.of_architecture(describe_architecture(study.predictor, len(study.data.channels)))
    graph = predictor.graph
    vae = new_vae(graph, vae_settings)
    zoo = graph.read(predictor.module) + 0.01 * draws.normal(MEMBERS, graph.num_parameters)
    environments = torch.arange(MEMBERS) // study.zoo.members
    count = int(environments.max()) + 1
    frames = draws.normal(count, 2, FRAMES, len(study.data.channels), *study.data.grid)
    prepared = draws.uniform(count, 2)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        train_weight_vae(run, vae, predictor, zoo, prepared, environments, frames, vae_settings, 0)
        with torch.no_grad():
            latents = vae.encode_deviations(zoo)
        corners = [Known(parameters={"a": end, "b": end}) for end in (0.0, 1.0)]
        condition = new_condition("parameters", corners)
        diffusion = LatentDiffusion(latents.shape[1], latents.shape[2], condition, diffusion_settings)
        train_latent_diffusion(run, diffusion, latents, prepared[environments], diffusion_settings, 0)
    learned = sum(one.numel() for part in (vae, diffusion) for one in part.parameters())
    return {"weights": graph.num_parameters, "learned": learned, "megabytes": _resident() - before}


def _study(width: int) -> Study:
    study = load_study(ROOT / "config.yaml")
    predictor = study.predictor.model_copy(update={"width": width, "projection": 2 * width})
    return study.model_copy(update={"predictor": predictor})


def _resident() -> float:
    """Megabytes that this program held at most so far; what getrusage says includes the program that started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def _measured(width: int, coder: str) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).resolve()), "--one", str(width), coder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    numbers: dict[str, float] = json.loads(done.stdout)
    return numbers


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        parser = argparse.ArgumentParser()
        parser.add_argument("--one", nargs=2)
        wanted, chosen = parser.parse_args().one
        print(json.dumps(train(int(wanted), chosen)))
    else:
        alone(rows, __doc__)
