"""A training step of the published code beside one of this project, of the same architectures and batches, on a CPU.

    git clone https://github.com/tsinghua-fib-lab/DynaDiff CLONE
    OMP_NUM_THREADS=1 python benchmarks/published_code.py --clone CLONE [--quick]

The publication's own modules are imported from the clone, of which nothing is part of this project: the predictor
(fno_LDM/model/fno.py), and the diffusion's transformer (fno_LDM/model/dit.py), which needs timm, with the noise and the
loss of its training script, which itself asks for a GPU. Both sides take AdamW and the mean squared error. Predictors
have the same sizes, but the published one also normalises the spectral branch by instance; transformers have the same
width, depth, heads, tokens and latents, but the published one computes activations again in the backward pass, to save
memory.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch
from side_by_side import Effort, Row, add_options, as_a_job, effort_of, machine, shown, take_turns, write_table

from weightcast.core.config.training import PredictorTraining
from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.experts import plan_members, train_experts
from weightcast.environments.predictor import StackedPredictor

NAME = "published code"
PREDICTOR = {
    **{"kind": "fno", "channels": 2, "width": 64, "modes": [12, 6], "depth": 4, "projection": 64},
    **{"positional": True, "residual": False},
}
GRID, BATCH = (64, 64), 4
MEMBERS = (1, 4)
STEPS = 5
"""Of predictors in a call, which on our side begins with what a job's training begins with."""
NODES, LATENT, WIDTH, DEPTH, HEADS, NOISE_STEPS = 386, 512, 768, 12, 12, 1000
RATE = 1e-4


def rows(effort: Effort, clone: Path) -> Iterator[Row]:
    """Predictors of one and of several experts, then the diffusion."""
    fno = published(clone, "fno")
    for members in MEMBERS:
        ways = {"stacked": ours(members), "published, one by one": theirs(fno, members)}
        yield from take_turns(ways, effort).rows(NAME, "step of predictors, batch 4, members", members, per=STEPS)
    case = "step of the diffusion, batch"
    if find_spec("timm") is None:
        yield Row.skipped(NAME, case, 1, "timm is not installed, which the published transformer is made of")
        return
    diffusion = {"ours": our_diffusion(1), "published": their_diffusion(published(clone, "dit"), 1)}
    yield from take_turns(diffusion, effort).rows(NAME, case, 1, "s")


def published(clone: Path, name: str) -> ModuleType:
    """A module of the clone, by itself: its package imports more than is needed here."""
    path = clone / "fno_LDM/model" / f"{name}.py"
    spec = spec_from_file_location(f"published_{name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path}: found no such file, expected one of a clone of the published code")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(members: int) -> Callable[[], object]:
    """Some steps of stacked experts, as jobs train them."""
    predictor = StackedPredictor.of_architecture(PREDICTOR)
    start = predictor.graph.read(predictor.module).repeat(members, 1)
    frames = Draws("cpu", 0, "frames").normal(members, 2, 4, 2, *GRID)
    planned = plan_members([f"e{number}" for number in range(members)], 1, 0)
    training = PredictorTraining(steps=STEPS, learning_rate=RATE, unroll=1, batch=BATCH)

    def steps() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            train_experts(Run(), start, planned, frames, list(range(members)), predictor, training)

    return steps


def theirs(fno: ModuleType, members: int) -> Callable[[], object]:
    """As many steps of as many of the published predictors, one after the other."""
    draws, width = Draws("cpu", 0, "frames"), int(str(PREDICTOR["width"]))
    frames, later = draws.normal(BATCH, 2, *GRID), draws.normal(BATCH, 2, *GRID)
    networks = [
        fno.FNO(n_modes=(12, 6), in_channels=2, out_channels=2, hidden_channels=width, n_layers=4)
        for _ in range(members)
    ]
    optimisers = [torch.optim.AdamW(network.parameters(), lr=RATE) for network in networks]

    def steps() -> None:
        for network, optimiser in zip(networks, optimisers, strict=True):
            for _ in range(STEPS):
                _step(optimiser, partial(_error, network, frames, later))

    return steps


def _error(network: torch.nn.Module, frames: torch.Tensor, later: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.mse_loss(network(frames), later)


def our_diffusion(batch: int) -> Callable[[], object]:
    """A step of the latent diffusion at the published size."""
    settings = DiffusionSettings.model_validate(
        {"width": WIDTH, "heads": HEADS, "layers": DEPTH, "prediction": "epsilon", "noise_steps": NOISE_STEPS}
        | {"sample_steps": 10, "batch": batch, "training": {"steps": 1, "learning_rate": RATE}}
    )
    known = [Known(parameters={"a": end, "b": end}) for end in (0.0, 1.0)]
    diffusion = LatentDiffusion(NODES, LATENT, new_condition("parameters", known), settings)
    draws = Draws("cpu", 0, "latents")
    latents, prepared = draws.normal(batch, NODES, LATENT), draws.uniform(batch, 2)
    optimiser = torch.optim.AdamW(diffusion.parameters(), lr=RATE)
    return partial(_step, optimiser, lambda: diffusion.loss(latents, prepared, draws))


def their_diffusion(dit: ModuleType, batch: int) -> Callable[[], object]:
    """A step of the published one: the noise that was added is predicted."""
    periods = [1200, 30]
    network = dit.DiT_M(
        feature_dim=LATENT, layer_num=NODES, cond_dim=len(periods), max_cond_period=periods, learn_sigma=False
    )
    draws = Draws("cpu", 0, "latents")
    latents, condition = draws.normal(batch, NODES, LATENT), draws.uniform(batch, 2)
    kept = torch.cumprod(1.0 - torch.linspace(1e-4, 0.02, NOISE_STEPS), 0)

    def loss() -> torch.Tensor:
        step, noise = draws.integers(NOISE_STEPS, batch), draws.normal(*latents.shape)
        share = kept[step, None, None]
        noised = share.sqrt() * latents + (1.0 - share).sqrt() * noise
        return (network(noised, step, condition) - noise).square().mean()

    return partial(_step, torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.0), loss)


def _step(optimiser: torch.optim.Optimizer, loss: Callable[[], torch.Tensor]) -> None:
    optimiser.zero_grad()
    loss().backward()
    optimiser.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--clone", type=Path, required=True, metavar="FOLDER", help="of the published code")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="CSV to write")
    arguments = parser.parse_args()
    as_a_job()
    found = list(shown(rows(effort_of(arguments), arguments.clone)))
    if arguments.output is not None:
        write_table(arguments.output, found, machine())


if __name__ == "__main__":
    main()
