"""A network in context: what it is shown, that it is a predictor like any other, and that it uses what it sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_study import tiny_config
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment
from weightcast.core.graph import WeightGraph
from weightcast.core.methods import IN_CONTEXT, method
from weightcast.core.nets.build import build_predictor
from weightcast.core.nets.input_layout import InputLayout
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork
from weightcast.environments.baselines.in_context import contexts, draw_contexts, rollout_error
from weightcast.environments.config.condition import FramesSettings
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.jobs import TrainInContext
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.adapt_to_frames import adapt_in_context
from weightcast.environments.stages.train_in_context import train_in_context
from weightcast.environments.weights_table import WeightsFile
from weightcast.trajectories import Trajectories, write_trajectories

PLAIN = FramesSettings(noise=[0.0], masked=0.0, spacings=[1])


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """[environment, trajectory, frame, channel, y, x]; every value tells its frame."""
    number = torch.arange(3 * 2 * 8.0).reshape(3, 2, 8, 1, 1, 1)
    return number + 0.01 * torch.arange(2 * 4 * 4.0).reshape(2, 4, 4)


def test_the_earliest_frame_is_repeated_and_gaps_are_filled(frames: Tensor) -> None:
    space = FrameSpace.of(frames)
    shown = contexts(frames[:, 0, :2], 4, space).unflatten(1, (4, 2))
    assert torch.equal(shown, frames[:, 0, [0, 0, 0, 1]])
    shown = contexts(frames[:, 0, :7], 4, space).unflatten(1, (4, 2))
    assert torch.equal(shown, frames[:, 0, 3:7])  # the last ones
    gappy = frames[:, 0, :2].clone()
    gappy[..., 1:3] = torch.nan
    filled = contexts(gappy, 2, space).unflatten(1, (2, 2))
    torch.testing.assert_close(filled, frames[:, 0, :2], rtol=0, atol=0.05)


def test_drawn_observations_are_consecutive_frames_of_their_environment(frames: Tensor) -> None:
    rows = torch.arange(3).repeat(100)
    drawn = draw_contexts(frames, rows, 4, FrameSpace.of(frames), PLAIN, Draws("cpu", 1)).unflatten(1, (4, 2))
    numbers = drawn[:, :, 0, 0, 0]  # [observation, shown]
    assert torch.equal((numbers[:, -1] / 16).long(), rows)
    steps = numbers.diff(dim=1)
    assert set(steps.unique().tolist()) == {0.0, 1.0}
    assert (steps.diff(dim=1) >= 0).all()  # repetitions of the earliest come first
    seen = 1 + steps.sum(1)
    assert set(seen.tolist()) == {1.0, 2.0, 3.0, 4.0}
    spoilt = FramesSettings(noise=[0.5], masked=0.9, spacings=[1, 2])
    drawn = draw_contexts(frames, rows, 4, FrameSpace.of(frames), spoilt, Draws("cpu", 1))
    assert torch.isfinite(drawn).all()


@pytest.mark.parametrize(
    ("kind", "grid"),
    [
        ({"kind": "fno", "width": 4, "modes": [2, 2], "depth": 2, "projection": 4}, (8, 8)),
        ({"kind": "uno", "width": 3, "modes": [[2, 2]], "projection": 4, "residual": False}, (8, 8)),
        ({"kind": "unet", "width": 3, "levels": 1, "padding": "circular", "downsampling": "pooled"}, (8, 8)),
        ({"kind": "stencil", "width": 3, "depth": 2, "substeps": 2, "padding": "zeros"}, (8, 8)),
        ({"kind": "mlp", "width": 5, "depth": 2, "activation": "tanh"}, (1, 1)),
        ({"kind": "mlp", "width": 5, "depth": 2, "activation": "tanh", "integrator": "rk4"}, (1, 1)),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_with_its_context_it_is_a_predictor_of_frames(kind: dict, grid: tuple[int, int]) -> None:
    inner = kind | {"channels": 2, "constants": 6}
    network = build_predictor(inner, seed=4)
    architecture = {"kind": "in-context", "network": inner, "constants": 6, "grid": list(grid)}
    predictor = StackedPredictor.of_architecture(architecture)
    generator = torch.Generator().manual_seed(0)
    fields, states = torch.randn(3, 6, *grid, generator=generator), torch.randn(3, 5, 2, *grid, generator=generator)
    weights = WeightGraph(network).unflatten(WeightGraph(network).read(network))
    state = {f"network.{name}": value.expand(3, *value.shape) for name, value in weights.items()}
    flat = predictor.graph.flatten(state | {"fields": fields})
    found = predictor(flat, states)
    assert found.shape == states.shape
    for row in range(3):
        shown = torch.cat([states[row], fields[row].expand(5, -1, -1, -1)], 1)
        torch.testing.assert_close(found[row], network(shown), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(predictor(flat[[1, 1, 1]], states)[0], found[0])
    torch.testing.assert_close(predictor.graph.flat(predictor.graph.tokens(flat)), flat)


def test_a_driven_one_is_shown_inputs_of_steps_beside_what_was_observed() -> None:
    layout = InputLayout(("push", "level"), ahead=(0,), past=(1,))
    plain = {"kind": "mlp", "width": 5, "depth": 2, "activation": "tanh", "channels": 2, "constants": 4}
    network = build_predictor(plain | {"inputs": layout.describe()})
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(3, 4, 5, 1, 1, generator=generator)  # [window, frame, two channels and three inputs, y, x]
    fields = torch.randn(3, 4, 1, 1, generator=generator)
    state, error = windows[:, 0, :2], torch.zeros(3)
    for step in range(3):
        state = network(torch.cat([state, windows[:, step, 2:4], windows[:, 0, 4:], fields], 1))
        error += (state - windows[:, step + 1, :2]).square().mean((1, 2, 3)) / 3
    torch.testing.assert_close(rollout_error(network, windows, fields), error)
    # With what was observed as part of its weights it is a predictor that is shown the same.
    architecture = {"kind": "in-context", "network": plain | {"inputs": layout.describe()}, "constants": 4}
    predictor = StackedPredictor.of_architecture(architecture | {"grid": [1, 1], "inputs": layout.describe()})
    own = WeightGraph(network).unflatten(WeightGraph(network).read(network)[None])
    weights = {f"network.{name}": value.expand(3, *value.shape[1:]) for name, value in own.items()}
    flat = predictor.graph.flatten(weights | {"fields": fields})
    torch.testing.assert_close(predictor.rollout_error(flat, windows[:, None])[:, 0], error)


# --- the stage, on rotations whose speed nobody is told


FRAMES, SPEEDS = 9, np.linspace(0.2, 1.0, 9)


def states(speed: float, seed: int, count: int = 6) -> np.ndarray:
    """[trajectory, frame, channel, 1, 1]."""
    start = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, 1))
    angle = start + speed * np.arange(FRAMES)
    return np.stack([np.cos(angle), np.sin(angle)], 2)[..., None, None].astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[BaseNetwork, Path]:
    path, axis = tmp_path_factory.mktemp("rotations"), np.zeros(1)
    for number, speed in enumerate(SPEEDS):
        values = states(speed, number)
        record = Trajectories(values, ("p", "q"), np.arange(float(FRAMES)), axis, axis, f"e{number}", {})
        write_trajectories(path / f"e{number}.nc", record)
    settings = TrainInContext(
        environments=tuple(Environment(f"e{number}", {}, "visible") for number in range(len(SPEEDS))),
        data={
            "source": "netcdf",
            "channels": ["p", "q"],
            "grid": (1, 1),
            "frames": FRAMES,
            "trained_frames": FRAMES,
            "trajectories": {"train": 4, "validation": 1, "test": 1},
        },
        predictor={"kind": "mlp", "width": 8, "depth": 2, "activation": "gelu"},
        in_context={
            "frames": 3,
            "width": 48,
            "training": {"steps": 900, "learning_rate": 0.005, "unroll": 2, "batch": 16, "environments": 9},
        },
        frames={"noise": [0.0], "masked": 0.0, "spacings": [1]},
        seed=0,
    )
    made = train_in_context(Run(), settings, TrajectoryFolder(path))
    made.save(path / "in-context.safetensors")
    return BaseNetwork.load(path / "in-context.safetensors"), path


def test_what_it_is_shown_makes_its_forecast(trained: tuple[BaseNetwork, Path]) -> None:
    network, path = trained
    assert network.predictor.module.layers[0].weight.shape == (48, 2 + 3 * 2)
    unseen = (0.35, 0.75)
    observed = torch.stack([torch.from_numpy(states(speed, 70)[:1, :3]) for speed in unseen])
    test = torch.stack([torch.from_numpy(states(speed, 80)) for speed in unseen])
    space = FrameSpace.of(network.normalisation.apply(test))
    errors = {}
    for name, shown in (("own", observed), ("other", observed.flip(0)), ("one", observed[:, :, :1])):
        adapted = adapt_in_context(network, ["a", "b"], shown, space)
        WeightsFile.of([adapted], network.shared).save(path / "weights.safetensors")
        file = WeightsFile.load(path / "weights.safetensors")
        (read,) = file.methods
        assert read.normalisation == network.normalisation and read.parameters == network.learned
        predictor = file.predictor_of(read)
        forecast = predictor.rollout(read.weights[:, 0], network.normalisation.apply(test[:, :, 0]), 4)
        truth = network.normalisation.apply(test[:, :, 1:5])
        errors[name] = float((forecast - truth).square().mean().sqrt())
    assert errors["own"] < 0.85 * errors["one"] and errors["own"] < 0.7 * errors["other"], errors


def test_it_is_told_no_parameters_and_its_training_fits_the_data(tmp_path: Path) -> None:
    assert method(IN_CONTEXT).family == "baseline" and not method(IN_CONTEXT).told_parameters
    config = tiny_config(tmp_path)
    training = {"steps": 3, "learning_rate": 0.01, "unroll": 50, "batch": 2, "environments": 2}
    config["baselines"]["in_context"] = {"frames": 3, "width": 6, "training": training}
    with refused("baselines.in_context.training.unroll: found 50", "less than data.trained_frames"):
        parse_study(config)
