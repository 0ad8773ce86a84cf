"""Snapshots without a spread: found, and said by `check` and by the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run
from tiny_study import ROOT

from weightcast.samples.point_masses import point_masses


def test_points_and_what_is_nearly_one_are_found() -> None:
    spread = np.random.default_rng(0).normal(size=(40, 2))
    point = np.tile([3.0, 1.0], (40, 1))
    nearly = np.concatenate([point[:37], spread[:3]])
    half = np.concatenate([point[:20], spread[:20]])
    found = point_masses(np.array([0.0, 1.0, 2.0, 5.0]), [point, nearly, half, spread])
    assert [one.describe(("a", "b")) for one in found] == [
        "time 0: all samples are at a 3, b 1: a point",
        "time 1: 92% of the samples are at a 3, b 1: nearly a point",
    ]
    assert point_masses(np.zeros(1), [spread[:1]]) == []  # a single sample says nothing


def test_check_says_it_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    values = np.stack([np.full(60, 12), random.binomial(12, 0.6, 60), random.binomial(12, 0.4, 60)], axis=1)[..., None]
    np.save("mine.npy", values)
    run(capsys, "init", "--kind", "time", "--data", "mine.npy", "-o", "my.yaml")
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "time 0: all samples are at species_0 12: a point" in shown and errors == ""
    assert "see anchors.bridge.jumps: thinned" in shown
    Path("my.yaml").write_text(Path("my.yaml").read_text().replace("jumps: free", "jumps: thinned"))
    shown, _ = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "a point" in shown and "see anchors" not in shown


def test_check_says_it_of_a_simulator(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    shown, _ = run(capsys, "check", "--config", "config/epidemic.yaml", "--no-timing")
    assert "time 0: all samples are at S 50, I 10, R 0: a point" in shown
    shown, _ = run(capsys, "check", "--config", "config/ornstein-uhlenbeck.yaml", "--no-timing")
    assert "a point" not in shown
