"""The time that jobs ask for, against what they were seen to take, and that every rule asks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.environment_table import read_environments
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.jobs import JOBS, Plan
from weightcast.environments.runtime import LEAST_MINUTES, runtime_minutes
from weightcast.evolution import runtime as of_time
from weightcast.evolution.jobs import TimePlan
from weightcast.studies import parse_any_study

ROOT = Path(__file__).parents[2]

# Seconds of processor time of the default study's jobs, as `weightcast check` rehearsed them on one core of two that
# were shared by five other processes: they count as slow ones.
REHEARSED = [
    ("train_base", {"base": "erm"}, 62),
    ("train_base", {"base": "conditioned"}, 173),
    ("train_base", {"base": "film-matched"}, 355),
    ("train_base", {"base": "hypernetwork"}, 113),
    ("train_context", {}, 745),
    ("train_in_context", {}, 223),
    ("train_experts", {"base": "erm", "shard": "visible-002"}, 73),
    ("train_experts", {"base": "conditioned", "shard": "visible-001"}, 35),
    ("train_vae", {"arm": "paper"}, 45),
    ("train_diffusion", {"arm": "conditioned"}, 32),
    ("tune_generator", {"arm": "conditioned"}, 83),
    ("finetune_bases", {}, 36),
    ("adapt_to_frames", {"case": "10-frames-noise-0.05"}, 554),
    ("describe_posteriors", {}, 97),
    ("evaluate_weights", {"source": "latents-conditioned"}, 36),
    ("compare_with_experts", {}, 72),
]


def plan_of(config: str) -> Plan:
    study = load_study(ROOT / config)
    return Plan(study, read_environments(ROOT / study.environments))


def changed(plan: Plan, **sections: object) -> Plan:
    """A plan whose study has other values in some sections."""
    settings = plan.study.model_dump(mode="json")
    for name, section in sections.items():
        settings[name] = settings[name] | section if isinstance(section, dict) else section
    return Plan(Study.model_validate(settings), plan.table)


@pytest.fixture(scope="module")
def default() -> Plan:
    return plan_of("config.yaml")


@pytest.mark.parametrize(("stage", "of", "seconds"), REHEARSED)
def test_jobs_ask_for_several_times_what_they_take(
    stage: str, of: dict[str, str], seconds: float, default: Plan
) -> None:
    asked = 60 * runtime_minutes(stage, default, of)
    assert 3 * seconds <= asked
    assert asked <= max(60 * LEAST_MINUTES, 12 * seconds)


@pytest.mark.parametrize(
    ("stage", "sections"),
    [
        ("train_base", {"data": {"grid": [96, 96]}}),
        ("train_experts", {"zoo": {"members": 200}}),
        ("train_vae", {"predictor": {"width": 200}}),
        ("simulate", {"data": {"grid": [768, 768]}}),
        ("evaluate_weights", {"generator": {"samples": 800}}),
        ("adapt_to_frames", {"data": {"grid": [96, 96]}}),
    ],
)
def test_larger_studies_ask_for_longer(stage: str, sections: dict[str, dict[str, object]], default: Plan) -> None:
    assert runtime_minutes(stage, changed(default, **sections), {}) > 1.5 * runtime_minutes(stage, default, {})


def test_on_a_gpu_trainings_ask_for_less_and_the_rest_for_the_same(default: Plan) -> None:
    gpu = changed(default, device="cuda")
    assert runtime_minutes("train_context", gpu, {}) < runtime_minutes("train_context", default, {}) / 2
    assert runtime_minutes("summarise", gpu, {}) == runtime_minutes("summarise", default, {})


@pytest.mark.parametrize("config", ["config.yaml", "config/lotka-volterra.yaml", "config/cylinder.yaml"])
def test_no_job_of_our_studies_asks_for_half_a_day(config: str) -> None:
    plan = plan_of(config)
    assert all(LEAST_MINUTES <= runtime_minutes(stage, plan, {}) <= 720 for stage in JOBS)


@pytest.mark.parametrize("config", ["config/epidemic.yaml", "config/cascade-2.yaml"])
def test_studies_across_time_ask_too(config: str) -> None:
    plan = TimePlan(parse_any_study(read_yaml(ROOT / config), config))  # type: ignore[arg-type]
    steps = plan.study.flow.likelihood_training
    longer = steps.model_copy(update={"steps": 50 * steps.steps})
    many = TimePlan(
        plan.study.model_copy(update={"flow": plan.study.flow.model_copy(update={"likelihood_training": longer})})
    )
    arm = {"arm": next(iter(plan.study.flow.arms))}
    assert of_time.LEAST_MINUTES <= of_time.runtime_minutes("train_flow", plan, arm) <= 720
    assert of_time.runtime_minutes("train_flow", many, arm) > 5 * of_time.runtime_minutes("train_flow", plan, arm)


def test_every_rule_that_is_submitted_says_what_it_needs() -> None:
    silent = []
    for file in ROOT.glob("rules/**/*.smk"):
        for block in re.split(r"^(?= *rule\b)", file.read_text(), flags=re.MULTILINE)[1:]:
            if re.search(r"^ +shell:", block, re.MULTILINE) and "localrule: True" not in block:
                named = f"{file.name}: {block.split(':')[0].strip()}"
                silent += [] if re.search(r"\*\*(needs|shared_resources)\(", block) else [named]
    assert not silent


def test_time_is_computed_without_torch() -> None:
    """Snakemake imports it in every process."""
    code = "import sys, weightcast.environments.runtime, weightcast.evolution.runtime; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
