"""How far a posterior is believed: a map that is right is believed more than one that is wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.calibration import SHOWN, _believable, calibrate, observations
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.context import Calibration
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.predictor import StackedPredictor

FRAMES = 20


class Decay(StackedPredictor):
    """A predictor whose only weight is the factor from a frame to the next."""

    def __init__(self) -> None:
        """Without a network behind it."""

    def rollout(self, weights: Tensor, initial: Tensor, steps: int, inputs: Tensor | None = None) -> Tensor:
        factor = weights[:, :, None, None, None]
        return torch.stack([initial * factor**step for step in range(1, steps + 1)], 2)


def trajectories(factors: Tensor, count: int, drift: float, seed: str) -> Tensor:
    """[environment, trajectory, frame, 1, 2, 2]: decay, and beside it a push that no factor explains."""
    state, frames = Draws("cpu", seed).normal(len(factors), count, 1, 2, 2), []
    for _ in range(FRAMES):
        frames.append(state)
        state = factors[:, None, None, None, None] * state + drift
    return torch.stack(frames, 2)


def calibrated(drift: float):
    known = torch.linspace(0.6, 1.0, 12)[:, None]
    left_out = torch.tensor([0.63, 0.78, 0.87, 0.97])
    shown, test = trajectories(left_out, 1, drift, "shown"), trajectories(left_out, 2, drift, "test")
    space = FrameSpace.of(trajectories(known[:, 0], 2, drift, "space"))
    return calibrate(lambda codes: codes, Decay(), known, shown, test, space, RefineSettings(), [1e-3], 0)


@pytest.fixture(scope="module")
def right():
    return calibrated(0.0)


def test_a_map_that_is_right_leaves_no_error(right) -> None:
    assert torch.tensor(right.model_error).shape == (FRAMES - 1, 1)
    assert float(torch.tensor(right.model_error).max()) < 5e-3
    assert right.usual_residual < 1.5


def test_a_map_that_is_wrong_is_believed_less(right) -> None:
    wrong = calibrated(0.1)
    assert wrong.temper < right.temper
    assert float(torch.tensor(wrong.model_error).mean()) > 0.05
    assert wrong.usual_residual > 10


def test_fewer_and_noisier_frames_are_shown_as_well() -> None:
    frames = trajectories(torch.tensor([0.7, 0.9]), 1, 0.0, "frames")
    cases = observations(frames, 0)
    assert [case.shape[2] for case in cases] == [max(2, round(share * FRAMES)) for share, _ in SHOWN]
    for case, (_, noise) in zip(cases, SHOWN, strict=True):
        off = case - frames[:, :, : case.shape[2]]
        assert float(off.std()) == pytest.approx(noise, rel=0.4, abs=1e-6)


def test_a_better_map_leaves_less_and_never_more() -> None:
    settled = Calibration(0.1, [0.2], [[0.4, 0.4], [0.8, 0.8]], 2.0)
    better = settled.of_better_map([0.1], torch.tensor([[0.25, 1.0], [0.0625, 3.0]]))
    assert better.least_noise == [0.1]
    assert torch.allclose(torch.tensor(better.model_error), torch.tensor([[0.2, 0.4], [0.2, 0.8]]))
    assert (better.temper, better.usual_residual) == (0.1, 2.0)


@pytest.mark.parametrize(("noises", "widened"), [([1.0] * 10, False), ([0.2] * 6 + [1.0] * 4, True)])
def test_bands_hold_what_they_should_where_some_environments_are_noisier(noises: list[float], widened: bool) -> None:
    """Errors that are normal with a known deviation in each environment, about forecasts that are all the same."""
    scale = torch.tensor(noises)[:, None, None, None, None, None]
    test = scale * Draws("cpu", "noise").normal(len(noises), 50, 6, 1, 1, 1)
    forecasts = torch.zeros(len(noises), 4, 50, 5, 1, 1, 1)
    error, _, coverage = _believable([forecasts], test)
    assert coverage == pytest.approx(0.9, abs=0.05)
    usual = float(torch.tensor(noises).median())
    # Ten alike need their own deviation; the noisier of others need more than 1.2 times the median one.
    assert bool((error > 1.3 * usual).all()) == widened
