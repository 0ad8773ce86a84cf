"""Predictors that are shown known inputs: steps, rollouts, derivatives, and the whole tiny study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from driven_study import driven_chain
from torch import Tensor
from torch.func import jacrev

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.draws import Draws
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.input_layout import InputLayout
from weightcast.core.nets.sizes import count_weights, kept_in_step
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork
from weightcast.environments.commands.untrained import untrained_predictor
from weightcast.environments.config.context import PolishSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.losses import rollout_rmse
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.rollout_jacobian import rollout, rollout_jacobian
from weightcast.environments.second_order_training import SecondOrderTraining
from weightcast.environments.study_sizes import StudySizes
from weightcast.environments.windows import Windows

LAYOUT = InputLayout(("push", "level", "hour"), ahead=(0,), calendar=(2,), past=(1,))
MAP = {"kind": "mlp", "width": 5, "depth": 2, "activation": "silu", "integrator": "map"}
KINDS: dict[str, dict[str, Any]] = {
    "map": MAP,
    "vector field": MAP | {"integrator": "rk4", "substeps": 2},
    "fno": {"kind": "fno", "width": 3, "modes": (1, 1), "depth": 1, "projection": 4},
    "uno": {"kind": "uno", "width": 2, "modes": [(1, 1)], "projection": 4},
    "unet": {"kind": "unet", "width": 2, "levels": 1},
    "stencil": {"kind": "stencil", "width": 3, "depth": 1, "substeps": 2},
}


def driven(kind: str) -> tuple[StackedPredictor, tuple[int, int], Tensor]:
    """A predictor of two channels, its grid, and weights of two members."""
    architecture = describe_architecture(PredictorSettings.model_validate(KINDS[kind]), 2, LAYOUT)
    predictor = StackedPredictor(build_predictor(architecture))
    own = predictor.graph.read(predictor.module)
    return predictor, (1, 1) if KINDS[kind]["kind"] == "mlp" else (4, 4), torch.stack([own, 0.9 * own])


def windows_of(grid: tuple[int, int]) -> Tensor:
    """[member, batch, frame, two channels and four inputs, y, x]."""
    return Draws("cpu", "windows").normal(2, 3, 6, 6, *grid)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_is_shown_each_steps_inputs_and_of_the_past_the_first(kind: str) -> None:
    predictor, grid, weights = driven(kind)
    windows = windows_of(grid)
    found = predictor.forecast(weights, windows)
    for member, own in enumerate(weights):
        network = build_predictor(describe_architecture(PredictorSettings.model_validate(KINDS[kind]), 2, LAYOUT))
        predictor.graph.write(network, own)
        state = windows[member, :, 0, :2]
        for step in range(5):
            known, past = windows[member, :, step, 2:5], windows[member, :, 0, 5:]
            state = network(torch.cat([state, known, past], 1)).detach()
            torch.testing.assert_close(found[member, :, step], state, rtol=1e-4, atol=1e-5)
    expected = (found - windows[:, :, 1:, :2]).square().mean((2, 3, 4, 5))
    torch.testing.assert_close(predictor.rollout_error(weights, windows), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_knows_changes_nothing_and_what_is_known_does(kind: str) -> None:
    predictor, grid, weights = driven(kind)
    windows = windows_of(grid)
    before = predictor.forecast(weights, windows)
    unknown, known = windows.clone(), windows.clone()
    unknown[:, :, 1:, :2] += 1.0  # states that are to be forecast
    unknown[:, :, 1:, 5] += 1.0  # what is known in the past alone
    unknown[:, :, -1] += 1.0  # what begins where the forecast ends
    assert predictor.forecast(weights, unknown).equal(before)
    known[:, :, 2, 2] += 1.0
    after = predictor.forecast(weights, known)
    assert after[:, :, :2].equal(before[:, :, :2])
    assert not after[:, :, 2:].isclose(before[:, :, 2:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_count_inputs(kind: str) -> None:
    predictor, grid, weights = driven(kind)
    settings = PredictorSettings.model_validate(KINDS[kind])
    assert count_weights(settings.root, 2, LAYOUT.shown) == weights.shape[1]
    plain, shown = describe_architecture(settings, 2), describe_architecture(settings, 2, LAYOUT)
    assert kept_in_step(shown, grid) >= kept_in_step(plain, grid)
    torch.testing.assert_close(predictor.graph.flatten(predictor.graph.unflatten(weights)), weights)


def test_without_inputs_a_driven_predictor_says_so() -> None:
    predictor, grid, weights = driven("map")
    with pytest.raises(ValueError, match="inputs: found none, expected 4 of 3 steps"):
        predictor.rollout(weights, windows_of(grid)[:, :, 0, :2], 3)


def test_derivatives_of_driven_rollouts_are_those_taken_backwards() -> None:
    predictor, _, weights = driven("vector field")
    weights = weights[0].double()
    frames = Draws("cpu", "frames").normal(3, 5, 6, 1, 1, dtype=torch.float64)

    def step(weights: Tensor, states: Tensor) -> Tensor:
        return predictor(weights[None], states[None])[0]

    starts, shown = frames[:, 0, :2], frames[:, :4, 2:]
    found = rollout_jacobian(step, weights, starts, 4, shown)
    whole = jacrev(lambda weights: rollout(step, weights, starts, 4, shown))(weights)
    torch.testing.assert_close(found, whole.flatten(2, 4), rtol=1e-10, atol=1e-12)


def test_a_second_order_training_sees_inputs() -> None:
    predictor, _, weights = driven("vector field")
    own = weights[0].double()
    frames = Draws("cpu", "frames").normal(3, 5, 6, 1, 1, dtype=torch.float64)
    training = SecondOrderTraining(Run(), predictor, PolishSettings())
    expected = predictor.forecast(own[None], frames[None])[0] - frames[:, 1:, :2]
    torch.testing.assert_close(training._residual(own, frames), expected.flatten())
    derivative = jacrev(lambda weights: training._residual(weights, frames))(own)
    torch.testing.assert_close(training._jacobian(own, frames), derivative, rtol=1e-9, atol=1e-11)
    assert len(training.held(frames[None], 2 * 4 * 2)[0]) == 2  # two states of four steps in each trajectory


def test_windows_of_observed_frames_hold_inputs_apart() -> None:
    predictor, grid, weights = driven("map")
    frames = windows_of(grid)
    gappy = frames.clone()
    gappy[:, 0, 1, :2] = torch.nan  # no rollout starts there, whatever is known of its inputs
    windows = Windows.of(gappy, frames, 2, 100, LAYOUT.shown)
    assert windows.start.shape[1:3] == (11, 2) and windows.inputs is not None
    residuals = windows.residuals(weights, torch.arange(2), predictor).view_as(windows.target)
    forecast = predictor.forecast(weights, frames[:, 0, None, 2:5])[:, 0]
    torch.testing.assert_close(residuals[:, 1], forecast - frames[:, 0, 3:5, :2])


def test_inputs_that_are_the_same_in_all_of_training_are_not_blown_up_elsewhere() -> None:
    frames = torch.cat([Draws("cpu", "frames").normal(4, 3, 1, 1), torch.full((4, 1, 1, 1), 7.3)], 1)
    normalisation = Normalisation.of(frames, inputs=1)
    assert normalisation.scale[-1] == 1.0
    torch.testing.assert_close(normalisation.apply_to_inputs(torch.full((1, 1, 1), 8.3)), torch.ones(1, 1, 1))
    states = normalisation.apply(frames[:, :3])
    torch.testing.assert_close(states, normalisation.apply(frames)[:, :3])
    torch.testing.assert_close(normalisation.invert(states), frames[:, :3])


def test_a_driven_study_goes_the_whole_way(tmp_path: Path) -> None:
    chain = driven_chain(tmp_path)
    sizes, predictor = StudySizes.of(chain.plan), untrained_predictor(chain.plan.study)
    assert (sizes.weights, sizes.frame) == (predictor.graph.num_parameters, (2 + 4) * 6 * 8)
    chain.train()
    tables = chain.finish()
    shown = tables.pop("show_rollouts")
    found = set().union(*(set(table.method) for table in tables.values() if "method" in table))
    expected = {"erm", "film", "finetune-erm", "generator-conditioned", "generator-paper", "one-per-env-erm", "context"}
    expected |= {"context-ensemble", "retrieved-expert", "code-adaptation", "finetune-erm-observed", "persistence"}
    expected |= {"weighted-experts-ensemble", "film-matched-observed", "generator-conditioned-observed"}
    assert expected <= found
    for name, table in tables.items():
        if "value" in table:
            assert np.isfinite(table.value).all(), name
    assert list(shown.data_vars) == ["u", "v"]


def test_a_pooled_network_learns_what_pushes(tmp_path: Path) -> None:
    """Half of what acts at both ends of a step explains nearly all of a change that nothing else does."""
    training = {"steps": 400, "learning_rate": 0.01, "unroll": 3, "batch": 4, "environments": 3}
    chain, errors = driven_chain(tmp_path, base={"erm": training}), {}
    folder, data = TrajectoryFolder(tmp_path / "trajectories"), chain.plan.study.data
    for name in ("with", "without"):
        if name == "without":
            chain.plan.study.data.inputs.clear()
        base = BaseNetwork.load(
            chain.run("train_base", f"base/{name}.safetensors", chain.inputs_of("train_base"), base="erm")
        )
        frames = base.normalisation.apply(folder.read(["low", "middle", "high"], data, "test", 5, inputs=True))
        errors[name] = rollout_rmse(base.weight_map.weights.expand(3, -1), frames, base.predictor)
    assert errors["with"] < 0.3 * errors["without"]
