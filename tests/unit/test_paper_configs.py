"""The studies of config/paper: the sizes that are published, and tables that follow their rule (data/README.md)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from tiny_study import ROOT

from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.environments.commands.untrained import untrained_generator, untrained_predictor
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.jobs import Plan
from weightcast.environments.memory import LEAST_MB, memory_mb

PATHS = sorted((ROOT / "config" / "paper").glob("*.yaml"))
PAPER = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
# Values of each parameter, in the order of the columns, and how many of them visible environments have.
AXES = {
    "cylinder": ([np.linspace(200, 500, 31), np.linspace(10, 25, 16)], [12, 8]),
    "lambda-omega": ([np.linspace(0.6, 1.6, 31), np.linspace(0.05, 0.2, 16)], [12, 8]),
    "navier-stokes": ([np.linspace(8e-4, 1.2e-3, 31), np.linspace(0.06, 0.21, 16)], [12, 8]),
    "kolmogorov": ([np.linspace(30, 153, 124), np.linspace(2, 5, 4)], [32, 3]),
    "era5": ([np.linspace(-45, 45, 6), np.linspace(-171, 171, 20), np.linspace(1, 10, 4)], [4, 8, 3]),
}


def read(path: Path) -> tuple[Study, EnvironmentTable]:
    study = load_study(path)
    return study, read_environments(ROOT / study.environments)


def test_there_is_one_for_each_system() -> None:
    assert {path.stem for path in PATHS} == AXES.keys()


@PAPER
def test_check_accepts_it(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    shown, errors = run(capsys, "check", "--no-timing", "--config", path)
    assert errors == ""
    assert "9600 of visible environments, 100 each" in shown
    # Two zoos of 4.74 million numbers, of 9600 experts and one of each unseen environment, each once.
    (experts,) = re.findall(r"([0-9.]+) GB experts in .*, each in one file", shown)
    assert 360 < float(experts) < 400
    assert re.search(r"a zoo is 18[0-9.]+ GB, more than memory: 4 \(GB\): its weights are read as", shown)
    assert "at most 4 GB of networks' weights, or of a training step, at once (memory)" in shown
    asked = [float(number) for number in re.findall(r"([0-9.]+) GB [a-z_]+", shown.split("largest jobs:")[1])]
    assert len(asked) == 3 and max(asked) < 200


@PAPER
def test_no_job_asks_for_a_zoo(path: Path) -> None:
    """Those that go through it ask for what they train or compare, whatever the zoo's size."""
    study, table = read(path)
    more = study.model_copy(update={"zoo": study.zoo.model_copy(update={"members": 10_000})})
    for stage in ("train_vae", "train_diffusion", "regress_weights", "regress_latents", "compare_with_experts"):
        asked, of_more = (memory_mb(stage, Plan(one, table), {}) for one in (study, more))
        assert of_more <= 1.6 * asked, stage
    assert memory_mb("gather_zoo", Plan(more, table), {}) == LEAST_MB


@PAPER
def test_no_evaluation_asks_for_all_frames(path: Path) -> None:
    """Nor do they of a table ten times as long."""
    study, table = read(path)
    rows = [replace(row, id=f"{row.id}-{number}") for number in range(10) for row in table]
    longer = EnvironmentTable(tuple(sorted(rows, key=lambda row: row.role)), table.parameter_names, table.path)
    for stage in ("evaluate_weights", "evaluate_without_network", "show_rollouts"):
        asked, of_more = (memory_mb(stage, Plan(study, one), {}) for one in (table, longer))
        assert asked <= of_more < 16_000, stage


@PAPER
def test_predictor_has_the_published_size(path: Path) -> None:
    study, _ = read(path)
    graph = untrained_predictor(study).graph
    channels = len(study.data.channels)
    assert graph.num_nodes == 64 + 4 * 64 + 64 + channels  # 386 with two channels
    spectral = 4 * 64 * 64 * 2 * 12 * 6 * 2  # layers x in x out x blocks x modes x (real, imaginary)
    assert spectral < graph.num_parameters < 4.75e6
    assert sorted(study.predictor.modes) == [6, 12]  # type: ignore[union-attr]


def test_cylinder_has_386_nodes_on_the_published_grid() -> None:
    study, table = read(ROOT / "config" / "paper" / "cylinder.yaml")
    assert untrained_predictor(study).graph.num_nodes == 386
    assert study.data.grid == (64, 128)
    assert study.data.frames == 200
    assert (len(table), len(table.visible)) == (496, 96)


@PAPER
def test_zoo_and_generator_have_the_published_sizes(path: Path) -> None:
    study, table = read(path)
    assert study.zoo.members == 100
    assert len(table.visible) == 96
    assert max(study.evaluation.horizons) == 100
    arms = study.generator.arms
    assert {name: (arm.base, arm.end_to_end) for name, arm in arms.items()} == {
        "conditioned": ("conditioned", True),
        "paper": ("erm", False),
    }
    vae, diffusion = study.generator.of_arm("paper")
    assert (vae.width, vae.heads, vae.layers, vae.latent, vae.kl_weight) == (1024, 8, 4, 512, 1e-5)
    assert (diffusion.width, diffusion.heads, diffusion.layers) == (768, 12, 12)
    assert (diffusion.noise_steps, diffusion.prediction) == (1000, "epsilon")
    assert vae.training.learning_rate == diffusion.training.learning_rate == 1e-4
    with torch.device("meta"):
        generator = untrained_generator(study, table, "paper")
    parts = (generator.vae, generator.diffusion)
    numbers = sum(parameter.numel() for part in parts for parameter in part.parameters())
    assert numbers == pytest.approx(380e6, rel=0.05)  # published: about 380 million


@PAPER
def test_film_is_matched_in_evaluations_of_the_predictor(path: Path) -> None:
    study, table = read(path)
    zoo, base, tuning = study.zoo, study.base.conditioned, study.generator.end_to_end
    vae, _ = study.generator.of_arm("conditioned")
    evaluations = (
        base.steps * base.environments * base.batch * base.unroll
        + zoo.members * len(table.visible) * zoo.training.steps * zoo.training.batch * zoo.training.unroll
        + vae.training.steps * vae.batch * vae.functional_batch
        + tuning.training.steps * tuning.environments * tuning.training.batch * tuning.training.unroll
    )
    matched = study.baselines.film_matched
    assert matched.steps * matched.environments * matched.batch * matched.unroll == evaluations


@PAPER
def test_table_follows_its_rule(path: Path) -> None:
    """Visible where every parameter has one of a few evenly spread values, the outermost among them."""
    _, table = read(path)
    values, counts = AXES[path.stem]
    assert len(table) == math.prod(map(len, values))
    spread = [np.round(np.linspace(0, len(axis) - 1, count)) for axis, count in zip(values, counts, strict=True)]
    found = set()
    for environment in table:
        place = []
        for axis, value in zip(values, environment.parameters.values(), strict=True):
            index = int(np.abs(axis - value).argmin())
            assert value == pytest.approx(axis[index], rel=1e-4)  # tables round
            place.append(index)
        found.add(tuple(place))
        visible = all(index in chosen for index, chosen in zip(place, spread, strict=True))
        assert environment.role == ("visible" if visible else "interpolation"), environment.id
    assert len(found) == len(table)
