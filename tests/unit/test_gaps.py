"""Gaps in frames, filled as the exact conditional normal distribution says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.gaps import FrameSpace

SHAPE = (2, 2, 3)


@pytest.fixture
def space() -> FrameSpace:
    draws = Draws("cpu", "space")
    basis = torch.linalg.qr(draws.normal(12, 4)).Q.mT.contiguous()
    return FrameSpace(draws.normal(12), basis, torch.tensor([4.0, 2.0, 1.0, 0.5]), torch.tensor(0.05))


def conditional(space: FrameSpace, frame: Tensor, noise: float) -> Tensor:
    """The mean of a frame's values given those that were observed, from the whole covariance matrix."""
    frame, seen = frame.flatten().double(), torch.isfinite(frame.flatten())
    components = space.components.double()
    signal = components.mT @ torch.diag(space.variances.double()) @ components
    whole = signal + (float(space.rest) + noise**2) * torch.eye(12).double()
    gain = torch.linalg.solve(whole[seen][:, seen], (frame - space.mean)[seen])
    return space.mean + signal[:, seen] @ gain


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_gaps_are_filled_by_the_conditional_mean(space, noise) -> None:
    frames = space.mean.reshape(SHAPE) + Draws("cpu", "frames").normal(5, *SHAPE)
    frames[:3, 0, 0] = torch.nan
    frames[3, :, :, 1] = torch.nan
    frames[4] = torch.nan
    found = space.complete(frames, noise).flatten(1)
    for frame, filled in zip(frames, found, strict=True):
        seen = torch.isfinite(frame.flatten())
        expected = conditional(space, frame, noise).float()
        if noise == 0.0:
            expected = torch.where(seen, frame.flatten(), expected)
        torch.testing.assert_close(filled, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[4], space.mean)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_gaps_are_drawn_from_the_conditional_distribution(space: FrameSpace, noise: float) -> None:
    frame = space.mean.reshape(SHAPE) + Draws("cpu", "frames").normal(*SHAPE)
    frame[:, :, 1:] = torch.nan
    drawn = space.draw(frame[None], 20_000, Draws("cpu", "draws"), noise)[:, 0].flatten(1)
    seen = torch.isfinite(frame.flatten())
    assert torch.equal(drawn[:, seen], frame.flatten()[seen].expand(len(drawn), -1))
    torch.testing.assert_close(drawn.mean(0)[~seen], conditional(space, frame, noise).float()[~seen], rtol=0, atol=0.05)
    components = space.components.double()
    signal = components.mT @ torch.diag(space.variances.double()) @ components
    whole = signal[seen][:, seen] + (float(space.rest) + noise**2) * torch.eye(int(seen.sum())).double()
    left = signal[~seen][:, ~seen] - signal[~seen][:, seen] @ torch.linalg.solve(whole, signal[seen][:, ~seen])
    left += float(space.rest) * torch.eye(len(left))
    torch.testing.assert_close(torch.cov(drawn[:, ~seen].T.double()), left, rtol=0, atol=0.06)
    again = space.draw(frame[None], 3, Draws("cpu", "draws"), noise)[:, 0].flatten(1)
    torch.testing.assert_close(again, drawn[:3])


def test_complete_frames_stay_as_they_are(space) -> None:
    frames = Draws("cpu", "frames").normal(2, 3, 4, *SHAPE)
    assert torch.equal(space.complete(frames), frames)
    frames[0, 0, 0, 0, 0, 0] = torch.nan
    filled = space.complete(frames)
    assert filled.shape == frames.shape and torch.isfinite(filled).all()
    assert torch.equal(filled[1], frames[1])
    alone = space.complete(frames[0, 0, 0])
    torch.testing.assert_close(alone, filled[0, 0, 0])


def test_components_are_those_of_the_frames() -> None:
    """Frames that vary along two patterns: both are found, and nothing is left beyond them."""
    draws = Draws("cpu", "components")
    patterns = torch.linalg.qr(draws.normal(12, 2)).Q.mT
    frames = 3.0 + (draws.normal(400, 2) * torch.tensor([2.0, 0.5])) @ patterns
    space = FrameSpace.of(frames.reshape(10, 4, 10, *SHAPE))
    torch.testing.assert_close(space.variances[:2], torch.tensor([4.0, 0.25]), rtol=0.2, atol=0.0)
    torch.testing.assert_close((space.components[:2] @ patterns.mT).abs(), torch.eye(2), atol=0.1, rtol=0.0)
    assert float(space.variances[2:].max()) < 1e-5
    gap = frames[:1].reshape(1, *SHAPE).clone()
    gap[:, 0, 0] = torch.nan  # two patterns, nine values: what is missing is determined
    torch.testing.assert_close(space.complete(gap).flatten(1), frames[:1], atol=0.05, rtol=0.0)


def test_a_space_survives_its_tensors(space) -> None:
    again = FrameSpace.from_tensors(space.tensors())
    frames = Draws("cpu", "frames").normal(2, *SHAPE)
    frames[:, 0, 0, 0] = torch.nan
    assert torch.equal(again.complete(frames), space.complete(frames))
