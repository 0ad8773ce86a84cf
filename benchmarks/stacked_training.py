"""How much faster experts train stacked over a member axis than one by one: a ratio, measured side by side.

    python benchmarks/stacked_training.py [--experts 16] [--steps 20] [--rounds 7]

Both sides train the same experts of the default study (config.yaml) for the same number of steps with the same library
code, batches and optimiser, on one thread; they take turns, and the ratio of each round is what counts, so a machine
that slows down slows both. A third column is the loop that most people would write: torch modules, rfft2, torch's Adam.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.fno import FNO
from weightcast.core.run import Run
from weightcast.environments.config.study import load_study
from weightcast.environments.experts import plan_members, starting_weights, train_experts
from weightcast.environments.predictor import StackedPredictor


class PlainFourierLayer(nn.Module):
    """The usual spectral convolution, by rfft2 and complex weights, with a 1x1 convolution beside it."""

    def __init__(self, width: int, modes: tuple[int, int]) -> None:
        super().__init__()
        self.modes = modes
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(width, width, *modes, dtype=torch.cfloat) / width) for _ in range(2)
        )
        self.skip = nn.Conv2d(width, width, 1)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft2(fields)
        out = torch.zeros_like(spectrum)
        rows, columns = self.modes
        for weight, block in zip(self.weights, (slice(0, rows), slice(-rows, None)), strict=True):
            out[..., block, :columns] = torch.einsum("biyx,ioyx->boyx", spectrum[..., block, :columns], weight)
        return torch.fft.irfft2(out, s=fields.shape[-2:]) + self.skip(fields)


class PlainFNO(nn.Module):
    """The same architecture as the study's predictor, written in the usual way."""

    def __init__(self, network: FNO, width: int, modes: tuple[int, int], projection: int) -> None:
        super().__init__()
        channels = network.channels
        self.lifting = nn.Conv2d(channels, width, 1)
        self.layers = nn.ModuleList(PlainFourierLayer(width, modes) for _ in network.layers)
        self.hidden = nn.Conv2d(width, projection, 1)
        self.output = nn.Conv2d(projection, channels, 1, bias=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        fields = self.lifting(frames)
        for index, layer in enumerate(self.layers):
            fields = layer(fields)
            if index < len(self.layers) - 1:
                fields = F.gelu(fields)
        return frames + self.output(F.gelu(self.hidden(fields)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experts", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    run = Run()
    study = load_study("config.yaml")
    training = study.zoo.training.model_copy(update={"steps": arguments.steps})
    architecture = describe_architecture(study.predictor, len(study.data.channels))
    module = build_predictor(architecture)
    predictor = StackedPredictor(module)
    members = plan_members([f"environment-{number}" for number in range(arguments.experts)], 1, study_seed=0)
    base = predictor.graph.read(module).expand(arguments.experts, -1)
    start = starting_weights(base, members, predictor, study.zoo.perturbation)
    frames = torch.randn(arguments.experts, 2, study.data.trained_frames, len(study.data.channels), *study.data.grid)

    def stacked() -> None:
        train_experts(run, start, members, frames, range(arguments.experts), predictor, training)

    def one_by_one() -> None:
        for row, member in enumerate(members):
            train_experts(run, start[row : row + 1], [member], frames, [row], predictor, training)

    def plain_loop() -> None:
        for row in range(arguments.experts):
            assert isinstance(module, FNO)
            network = PlainFNO(module, study.predictor.width, study.predictor.modes, study.predictor.projection)
            optimiser = torch.optim.AdamW(network.parameters(), lr=training.learning_rate)
            for _ in range(arguments.steps):
                trajectory = torch.randint(2, (training.batch,))
                begin = torch.randint(frames.shape[2] - training.unroll, (training.batch,))
                state, loss = frames[row, trajectory, begin], torch.zeros(())
                for ahead in range(1, training.unroll + 1):
                    state = network(state)
                    loss = loss + (state - frames[row, trajectory, begin + ahead]).square().mean()
                optimiser.zero_grad()
                (loss / training.unroll).sqrt().backward()
                nn.utils.clip_grad_norm_(network.parameters(), training.clip)
                optimiser.step()

    seconds: dict[str, list[float]] = {"stacked": [], "one by one": [], "plain loop": []}
    for round_ in range(arguments.rounds + 1):
        for name, train in (("stacked", stacked), ("one by one", one_by_one), ("plain loop", plain_loop)):
            with contextlib.redirect_stderr(io.StringIO()):  # progress bars
                started = time.perf_counter()
                train()
            if round_:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    print(
        f"{arguments.experts} experts, {arguments.steps} steps of batch {training.batch} and unroll {training.unroll}, "
        "one thread"
    )
    for name, values in seconds.items():
        ratios = [value / base for value, base in zip(values, seconds["stacked"], strict=True)]
        per_step = 1e3 * statistics.median(values) / arguments.steps
        print(
            f"{name:11s} {per_step:7.1f} ms a step of all; ratio to stacked: "
            f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
