"""Missing values: trainings, scores and fits are those of what is there, whatever stands in the place of the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.draws import Draws
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.input_layout import InputLayout
from weightcast.core.run import Run
from weightcast.environments.baselines.autoregression import AutoregressionFits, Moments, Scale
from weightcast.environments.baselines.boosted_trees import TreeSize, fit_trees
from weightcast.environments.baselines.damped_persistence import DampedPersistence
from weightcast.environments.baselines.in_context import observed_error, rollout_error
from weightcast.environments.baselines.next_frame import Records, error, roll_out
from weightcast.environments.baselines.seasonal import SeasonalClimatology
from weightcast.environments.calibration import _believable
from weightcast.environments.config.baselines import AutoregressionSettings, TreesSettings
from weightcast.environments.config.context import PolishSettings
from weightcast.environments.dataset import draw_windows
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.forecast_metrics import forecast_metrics
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.losses import environment_loss, held_out_errors
from weightcast.environments.missing_values import (
    WholeStarts,
    comparable,
    first_whole_states,
    observed_spread,
    usual_over_steps,
)
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.second_order_training import SecondOrderTraining
from weightcast.environments.transform import Transform
from weightcast.environments.windows import Windows

LAYOUT = InputLayout(("push", "level"), ahead=(0,), past=(1,))
"""Shown as push, push at the end of the step, level."""
MLP = {"kind": "mlp", "width": 5, "depth": 1, "activation": "silu", "integrator": "map"}
NAN = torch.nan


def driven(history: int = 1) -> tuple[StackedPredictor, Tensor]:
    """A predictor of two channels and three inputs that are shown, and weights of two members."""
    architecture = describe_architecture(PredictorSettings.model_validate(MLP), 2, LAYOUT, history)
    predictor = StackedPredictor(build_predictor(architecture, 1))
    own = predictor.graph.read(predictor.module)
    return predictor, torch.stack([own, 0.9 * own])


def gappy(share: float = 0.1, history: int = 1, batch: int = 4, frames: int = 6, inputs: int = 3) -> Tensor:
    """Windows [member, batch, frame, channel, 1, 1] of which so much is missing, here and there."""
    draws = Draws("cpu", "gappy windows", history)
    windows = draws.normal(2, batch, frames, 2 * history + inputs, 1, 1)
    lost = draws.uniform(*windows.shape) < share
    lost[:, 0, 0] = False  # one window begins whole
    return windows.masked_fill(lost, NAN)


def test_a_forecast_is_compared_as_far_as_its_start_and_its_inputs_are_known() -> None:
    windows = torch.zeros(4, 5, 5, 1, 1)  # [window, frame, two channels, push, next push, level]
    windows[0, 2, 1] = NAN  # a value alone
    windows[1, 0, 0] = NAN  # the start
    windows[2, 2, 3] = NAN  # an input of the third step
    windows[3, 1:, 4] = NAN  # what is known in the past alone need not be known later
    seen = comparable(windows, LAYOUT, 1)[..., 0, 0]
    expected = torch.ones(4, 4, 2, dtype=torch.bool)
    expected[0, 1, 1] = False
    expected[1] = False
    expected[2, 2:] = False
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("history", [1, 2])
def test_a_loss_is_that_of_the_values_that_are_there(history: int) -> None:
    predictor, weights = driven(history)
    windows = gappy(history=history)
    seen = comparable(windows, LAYOUT, history)
    assert 0.1 < float(seen.float().mean()) < 0.8
    forecast = predictor.forecast(weights, windows.nan_to_num())
    squares = (forecast - predictor.newest(windows)[:, :, 1:]).square()
    expected = torch.stack([own[where].mean().sqrt() for own, where in zip(squares, seen, strict=True)])
    found = environment_loss(predictor.rollout_error(weights, windows, missing=True))
    torch.testing.assert_close(found, expected)
    whole = gappy(0.0, history)
    told = predictor.rollout_error(weights, whole)
    torch.testing.assert_close(predictor.rollout_error(weights, whole, missing=True), told)


@pytest.mark.parametrize("garbage", [-3.0, 1e3])
def test_whatever_stands_in_a_gap_changes_neither_loss_nor_gradient(garbage, monkeypatch) -> None:
    def found() -> tuple[Tensor, Tensor]:
        predictor, weights = driven()
        weights.requires_grad_()
        loss = environment_loss(predictor.rollout_error(weights, gappy(), missing=True)).sum()
        loss.backward()
        assert weights.grad is not None
        return loss.detach(), weights.grad

    expected = found()
    monkeypatch.setattr(torch, "nan_to_num", lambda values, **_: torch.where(values.isnan(), garbage, values))
    for own, other in zip(found(), expected, strict=True):
        assert torch.equal(own, other) and bool(torch.isfinite(own).all())


def test_a_network_in_context_has_the_same_loss() -> None:
    architecture = describe_architecture(PredictorSettings.model_validate(MLP), 2, LAYOUT, 1) | {"constants": 2}
    network, windows, fields = build_predictor(architecture, 1), gappy(), Draws("cpu", "fields").normal(8, 2, 1, 1)
    states = windows[:, :, :, :2]
    windows[:, :, :, :2] = states.masked_fill(states.isnan().any(3, keepdim=True), NAN)  # both channels or none
    seen = comparable(windows, LAYOUT, 1)[..., 0, 0, 0]  # [environment, window, step]
    known, upto = windows.nan_to_num(nan=0.5).flatten(0, 1), [torch.zeros(2, 4)]
    for steps in range(1, windows.shape[2]):
        upto.append(steps * rollout_error(network, known[:, : steps + 1], fields).unflatten(0, (2, 4)))
    squares = torch.stack(upto, 2).diff(dim=2)
    expected = (squares * seen).sum((1, 2)) / seen.sum((1, 2))
    torch.testing.assert_close(observed_error(network, windows, fields).mean(1), expected, rtol=1e-4, atol=1e-5)
    whole = gappy(0.0)
    expected = rollout_error(network, whole.flatten(0, 1), fields).unflatten(0, (2, 4))
    torch.testing.assert_close(observed_error(network, whole, fields), expected)


def test_windows_begin_where_states_are_whole() -> None:
    frames = torch.arange(2 * 3 * 8, dtype=torch.float32).reshape(2, 3, 8, 1, 1, 1).repeat(1, 1, 1, 2, 1, 1)
    frames[0, 0, 2, 0] = NAN
    frames[0, 2] = NAN
    frames[1, 1, 0] = NAN
    starts = WholeStarts.of(frames, 4)
    assert starts is not None
    windows = draw_windows(frames, torch.tensor([0, 1]), 2000, 4, Draws("cpu", "drawn"), 0.25, starts)
    begins = windows[:, :, 0, 0, 0, 0]
    assert sorted(set(begins[0].tolist())) == [0.0, 1.0, 3.0, 4.0, 8.0, 9.0, 10.0, 11.0, 12.0]
    expected = [24.0 + start for start in range(5)] + [33.0 + start for start in range(4)]
    assert sorted(set(begins[1].tolist())) == expected + [40.0 + start for start in range(5)]
    at_first = float(torch.isin(begins[0], torch.tensor([0.0, 8.0])).float().mean())
    assert abs(at_first - (0.25 + 0.75 * 2 / 9)) < 0.04
    assert WholeStarts.of(frames[1:, 2:], 4) is None
    with pytest.raises(ValueError, match="found no whole state that 3 frames follow"):
        WholeStarts.of(frames[:1, 2:], 4)


def test_held_out_errors_are_those_of_what_is_there() -> None:
    predictor, weights = driven()
    frames = gappy(0.15, batch=3)
    frames[:, :, 0] = gappy(0.0, batch=3)[:, :, 0]
    found = held_out_errors(weights, predictor, frames, 3)
    alone = [environment_loss(predictor.rollout_error(weights, frames[:, :, :4], missing=True))]
    torch.testing.assert_close(found, torch.cat(alone))
    assert bool(torch.isfinite(found).all())


@pytest.mark.parametrize("history", [1, 2])
def test_second_order_residuals_and_their_derivative_are_zero_in_gaps(history: int) -> None:
    predictor, weights = driven(history)
    windows = gappy(history=history)[0].double()
    training = SecondOrderTraining(Run(), predictor, PolishSettings())
    predictor.module.double()
    residual, jacobian = training._errors(windows)
    seen = comparable(windows, LAYOUT, history).flatten()
    own = weights[0].double()
    found, whole = residual(own, windows), training._residual(own, windows.nan_to_num())
    assert torch.equal(found, torch.where(seen, whole, 0.0)) and 0 < int(seen.sum()) < seen.numel()
    expected = torch.func.jacrev(residual)(own, windows)
    torch.testing.assert_close(jacobian(own, windows), expected)
    assert not bool(jacobian(own, windows)[~seen].any())
    assert training._errors(windows.nan_to_num())[0] == training._residual


@pytest.mark.parametrize("transforms", [(), (Transform("log", 0.1), None)])
def test_scores_of_trajectories_with_a_missing_one_are_those_of_the_others(transforms) -> None:
    draws = Draws("cpu", "scores")
    truth, forecast = draws.normal(4, 6, 2, 3, 4).abs(), draws.normal(4, 6, 2, 3, 4).abs()
    members = forecast + draws.normal(5, 4, 6, 2, 3, 4).abs()
    lost = truth.clone()
    lost[1] = NAN
    kept = [0, 2, 3]
    noise = torch.full((6, 2), 0.3)

    def scores(truth: Tensor, rows: list[int]) -> dict[tuple[str, int], float]:
        found = [
            *forecast_metrics(forecast[rows], truth[rows], [2, 6]),
            *ensemble_metrics(members[:, rows], torch.ones(5), truth[rows], [2, 6], noise, transforms),
        ]
        return {(name, horizon): value for name, horizon, value in found}

    found, expected = scores(lost, [0, 1, 2, 3]), scores(truth, kept)
    assert found.keys() == expected.keys() and ("ssim", 6) in found
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-5), key
    # What a forecast says where nothing is known does not matter, to the last digit.
    forecast[1], members[:, 1] = NAN, torch.inf
    assert scores(lost, [0, 1, 2, 3]) == found


def test_steps_count_alike_however_much_of_each_is_missing() -> None:
    truth = torch.zeros(4, 2, 1, 1, 1)
    truth[:, :, 0, 0, 0] = torch.tensor([[1.0, 1.0], [-1.0, NAN], [1.0, NAN], [-1.0, -1.0]])
    forecast = truth.nan_to_num() + torch.tensor([1.0, 3.0])[None, :, None, None, None]
    spread = float(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]).std())
    found = {(name, horizon): value for name, horizon, value in forecast_metrics(forecast, truth, [1, 2])}
    assert found["rmse_physical", 2] == pytest.approx((0.5 * (1.0 + 9.0)) ** 0.5)
    assert found["rmse", 1] == pytest.approx(1.0 / spread, rel=1e-6)
    assert found["nmse", 2] == pytest.approx(5.0)
    scored = ensemble_metrics(forecast[None], torch.ones(1), truth, [1, 2])
    found = {(name, horizon): value for name, horizon, value in scored}
    assert found["crps", 2] == pytest.approx(0.5 * (1.0 + 3.0) / spread, rel=1e-6)
    truth[:, 1] = NAN
    assert {horizon for _, horizon, _ in forecast_metrics(forecast, truth, [1, 2])} == {1, 2}
    found = {(name, horizon): value for name, horizon, value in forecast_metrics(forecast, truth, [1, 2])}
    assert found["rmse", 2] == found["rmse", 1]


def test_calibration_is_that_of_the_trajectories_that_are_there() -> None:
    draws = Draws("cpu", "calibration")
    test, forecasts = draws.normal(5, 3, 5, 1, 1, 1), draws.normal(5, 8, 3, 4, 1, 1, 1)
    lost = test.clone()
    lost[:, 1, 1:] = NAN
    others = [0, 2]
    found, expected = _believable([forecasts], lost), _believable([forecasts[:, :, others]], test[:, others])
    torch.testing.assert_close(found[0], expected[0])
    assert found[1:] == pytest.approx(expected[1:], rel=1e-5)
    values = torch.tensor([[[1.0], [NAN]], [[3.0], [NAN]], [[NAN], [NAN]]])
    assert usual_over_steps(values).tolist() == [[1.0], [1.0]]


def test_frames_vary_as_those_that_are_whole() -> None:
    frames = Draws("cpu", "space").normal(3, 2, 10, 2, 1, 1)
    lost = frames.clone()
    lost[0, 1, 4, 1] = lost[2, 0, 7] = NAN
    found, expected = FrameSpace.of(lost), FrameSpace.of(frames.flatten(0, 2)[_whole(lost)][None, None])
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.variances, expected.variances)
    own = Normalisation.of(lost)
    for channel in range(2):
        known = lost[:, :, :, channel].flatten()
        known = known[~known.isnan()].double()
        assert own.mean[channel] == pytest.approx(float(known.mean()), rel=1e-12)
        assert own.scale[channel] == pytest.approx(float(known.std()), rel=1e-12)
    assert observed_spread(torch.tensor([[1.0, NAN]])).isnan().all()


def _whole(frames: Tensor) -> Tensor:
    return ~frames.flatten(0, 2).flatten(1).isnan().any(1)


def test_whole_states_come_again_where_there_are_few() -> None:
    frames = torch.arange(8.0).reshape(1, 2, 4, 1, 1, 1)
    frames[0, 0, 1:] = NAN
    frames[0, 1, 2:] = NAN
    assert first_whole_states(frames, 4).flatten().tolist() == [0.0, 4.0, 5.0, 0.0]


def test_rollouts_of_observed_frames_stop_at_unknown_inputs_and_begin_again_behind_them() -> None:
    frames = torch.arange(12.0).reshape(2, 1, 6, 1, 1, 1).repeat(1, 1, 1, 2, 1, 1)  # a channel and an input
    frames[0, 0, 2, 1] = NAN
    windows = Windows.of(frames, frames, None, 8, inputs=1)
    assert windows.start.flatten(1).tolist() == [[0.0, 3.0], [6.0, 9.0]]
    assert windows.observed.flatten(2).tolist() == [[[1, 1, 0, 0, 0], [1, 1, 0, 0, 0]], [[1, 1, 1, 1, 1], [0] * 5]]
    assert windows.target.flatten(2)[0].tolist() == [[1, 2, 0, 0, 0], [4, 5, 0, 0, 0]]
    assert windows.inputs is not None and bool(torch.isfinite(windows.inputs).all())
    assert windows.counts.tolist() == [4.0, 5.0]


def _records(lost: bool) -> Records:
    """Three environments with five trajectories, of which one, if lost, is known in its first frame alone."""
    random = np.random.default_rng(3)
    states, inputs = random.normal(size=(3, 5, 30, 2)).cumsum(axis=2), random.normal(size=(3, 5, 30, 1))
    if lost:
        states[:, 2, 1:] = np.nan
    return Records(states, inputs)


def _others(records: Records) -> Records:
    kept = [0, 1, 3, 4]
    return Records(records.states[:, kept], records.inputs[:, kept])


def test_regressions_are_fitted_to_what_is_there_and_judged_by_it() -> None:
    lost, kept = _records(True), _others(_records(False))
    settings = AutoregressionSettings(penalties=[0.01])
    scale = Scale.of(kept)
    np.testing.assert_allclose(Moments.of(lost, scale).gram, Moments.of(kept, scale).gram)
    trees = TreesSettings()
    fitted, expected = (fit_trees(each, TreeSize(5, 4), trees) for each in (lost, kept))
    told = kept.before[:, :, 3]
    np.testing.assert_allclose(fitted(told), expected(told))
    autoregression = AutoregressionFits(kept, kept, settings).pooled()
    assert error(autoregression, lost) == pytest.approx(error(autoregression, kept))
    missing = Records(kept.states.copy(), kept.inputs.copy())
    missing.states[0, 0, 4, 1] = missing.inputs[1, 1, 2] = np.nan
    assert np.isnan(missing.ahead[1, 1]).any(axis=1).tolist() == [False] * 2 + [True] * 27
    assert np.isnan(missing.ahead).sum() == 1 + 27 * 2
    both = AutoregressionFits(missing, missing, settings)
    assert np.isfinite(both.pooled().coefficients).all() and np.isfinite(error(both.pooled(), missing))
    assert np.isfinite(roll_out(fit_trees(missing, TreeSize(5, 4), trees), missing, 8)).all()  # trees take gaps


def test_forecasts_without_a_network_are_fitted_to_what_is_there() -> None:
    draws = Draws("cpu", "without a network")
    frames, angles = draws.normal(2, 4, 12, 1, 1, 2), draws.uniform(2, 4, 12)
    calendar = torch.stack([(6.28 * angles).sin(), (6.28 * angles).cos()], -1)
    lost, kept = frames.clone(), [0, 2, 3]
    lost[:, 1] = NAN
    climatology = frames[:, kept].mean((0, 1, 2))
    expected = DampedPersistence.fit(frames[:, kept])
    found = DampedPersistence.fit(lost)
    torch.testing.assert_close(found.climatology, climatology)
    torch.testing.assert_close(found.damping, expected.damping)
    season = SeasonalClimatology.fit(lost, calendar)
    own = SeasonalClimatology.fit(frames[:, kept], calendar[:, kept])
    torch.testing.assert_close(season.coefficients, own.coefficients, rtol=1e-4, atol=1e-5)
