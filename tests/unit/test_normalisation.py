"""Mean and scale of frames: of many in blocks as of few at once, and frames that are normalised where they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.environments import normalisation as module
from weightcast.environments.normalisation import Normalisation


def frames_with(gaps: bool) -> Tensor:
    """Frames [environment, trajectory, frame, channel, y, x] of three channels, the last one an input that is constant
    where it is known."""
    frames = torch.randn(3, 2, 7, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    frames = frames * torch.tensor([2.0, 0.01, 0.0])[:, None, None] + torch.tensor([-1.0, 300.0, 5.0])[:, None, None]
    if gaps:
        frames[1, :, 2:, :2] = torch.nan
        frames[2, 1, 3, 0, 1, 1] = torch.nan
    return frames


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("at_once", [1, 70, 401])
def test_moments_in_blocks_are_those_of_all(at_once: int, gaps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_with(gaps)
    whole = Normalisation.of(frames, inputs=1)
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    parts = Normalisation.of(frames, inputs=1)
    seen = frames.movedim(3, 0).flatten(1).double()
    for channel, own in enumerate(seen[:2]):
        values = own[own.isfinite()]
        assert parts.mean[channel] == pytest.approx(float(values.mean()), rel=1e-12)
        assert parts.scale[channel] == pytest.approx(float(values.std()), rel=1e-9)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-12)
    assert parts.scale == pytest.approx(whole.scale, rel=1e-9)
    assert parts.scale[2] == 1.0


@pytest.mark.parametrize("gaps", [False, True])
def test_frames_are_normalised_where_they_are_to_the_same_numbers(gaps: bool) -> None:
    frames = frames_with(gaps)
    transforms = (None, "sqrt") if gaps else ()  # the second channel is positive
    normalisation = Normalisation.of(frames, 1, transforms)
    expected = normalisation.apply(frames)
    place = frames.data_ptr()
    found = normalisation.apply_in_place(frames)
    assert found.data_ptr() == place
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0, equal_nan=True)
