"""Configurations of CoDA's adaptation task: what its published code sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from weightcast.environments.config.load import load_study
from weightcast.environments.plan import source_settings
from weightcast.systems.navier_stokes import CODA_SETTINGS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "trajectories", "frames", "frame_step"),
    [
        ("lotka-volterra", 4, 20, 0.5),
        ("glycolytic-oscillator", 32, 20, 0.05),
        ("gray-scott", 1, 10, 40.0),
        ("navier-stokes", 16, 10, 1.0),
    ],
)
def test_sizes_are_those_of_coda(name, trajectories, frames, frame_step, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = load_study(f"config/adaptation/{name}.yaml")
    assert study.evaluation.adaptation_scores
    assert (study.data.trajectories.train, study.data.trajectories.test) == (trajectories, 32)
    assert study.data.trained_frames == study.evaluation.observed[0].frames == study.baselines.finetune.frames == frames
    assert study.data.settings["frame_step"] == frame_step


def test_navier_stokes_has_the_settings_of_its_simulator(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = source_settings(load_study("config/adaptation/navier-stokes.yaml").data)
    assert found == {**CODA_SETTINGS, "trajectories": 16 + 1 + 32}  # one more, for choices
