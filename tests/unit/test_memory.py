"""The memory that jobs ask for, against what they were seen to take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.jobs import JOBS, Plan
from weightcast.environments.memory import LEAST_MB, memory_mb

ROOT = Path(__file__).parents[2]

# Largest resident set, MB, as Snakemake's benchmark files had it (torch 2.13, one thread, Linux).
MEASURED = {
    "config.yaml": [
        ("train_base", {"base": "erm"}, 557),
        ("train_base", {"base": "film-matched"}, 560),
        ("train_base", {"base": "hypernetwork"}, 562),
        ("train_experts", {"base": "conditioned", "shard": "visible-001"}, 711),
        ("train_experts", {"base": "conditioned", "shard": "unseen-000"}, 747),
        ("train_experts", {"base": "erm", "shard": "visible-000"}, 524),
        ("train_vae", {"arm": "paper"}, 516),
        ("train_diffusion", {"arm": "conditioned"}, 427),
        ("tune_generator", {"arm": "conditioned"}, 645),
        ("finetune_bases", {}, 587),
        ("regress_weights", {"base": "erm"}, 438),
        ("evaluate_weights", {"source": "bases"}, 737),
        ("evaluate_weights", {"source": "finetuned"}, 720),
        ("evaluate_weights", {"source": "generator-paper"}, 731),
        ("compare_with_experts", {}, 665),
    ],
    "config/lotka-volterra.yaml": [
        ("train_base", {"base": "conditioned"}, 393),
        ("train_experts", {"base": "erm", "shard": "visible-000"}, 411),
        ("train_vae", {"arm": "conditioned"}, 419),
        ("tune_generator", {"arm": "conditioned"}, 445),
        ("adapt_to_frames", {}, 415),
        ("evaluate_weights", {"source": "observed/10-frames"}, 409),
    ],
}


def plan_of(config: str) -> Plan:
    study = load_study(ROOT / config)
    return Plan(study, read_environments(ROOT / study.environments))


def changed(plan: Plan, **sections: dict[str, object]) -> Plan:
    """A plan whose study has other values in some sections."""
    settings = plan.study.model_dump(mode="json")
    for name, section in sections.items():
        settings[name] |= section
    return Plan(Study.model_validate(settings), plan.table)


@pytest.fixture(scope="module")
def default() -> Plan:
    return plan_of("config.yaml")


@pytest.mark.parametrize("config", MEASURED)
def test_jobs_ask_for_what_they_take_and_a_margin(config: str) -> None:
    plan = plan_of(config)
    for stage, of, megabytes in MEASURED[config]:
        asked = memory_mb(stage, plan, of)
        assert max(LEAST_MB, 1.15 * megabytes) <= asked <= 2.3 * megabytes, (stage, of)


def test_a_large_shard_asks_for_what_it_took(default: Plan) -> None:
    """256 experts of the default study together took 2.4 GB."""
    visible = tuple(default.table.visible) * 6
    rows = tuple(row.__class__(f"e{number}", row.parameters, "visible") for number, row in enumerate(visible[:128]))
    many = Plan(default.study, EnvironmentTable(rows, default.table.parameter_names, default.table.path))
    many = changed(many, zoo={"shard_environments": 128})
    asked = memory_mb("train_experts", many, {"base": "conditioned", "shard": "visible-000"})
    assert 1.2 * 2400 <= asked <= 2.3 * 2400


@pytest.mark.parametrize(
    ("stage", "sections"),
    [
        ("train_base", {"predictor": {"width": 120}}),
        ("train_experts", {"zoo": {"members": 200}}),
        ("train_experts", {"data": {"grid": [96, 96]}}),
        ("train_vae", {"zoo": {"members": 500}}),
        ("train_diffusion", {"predictor": {"width": 120}}),
        ("evaluate_weights", {"generator": {"samples": 400}}),
        ("regress_weights", {"zoo": {"members": 500}}),
        ("simulate", {"data": {"grid": [384, 384]}}),
    ],
)
def test_larger_studies_ask_for_more(stage: str, sections: dict[str, dict[str, object]], default: Plan) -> None:
    assert memory_mb(stage, changed(default, **sections), {}) > 1.3 * memory_mb(stage, default, {})


@pytest.mark.parametrize("config", ["config.yaml", "config/cylinder.yaml", "config/era5.yaml"])
def test_every_stage_has_a_size_and_without_wildcards_the_largest(config: str) -> None:
    plan = plan_of(config)
    for stage in JOBS:
        assert LEAST_MB <= memory_mb(stage, plan, {}) < 16_000
    for arm in plan.study.generator.arms:
        assert memory_mb("train_vae", plan, {"arm": arm}) <= memory_mb("train_vae", plan, {})


def test_memory_is_computed_without_torch() -> None:
    """Snakemake imports it in every process."""
    code = "import sys, weightcast.environments.memory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
