"""What docs/write_verdicts.py shows of frames, and how it counts what is said of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from docs_scripts import docs_script

from weightcast.environments.frames_verdict import FramesVerdict


@pytest.fixture
def script() -> Iterator[ModuleType]:
    with docs_script("write_verdicts") as module:
        yield module


def test_what_no_environment_does_is_as_long_as_what_is_shown(script: ModuleType) -> None:
    frames = torch.randn(2, 1, script.FAST * script.FRAMES, 2, 8, 12)
    others = {name: change(frames) for name, change in script.OTHERS.items()}
    assert all(other.shape[2] >= script.FRAMES for other in others.values())
    assert torch.equal(others["time backwards"][:, :, 0], frames[:, :, script.FRAMES - 1])
    assert torch.equal(others["four times too fast"][:, :, 1], frames[:, :, script.FAST])
    assert torch.equal(others["channels exchanged"][:, :, :, 0], frames[:, :, :, 1])
    assert torch.equal(others["one channel's sign changed"][:, :, :, 1], -frames[:, :, :, 1])


def test_those_that_are_not_judged_are_counted_apart(script: ModuleType) -> None:
    def verdict(fits: bool, judged: bool) -> FramesVerdict:
        return FramesVerdict(0.1, 0.05, 0.0, fits, [0.1], [], math.nan, judged)

    found = [verdict(True, True), verdict(True, False), verdict(False, True)]
    assert script.counted(found) == "1 of 3, 1 not to be told"
    assert script.counted(found[:1]) == "0 of 1"
