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


def test_ways_of_seeing_hide_what_they_say(script: ModuleType) -> None:
    frames = torch.randn(1, 40, 2, 8, 12)
    shown = {name: change(frames[:, :10]) for name, change in script.SEEN.items()}
    hidden = {name: float(seen.isnan().float().mean()) for name, seen in shown.items()}
    assert hidden["10 frames, half masked"] == 0.5
    assert hidden["10 frames, a corner of 25 % masked"] == 0.25
    assert hidden["10 frames, a corner of 6 % masked"] == pytest.approx(0.0625)
    assert hidden["10 frames, every 4th pixel"] == pytest.approx(1 - 1 / 16)
    assert {seen.shape[1] for name, seen in shown.items() if name.startswith("2 ")} == {2}
    noise = shown["10 frames, 20 % noise"] - frames[:, :10]
    assert float(noise.std()) == pytest.approx(0.2, rel=0.1)
    for change in script.OTHERS.values():
        assert change(frames).shape[1] == script.FRAMES


def test_those_that_are_not_judged_are_counted_apart(script: ModuleType) -> None:
    def verdict(fits: bool, judged: bool) -> FramesVerdict:
        return FramesVerdict(0.1, 0.05, 0.0, fits, [0.1], [], math.nan, judged)

    found = [verdict(True, True), verdict(True, False), verdict(False, True)]
    assert script.counted(found) == "1 of 3, 1 not to be told"
    assert script.counted(found[:1]) == "0 of 1"
