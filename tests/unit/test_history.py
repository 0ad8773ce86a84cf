"""Predictors that see several frames: states of frames, rollouts, what is compared, and what is refused."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from tiny_study import CHANNELS, GRID, random_trajectories, tiny_config, write_config
from torch import Tensor
from torch.func import jacrev

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.config.training import PredictorTraining
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.job import StageSettings
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.input_layout import InputLayout
from weightcast.core.nets.sizes import count_weights, kept_in_step
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork
from weightcast.environments.baselines.in_context import in_context_weights
from weightcast.environments.baselines.next_frame import Records, roll_out
from weightcast.environments.commands.untrained import untrained_predictor
from weightcast.environments.config.context import PolishSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import Normalisation, TrajectoryFolder
from weightcast.environments.experts import plan_members, random_weights, train_experts
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.history import advanced, embedded, newest, recorded
from weightcast.environments.losses import rollout_rmse
from weightcast.environments.model import PhysicalPredictor
from weightcast.environments.observe import observe
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.rollout_jacobian import rollout, rollout_jacobian
from weightcast.environments.second_order_training import SecondOrderTraining
from weightcast.environments.smoothing import smoothed_starts
from weightcast.environments.windows import Windows
from weightcast.trajectories import write_trajectories

LAYOUT = InputLayout(("push", "hour"), ahead=(0,), calendar=(1,))
"""Three channels are shown of it."""
MAP = {"kind": "mlp", "width": 5, "depth": 2, "activation": "silu", "integrator": "map"}
KINDS: dict[str, dict[str, Any]] = {
    "mlp": MAP,
    "fno": {"kind": "fno", "width": 3, "modes": (1, 1), "depth": 1, "projection": 4},
    "uno": {"kind": "uno", "width": 2, "modes": [(1, 1)], "projection": 4},
    "unet": {"kind": "unet", "width": 2, "levels": 1},
    "stencil": {"kind": "stencil", "width": 3, "depth": 1, "substeps": 2},
}


def architecture_of(kind: str, history: int, inputs: InputLayout = LAYOUT) -> dict[str, Any]:
    return describe_architecture(PredictorSettings.model_validate(KINDS[kind]), 2, inputs, history)


def remembering(kind: str, history: int = 3) -> tuple[StackedPredictor, tuple[int, int], Tensor]:
    """A predictor of two channels, its grid, and weights of two members."""
    predictor = StackedPredictor(build_predictor(architecture_of(kind, history)))
    own = predictor.graph.read(predictor.module)
    return predictor, (1, 1) if kind == "mlp" else (4, 4), torch.stack([own, 0.9 * own])


def recurrence(a: float, b: float, count: int, frames: int) -> Tensor:
    """x_{t+1} = a x_t - b x_{t-1} from several pairs, in double precision [trajectory, frame, 1, 1, 1]."""
    values = [*Draws("cpu", "pairs").normal(2, count, dtype=torch.float64)]
    while len(values) < frames:
        values.append(a * values[-1] - b * values[-2])
    return torch.stack(values, 1)[..., None, None, None]


def follower(a: float, b: float) -> torch.nn.Module:
    """A network that makes exactly the next number of that recurrence: silu(z) - silu(-z) is z."""
    settings = {"kind": "mlp", "width": 4, "depth": 1, "activation": "silu", "residual": False}
    architecture = describe_architecture(PredictorSettings.model_validate(settings), 1, history=2)
    network = build_predictor(architecture).double()
    with torch.no_grad():
        first, last = network.layers[0], network.output
        first.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        last.weight.copy_(torch.tensor([[a, -a, -b, b]], dtype=torch.float64))
        first.bias.zero_()
        last.bias.zero_()
    return network


def test_states_are_frames_newest_first_and_are_taken_apart_again() -> None:
    frames = torch.arange(10.0).view(1, 5, 2, 1, 1)  # of frame t the channels are 2 t and 2 t + 1
    states = embedded(frames, 3)
    assert states[0, :, :, 0, 0].tolist() == [[4, 5, 2, 3, 0, 1], [6, 7, 4, 5, 2, 3], [8, 9, 6, 7, 4, 5]]
    assert recorded(states, 3).equal(frames) and newest(states, 3).equal(frames[:, 2:])
    assert advanced(states[:, 0], frames[:, 3]).equal(states[:, 1])
    assert embedded(frames, 1) is frames and recorded(frames, 1) is frames
    assert embedded(frames[:, :2], 3).shape == (1, 0, 6, 1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_is_that_of_a_loop_over_its_own_frames(kind: str) -> None:
    predictor, grid, weights = remembering(kind)
    frames, shown = Draws("cpu", "frames").normal(2, 3, 8, 2, *grid), Draws("cpu", "shown").normal(2, 3, 6, 3, *grid)
    windows = torch.cat([embedded(frames, 3), shown], dim=3)  # [member, batch, 6 states, 6 channels and 3 inputs, y, x]
    found = predictor.forecast(weights, windows)
    for member, own in enumerate(weights):
        network = build_predictor(architecture_of(kind, 3))
        predictor.graph.write(network, own)
        past = [frames[member, :, 2], frames[member, :, 1], frames[member, :, 0]]
        for step in range(5):
            following = network(torch.cat([*past, shown[member, :, step]], 1)).detach()
            torch.testing.assert_close(found[member, :, step], following, rtol=1e-4, atol=1e-5)
            past = [following, *past[:2]]
    expected = (found - frames[:, :, 3:]).square().mean((2, 3, 4, 5))  # of the newest frames alone
    torch.testing.assert_close(predictor.rollout_error(weights, windows), expected)
    assert predictor.newest(windows).equal(frames[:, :, 2:]) and predictor.recorded(windows).equal(frames)
    settings = PredictorSettings.model_validate(KINDS[kind]).root
    assert count_weights(settings, 2, 2 * 2 + 3) == weights.shape[1]
    assert kept_in_step(architecture_of(kind, 3), grid) > kept_in_step(architecture_of(kind, 1), grid)


def test_a_recurrence_of_second_order_is_followed_exactly_in_physical_units() -> None:
    for a, b in ((1.8, 1.0), (1.2, 0.9)):  # environments
        frames = 3.0 + 10.0 * recurrence(a, b, 4, 20)
        normalisation = Normalisation((3.0, 3.0), (10.0, 10.0))
        model = PhysicalPredictor(follower(a, b), normalisation, {})
        found = model.rollout(frames[:, :2], 18)
        torch.testing.assert_close(found, frames[:, 2:], rtol=1e-9, atol=1e-9)
        with pytest.raises(InputError, match=r"expected \[batch, 2, 1, y, x\]: batch, frame, channel, y, x"):
            model.rollout(frames[:, 0], 2)
    # One frame is not enough for any network: the same one is followed by others.
    one, other = recurrence(1.8, 1.0, 4, 3)[0], recurrence(1.8, 1.0, 4, 3)[0].clone()
    other[0] = -other[0]
    assert not (1.8 * one[1] - one[0]).isclose(1.8 * other[1] - other[0]).all()


def test_experts_learn_the_recurrences_of_their_environments_from_two_frames_and_not_from_one() -> None:
    frames = torch.stack([recurrence(a, 1.0, 8, 14) for a in (1.8, 1.2)])
    frames, run, errors = (frames / frames.std()).float(), Run(), {}
    settings = PredictorTraining(steps=250, learning_rate=0.02, unroll=3, batch=8)
    kind = PredictorSettings.model_validate({"kind": "mlp", "width": 8, "depth": 1, "activation": "silu"})
    for history in (1, 2):
        architecture = describe_architecture(kind, 1, history=history)
        architecture["integrator"] = "map"
        predictor, members = StackedPredictor(build_predictor(architecture)), plan_members(["slow", "fast"], 1, 0)
        states = embedded(frames[:, :, 2 - history :], history)  # as many of them whatever the history
        start = random_weights(members, architecture)
        weights, _ = train_experts(run, start, members, states[:, :6], [0, 1], predictor, settings)
        errors[history] = rollout_rmse(weights, states[:, 6:, :5], predictor)
    assert errors[2] < 0.2 * errors[1], errors


def test_all_copies_of_a_channel_have_the_scale_of_the_newest() -> None:
    frames = torch.cat([5.0 * Draws("cpu", "frames").normal(3, 9, 1, 2, 2), torch.ones(3, 9, 1, 2, 2)], 2)
    frames[:, 0] += 100.0  # the first is in no newest copy
    states, inputs = embedded(frames, 2), torch.full((3, 8, 1, 2, 2), 7.0)
    found = Normalisation.of(torch.cat([states, inputs], 2), inputs=1, history=2)
    once = Normalisation.of(torch.cat([frames[:, 1:], inputs], 2), inputs=1)
    assert found.mean == (*once.mean[:2], *once.mean[:2], once.mean[2])
    assert found.scale == (*once.scale[:2], *once.scale[:2], once.scale[2])
    torch.testing.assert_close(found.apply(states), embedded(once.apply(frames), 2))
    torch.testing.assert_close(found.invert(once.apply(frames)), frames)
    assert Normalisation.of(frames, history=1) == Normalisation.of(frames)


def test_all_copies_of_a_channel_have_its_transform() -> None:
    frames = Draws("cpu", "frames").normal(3, 9, 2, 2, 2).exp()
    states = embedded(frames, 2)
    found = Normalisation.of(states, transforms=("log", None), history=2)
    once = Normalisation.of(frames[:, 1:], transforms=("log", None))
    assert found.transforms == (*once.transforms, *once.transforms) and found.physical_scale[2:] == once.physical_scale
    torch.testing.assert_close(found.apply(states), embedded(once.apply(frames), 2))
    torch.testing.assert_close(found.invert(found.apply(states)), states)
    assert Normalisation.from_metadata(found.metadata()) == found
    case, names = ObservedCase(frames=6, noise=2.0), ("log", None)
    seen = observe(states[:, None, :5], case, ["a", "b", "c"], 0, transforms=names, history=2)
    alone = observe(frames[:, None, :6], case, ["a", "b", "c"], 0, transforms=names)
    assert seen.equal(embedded(alone, 2)) and (alone[:, :, :, 0] == 0).any() and (alone[:, :, :, 1] < 0).any()


def test_derivatives_are_those_of_rollouts_whose_frames_are_fed_back() -> None:
    predictor, _, weights = remembering("mlp")
    own = weights[0].double()
    frames = Draws("cpu", "frames").normal(3, 6, 6 + 3, 1, 1, dtype=torch.float64)

    def step(weights: Tensor, states: Tensor) -> Tensor:
        return predictor(weights[None], states[None])[0]

    starts, shown = frames[:, 0, :6], frames[:, :5, 6:]
    found = rollout_jacobian(step, own, starts, 5, shown)
    whole = jacrev(lambda weights: rollout(step, weights, starts, 5, shown))(own)
    torch.testing.assert_close(found, whole.flatten(2, 4), rtol=1e-10, atol=1e-12)
    training = SecondOrderTraining(Run(), predictor, PolishSettings())
    expected = predictor.forecast(own[None], frames[None])[0] - frames[:, 1:, :2]
    torch.testing.assert_close(training._residual(own, frames), expected.flatten())
    derivative = jacrev(lambda weights: training._residual(weights, frames))(own)
    torch.testing.assert_close(training._jacobian(own, frames), derivative, rtol=1e-9, atol=1e-11)
    assert len(training.held(frames[None], 2 * 5 * 2)[0]) == 2  # two frames' channels of five steps in each trajectory


def test_a_frame_is_spoilt_once_in_all_states_that_it_is_in() -> None:
    frames, inputs = Draws("cpu", "frames").normal(2, 1, 7, 2, 4, 4), torch.ones(2, 1, 5, 1, 4, 4)
    case = ObservedCase(frames=6, noise=0.1, masked=0.25)
    found = observe(torch.cat([embedded(frames, 3), inputs], 3), case, ["a", "b"], seed=0, inputs=1, history=3)
    assert found.shape == (2, 1, 4, 7, 4, 4) and found[:, :, :, 6:].equal(inputs[:, :, :4])
    alone = observe(frames, case, ["a", "b"], seed=0)
    torch.testing.assert_close(recorded(found[:, :, :, :6], 3), alone, equal_nan=True)
    torch.testing.assert_close(found[:, :, :, :6], embedded(alone, 3), equal_nan=True)


def test_windows_start_from_states_and_are_compared_with_newest_frames() -> None:
    predictor, grid, weights = remembering("mlp")
    frames = torch.cat([embedded(Draws("cpu", "f").normal(2, 1, 8, 2, *grid), 3), torch.ones(2, 1, 6, 3, *grid)], 3)
    gappy = frames.clone()
    gappy[:, 0, 1, :2] = torch.nan  # whatever is known of the frames before it
    windows = Windows.of(gappy, frames, 2, 100, LAYOUT.shown, predictor.history)
    assert windows.start.shape[1:3] == (3, 6) and windows.target.shape[2:4] == (2, 2)
    residuals = windows.residuals(weights, torch.arange(2), predictor).view_as(windows.target)
    forecast = predictor.forecast(weights, frames[:, 0, None, 2:5])[:, 0]
    torch.testing.assert_close(residuals[:, 1], forecast - frames[:, 0, 3:5, :2])


def test_frames_without_a_whole_history_are_read_with_those_that_have_one(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)["data"] | {"history": 3, "frames": 7}
    data = DataSettings.model_validate(config)
    assert (data.recorded_frames, data.with_history(6), data.beside) == (9, 4, 4)
    found = random_trajectories("low", 0.5)
    write_trajectories(tmp_path / "low.nc", found)
    folder, values = TrajectoryFolder(tmp_path), torch.from_numpy(found.values[None])
    states = folder.read(["low"], data, "train", 4, inputs=True)
    assert states.equal(embedded(values[:, :3, :6], 3))
    assert folder.read(["low"], data, "train", 4).equal(values[:, :3, 2:6])
    assert folder.read(["low"], data, "test", inputs=True).equal(embedded(values[:, 4:], 3))
    with pytest.raises(InputError, match=r"low.nc.*found 9.*expected.*10"):
        folder.read(["low"], data.model_copy(update={"frames": 8}), "train")


def test_inputs_stand_behind_older_frames_at_the_same_times(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)["data"] | {"history": 2, "frames": 8, "channels": ["u"], "inputs": {"v": "past"}}
    data, found = DataSettings.model_validate(config), random_trajectories("low", 0.5)
    write_trajectories(tmp_path / "low.nc", found)
    seen = TrajectoryFolder(tmp_path).read(["low"], data, "train", 5, inputs=True)
    values = torch.from_numpy(found.values[None, :3])
    expected = torch.cat([values[:, :, 1:6, :1], values[:, :, :5, :1], values[:, :, 1:6, 1:]], dim=3)
    assert seen.equal(expected)


def test_one_frame_is_told_to_stages_as_before_there_was_the_setting(tmp_path: Path) -> None:
    class Told(StageSettings):
        data: DataSettings

    config = tiny_config(tmp_path)["data"]
    plain, same = (Told(data=DataSettings.model_validate(config | more)) for more in ({}, {"history": 1}))
    assert "history" not in plain.model_dump(mode="json")["data"] and plain.digest == same.digest
    other = Told(data=DataSettings.model_validate(config | {"history": 2}))
    assert other.model_dump(mode="json")["data"]["history"] == 2 and other.digest != plain.digest
    assert "history" not in describe_architecture(PredictorSettings.model_validate(MAP), 2)


def test_forecasts_go_on_from_the_last_frames_or_from_what_all_say_of_them() -> None:
    frames = recurrence(1.8, 1.0, 3, 12)
    models = [PhysicalPredictor(follower(1.8, 1.0), Normalisation((0.0, 0.0), (2.0, 2.0)), {}) for _ in range(2)]
    lags, none = [float(11 - place) for place in range(12)], torch.zeros(0, 1)
    found = smoothed_starts(models, frames, lags, 0.0, none, seed=0)
    assert found.shape == (2, 3, 2, 1, 1, 1)
    torch.testing.assert_close(found[0], frames[:, -2:])
    gappy = frames.clone()
    gappy[:, -1] = torch.nan  # the two before it say what it was
    torch.testing.assert_close(smoothed_starts(models, gappy, lags, 0.0, none, seed=0)[0], frames[:, -2:])
    gappy[:, ::2] = torch.nan
    with pytest.raises(InputError, match="expected 2 that follow each other"):
        smoothed_starts(models, gappy, lags, 0.0, none, seed=0)


def test_regressions_are_told_older_frames_and_feed_their_own_back() -> None:
    values = recurrence(1.8, 1.0, 4, 12)[None]
    records = Records.of(embedded(values, 2), 1, history=2)
    assert records.frames.shape == (1, 4, 11, 1) and records.before.shape == (1, 4, 10, 2)

    class Exact:
        numbers = 2

        def __call__(self, told: np.ndarray) -> np.ndarray:
            return 0.8 * told[..., :1] - told[..., 1:2]

    spoilt = replace(records, states=records.states.copy())
    spoilt.states[:, :, 1:] = np.nan  # what is to be forecast
    np.testing.assert_allclose(roll_out(Exact(), spoilt, 10), values[..., 2:, :, 0, 0].numpy(), rtol=1e-9, atol=1e-9)


def test_a_network_in_context_is_shown_every_frame_that_was_seen() -> None:
    settings = PredictorSettings.model_validate(MAP)
    architecture = describe_architecture(settings, 2, LAYOUT, 2) | {"constants": 4 * 2}

    predictor = StackedPredictor(build_predictor(architecture))
    own = SimpleNamespace(weights=predictor.graph.read(predictor.module))
    trained = cast(
        BaseNetwork, SimpleNamespace(metadata={"architecture": architecture}, predictor=predictor, weight_map=own)
    )
    frames = Draws("cpu", "frames").normal(1, 4, 2, 1, 1)
    seen = torch.cat([embedded(frames, 2), torch.ones(1, 3, 3, 1, 1)], 2)
    described, weights = in_context_weights(trained, seen, FrameSpace.of(seen[None]))
    found = StackedPredictor.of_architecture(described)
    assert found.history == 2
    assert found.graph.unflatten(weights)["fields"].flatten().tolist() == frames.flatten().tolist()
    expected = predictor.module(torch.cat([seen[:, -1], frames.flatten(1, 2)], 1))
    torch.testing.assert_close(found(weights, seen[None, :, -1])[0], expected)


@pytest.mark.parametrize("history", [0, -1, True, 1.5, "2", 10**9])
def test_an_architecture_with_another_history_cannot_be_built(history: object) -> None:
    with pytest.raises(InputError, match="architecture: cannot be built"):
        StackedPredictor.of_architecture(architecture_of("mlp", 1) | {"history": history})


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (
            "predictor",
            {**MAP, "integrator": "rk4"},
            "predictor.integrator: found 'rk4' with data.history 3, expected 'map'",
        ),
        ("baselines.equations", {"degree": 1}, "baselines.equations: found it with data.history 3, expected none"),
        ("explain", {"degree": 1}, "explain.equations: found it with data.history 3, expected none"),
        ("baselines.in_context.frames", 2, "baselines.in_context.frames: found 2 with data.history 3, expected 4"),
        ("baselines.finetune.frames", 3, "baselines.finetune.frames: found 3 with data.history 3, expected 4 or more"),
        ("baselines.finetune.frames", 8, r"found 8, expected at most data.trained_frames \(5 and 2 before them\)"),
        ("evaluation.observed", [{"frames": 5}, {"frames": 2}], "evaluation.observed.1.frames: found 2 .* expected 4"),
        ("evaluation.observed", [{"frames": 10}], r"found 10, expected at most data.frames \(7 and 2 before them\)"),
        ("data.history", 0, "data.history"),
    ],
)
def test_what_sees_one_frame_alone_is_refused_in_one_line(
    tmp_path: Path, place: str, value: object, words: str
) -> None:
    config = deepcopy(tiny_config(tmp_path))
    config["data"] |= {"history": 3, "frames": 7}
    config["evaluation"]["horizons"] = [1, 4, 6]
    section, key = config, place
    while "." in key:
        name, _, key = key.partition(".")
        section = section[name]
    if place == "predictor":
        config["data"]["grid"] = [1, 1]
    assert parse_study(yaml.safe_load(write_config(tmp_path / "right.yaml", _without(config)).read_text()))
    section[key] = value
    with pytest.raises(InputError, match=words):
        parse_study(config)


def _without(config: dict[str, Any]) -> dict[str, Any]:
    """The same configuration as it is accepted, whatever its grid."""
    return deepcopy(config) | {"data": config["data"] | {"grid": list(GRID)}}


def test_the_studys_predictor_takes_states_of_its_history(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config["data"] |= {"history": 3, "frames": 7}
    config["evaluation"]["horizons"] = [1, 4, 6]
    predictor = untrained_predictor(parse_study(config))
    states = torch.ones(1, 1, 3 * len(CHANNELS), *GRID)
    weights = predictor.graph.read(predictor.module)[None]
    assert predictor(weights, states).shape == (1, 1, len(CHANNELS), *GRID)
    assert predictor.rollout(weights, states, 4).shape == (1, 1, 4, len(CHANNELS), *GRID)
