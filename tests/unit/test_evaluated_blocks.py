"""Evaluations with less memory than the test trajectories take: block by block, in the same numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_study import CHANNELS, ROOT, random_trajectories, tiny_config, write_table

from weightcast.core.environment_table import Environment, read_environments
from weightcast.core.run import Run
from weightcast.core.stored_tensor import stored_tensors, write_safetensors
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluated_together import COPIES, STACKED, environments_together, seen_together
from weightcast.environments.jobs import EvaluateWeights, EvaluateWithoutNetwork, Plan
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.evaluate_weights import evaluate_weights
from weightcast.environments.stages.evaluate_without_network import evaluate_without_network
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.trajectories import write_trajectories

MANY = 3 * STACKED + 5
LITTLE = partial(Run, memory=1e-6)
"""A thousand bytes: less than a frame of each environment."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("many")
    rows = [
        (f"e{number:02d}", ("visible", "interpolation")[number % 3 == 1], 0.5 + number / MANY) for number in range(MANY)
    ]
    for id, _, beta in rows:
        made = random_trajectories(id, beta)
        write_trajectories(folder / "trajectories" / f"{id}.nc", replace(made, values=beta * made.values))
    config = tiny_config(folder)
    config["evaluation"] |= {"adaptation_scores": True}
    return Plan(parse_study(config), read_environments(write_table(folder / "table.csv", rows)))


@pytest.fixture
def trajectories(plan: Plan) -> TrajectoryFolder:
    return TrajectoryFolder(Path(plan.table.path).parent / "trajectories")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many environments were read at once."""
    found: list[int] = []
    original = TrajectoryFolder.read_roles

    def noting(self: TrajectoryFolder, rows: Sequence[Environment], *rest: Any, **named: Any) -> torch.Tensor:
        found.append(len(rows))
        return original(self, rows, *rest, **named)

    monkeypatch.setattr(TrajectoryFolder, "read_roles", noting)
    return found


def weights_of(plan: Plan, folder: Path) -> WeightsFile:
    """A method of one network, one of three samples in some environments, whose weights stay in a file, and an
    ensemble with shares."""
    architecture = plan.study.predictor.model_dump() | {"channels": len(CHANNELS)}
    size = StackedPredictor.of_architecture(architecture).graph.num_parameters
    draws, ids = torch.Generator().manual_seed(0), [row.id for row in plan.table]
    some = ids[3:20] + ids[25:]
    drawn = {
        "erm": 0.3 * torch.randn(MANY, 1, size, generator=draws),
        "generator-paper": 0.3 * torch.randn(len(some), 3, size, generator=draws),
        "context-ensemble": 0.3 * torch.randn(MANY, 2, size, generator=draws),
    }
    write_safetensors(folder / "weights.safetensors", drawn, {})
    stored = stored_tensors(folder / "weights.safetensors")
    shares = torch.rand(MANY, 2, generator=draws)
    noise = [[0.1, 0.2]] * 4
    methods = [
        MethodWeights("erm", 0, ids, drawn["erm"], 0.0, 0.0, size),
        MethodWeights("generator-paper", 1, some, stored["generator-paper"], 0.0, 0.0, size),
        MethodWeights(
            "context-ensemble", 0, ids, stored["context-ensemble"], 0.0, 0.0, size, shares=shares, model_error=noise
        ),
    ]
    shared = {"architecture": architecture, "normalisation": {"mean": [0.1, -0.1], "scale": [2.0, 0.5]}, "case": {}}
    return WeightsFile.of(methods, shared)


def test_forecasts_of_weights_are_scored_the_same_to_the_last_bit(
    plan: Plan, trajectories: TrajectoryFolder, read: list[int], tmp_path: Path
) -> None:
    weights, settings = weights_of(plan, tmp_path), EvaluateWeights.of(plan, source="bases")
    whole = evaluate_weights(Run(), settings, weights, trajectories).frame
    assert read == [MANY]  # once, for all methods
    read.clear()
    parts = evaluate_weights(LITTLE(), settings, weights, trajectories).frame
    assert max(read) == STACKED and len(read) == 4 + 3 + 4
    assert np.isfinite(whole.value).mean() > 0.9
    pd.testing.assert_frame_equal(parts, whole, check_exact=True)


def test_forecasts_without_network_are_scored_the_same(
    plan: Plan, trajectories: TrajectoryFolder, read: list[int]
) -> None:
    settings = EvaluateWithoutNetwork.of(plan)
    whole = evaluate_without_network(Run(), settings, trajectories).frame
    read.clear()
    parts = evaluate_without_network(LITTLE(), settings, trajectories).frame
    assert max(read) == STACKED
    names = [name for name in whole.columns if name != "value"]
    pd.testing.assert_frame_equal(parts[names], whole[names])
    exact = whole.method == "persistence"
    assert (parts.value == whole.value)[exact].all() and set(whole.method[~exact]) == {
        "climatology",
        "damped-persistence",
    }
    # The mean frame is summed in double precision where frames do not fit.
    np.testing.assert_allclose(parts.value, whole.value, rtol=1e-5, atol=1e-6)


def test_blocks_are_of_whole_stacks_and_within_what_there_may_be() -> None:
    for numbers, budget in ((1, 10**6), (1000, 10**6), (10**6, 10**9), (10**6, 10)):
        together = environments_together(numbers, budget)
        assert together % STACKED == 0 and together >= STACKED
        assert together == STACKED or COPIES * together * numbers <= budget
        assert 1 <= seen_together(numbers, budget) <= max(1, budget // numbers)


def test_an_evaluation_takes_no_more_memory_for_more_environments(tmp_path: Path) -> None:
    """60 environments with 44 MB of test trajectories and 22 MB of training frames, with memory for the least block of
    twelve alone: 9 MB, and a copy of it."""
    script = tmp_path / "evaluate.py"
    script.write_text(
        """
import re, sys
from pathlib import Path
sys.path.insert(0, "tests/unit")
import numpy as np
from tiny_study import tiny_config, write_table
from weightcast.core.environment_table import read_environments
from weightcast.core.run import Run
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import EvaluateWithoutNetwork, Plan
from weightcast.environments.stages.evaluate_without_network import evaluate_without_network
from weightcast.trajectories import Trajectories, write_trajectories


def kilobytes(name):
    return int(re.search(rf"{name}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])


folder = Path(sys.argv[1])
rows = [(f"e{number:02d}", "visible", 0.5 + number / 60) for number in range(60)]
values = np.random.default_rng(0).standard_normal((4, 5, 2, 96, 96), dtype=np.float32)
for id, _, beta in rows:
    write_trajectories(
        folder / f"{id}.nc",
        Trajectories(values, ("u", "v"), 0.5 * np.arange(5), np.arange(96.0), np.arange(96.0), id, {"beta": beta}, {}),
    )
config = tiny_config(folder)
config["data"] |= {"grid": [96, 96], "frames": 5, "trained_frames": 5}
config["data"]["trajectories"] = {"train": 1, "validation": 1, "test": 2}
config["evaluation"]["horizons"] = [4]

# The first run imports what it needs.
for memory, some in ((4.0, rows[:1]), (0.004, rows), (4.0, rows)):
    plan = Plan(parse_study(config), read_environments(write_table(folder / "table.csv", some)))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = kilobytes("VmRSS")
    evaluate_without_network(Run(memory=memory), EvaluateWithoutNetwork.of(plan), TrajectoryFolder(folder))
    print((kilobytes("VmHWM") - before) / 1024)
""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "data")],
        cwd=ROOT,
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},  # what is freed is given back at once
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, little, whole = map(float, done.stdout.split())
    assert little < 50 < 85 < whole, (little, whole)  # megabytes
