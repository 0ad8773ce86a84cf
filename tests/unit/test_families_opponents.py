"""Further opponents of inferred paths: the stage that scores them, on births and deaths."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from families_kit import birth_death_settings, normal_family, trained_birth_death
from test_families_config import mini

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.run import Run
from weightcast.families.config.load import parse_family_study
from weightcast.families.gathering import simulate_family
from weightcast.families.jobs import (
    EvaluateFamily,
    EvaluateOpponents,
    FamilyPlan,
    ResolveFamilyConfig,
    TrainConditionalFlow,
)
from weightcast.families.memory import memory_mb
from weightcast.families.report.comparison import environment_ratio
from weightcast.families.report.verdict import give_family_verdict
from weightcast.families.runtime import runtime_minutes
from weightcast.families.stages.evaluate_opponents import evaluate_opponents
from weightcast.families.stages.summarise_family import method_costs
from weightcast.families.stages.train_conditional_flow import train_conditional_flow

EVALUATION = {"shown": {"two": {"times": [1.4, 2.8], "samples": 100}}, "samples": 400}
"""Shown are times of visible snapshots; scored are 3.5, at which there is none, and 4.2."""


@pytest.fixture(scope="module")
def trained():
    return trained_birth_death()


def scored(trained, **opponents) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of metrics.csv and seconds of these opponents, in the environment that nobody has seen."""
    codes, snapshots, table = trained
    study = parse_family_study(
        mini(
            data=birth_death_settings().model_dump(mode="json"),
            evaluation=EVALUATION,
            logarithmic_parameters=[],
            opponents=opponents,
        )
    )
    found = evaluate_opponents(Run(), EvaluateOpponents.of(FamilyPlan(study), "0"), snapshots, table, codes, None)
    return found["metrics"].frame, found["seconds"].frame


def test_whoever_knows_the_equations_is_near_the_exact_law(trained):
    """100 samples of two times say births to two percent: the mean is off by less than 0.1 of the spread."""
    rows, seconds = scored(trained, rate_fit={})
    assert set(rows.method) == {"rate-fit-shown-two"} == set(seconds.method)
    assert set(rows.environment) == {"new"} and set(rows.horizon) == {5, 6}
    found = rows.groupby("metric").value.mean()
    assert found["mean_error"] < 0.1
    assert found["wasserstein"] < 0.5  # two sets of 400 of the same law: 0.2
    law = trained[2]["new"]
    assert law.parameters == {"birth": 9.0}


def test_interpolations_are_between_the_nearest_environments(trained):
    """Births of 9 lie between 8 and 10, whose laws are 1.2 molecules away in the end. Two sets of 400 samples of the
    new law are at 0.2 from each other."""
    rows, seconds = scored(trained, interpolation={"steps": 40})
    names = [
        f"{name}-{by}"
        for name in ("displaced-environments", "interpolated-path")
        for by in ("parameters", "likelihood-shown-two")
    ]
    assert set(rows.method) == set(names) == set(seconds.method)
    distance = rows[rows.metric == "wasserstein"].groupby("method").value.mean()
    assert (distance < 0.75).all()
    errors = rows[rows.metric == "mean_error"].groupby("method").value.mean()
    assert (errors < 0.2).all()
    assert set(rows[rows.metric == "nll"].method) == {name for name in names if name.startswith("interpolated")}


def test_studies_without_opponents_are_told_as_before():
    plan = FamilyPlan(parse_family_study(mini(opponents={}, paths__zoo=None)))
    with_some = FamilyPlan(parse_family_study(mini(opponents={"rate_fit": {"starts": 1}})))
    assert not plan.study.has_opponents and with_some.study.has_opponents
    assert "opponents" not in ResolveFamilyConfig.of(plan).config
    assert EvaluateFamily.of(plan, "0").digest == EvaluateFamily.of(with_some, "0").digest
    assert EvaluateOpponents.of(with_some, "0").digest != EvaluateOpponents.of(with_some, "1").digest


def test_the_verdict_compares_like_with_like():
    """What is shown samples is compared with what is shown samples, what is told parameters with what is told them; of
    whoever knows the equations it is said."""
    distances = {
        "path-shown-two": 2.0,
        "path-ensemble-shown-two": 2.1,
        "path-parameters": 1.8,
        "displaced-environments-parameters": 1.5,
        "interpolated-path-parameters": 1.2,
        "interpolated-path-likelihood-shown-two": 2.5,
        "alone-shown-two": 8.0,
        "pooled-path": 9.0,
        "rate-fit-shown-two": 1.6,
    }
    rows = [(name, "wasserstein", value) for name, value in distances.items()]
    rows += [("path-ensemble-shown-two", f"{quantity}_coverage_90", 0.9) for quantity in ("mean", "tail")]
    summary = pd.DataFrame(rows, columns=["method", "metric", "median"]).assign(split="interpolation")
    metrics = summary.rename(columns={"median": "value"}).assign(environment="a", seed=0, horizon=3)
    verdict = give_family_verdict(summary, metrics)

    assert "ahead of every baseline, in every case" in verdict.headline
    assert "0.800 times that of the best baseline (Interpolated paths, by likelihood, shown: two)" in verdict.paragraph
    assert "1.25 times that of rates fitted by whoever knows the equations" in verdict.paragraph
    assert (
        "W 1.80 of the path that regression says, 1.20 of the best opponent told as much (Interpolated"
        in verdict.paragraph
    )


def test_ratios_have_intervals_over_environments_and_seeds():
    """Of methods whose ratio is the same everywhere the interval is that ratio, however different environments are."""
    random = np.random.default_rng(0)
    errors = random.uniform(1, 9, (8, 3))
    rows = [
        (name, f"e{environment}", seed, time, factor * errors[environment, seed] * (1 + time))
        for name, factor in (("path-shown-two", 1.2), ("told-path", 1.0), ("pooled-path", 0.0))
        for environment in range(8)
        for seed in range(3)
        for time in range(2)
    ]
    metrics = pd.DataFrame(rows, columns=["method", "environment", "seed", "horizon", "value"])
    metrics = metrics.assign(split="interpolation", metric="wasserstein")

    same = environment_ratio(metrics, "path-shown-two", "told-path", "interpolation")
    assert same is not None and same == pytest.approx((1.2, 1.2, 1.2))
    noise = metrics["value"] * random.uniform(0.5, 1.5, len(metrics))
    noisy = metrics.assign(value=noise.where(metrics["method"] == "path-shown-two", metrics["value"]))
    found = environment_ratio(noisy, "path-shown-two", "told-path", "interpolation")
    assert found is not None and found.low < found.median < found.high
    assert environment_ratio(metrics, "path-shown-two", "pooled-path", "interpolation") is None
    assert environment_ratio(metrics, "path-shown-two", "nowhere", "interpolation") is None


def test_costs_are_those_of_what_a_method_builds_on():
    families = [
        {"told": told, "numbers": numbers, "seconds": float(numbers), "seconds_before": 1.0}
        for told, numbers in (("codes", 10), ("nothing", 20), ("flow", 30))
    ]
    names = {"interpolated-path-parameters": 11, "displaced-environments-likelihood-shown-two": 11,
             "displaced-environments-parameters": 0, "rate-fit-shown-two": 0, "pooled-path": 21,
             "conditional-flow-shown-two": 31}  # fmt: skip
    costs = method_costs(families, pd.DataFrame({"method": list(names), "seconds": 0.5}))
    assert {row["method"]: row["train_seconds"] for row in costs} == names


def diffusion_study(**opponents):
    """Two-dimensional diffusions of six visible noises and an unseen one; whole families take longer."""
    return parse_family_study(
        mini(
            data={
                "source": "ornstein-uhlenbeck",
                "state": "real",
                "dimensions": ["x", "y"],
                "trajectories": {"train": 60, "held_out": 80, "times": 6},
            },
            evaluation={"shown": {"two": {"times": [1, 2], "samples": 20}}, "samples": 80},
            logarithmic_parameters=["noise"],
            opponents=opponents,
        )
    )


def test_left_out_environments_choose_the_guidance_of_a_flow():
    """A guidance of 0 is told no parameters, and one of 30 leaves the data: neither is chosen."""
    noises = {"a": 0.3, "b": 0.5, "c": 0.8, "d": 1.2, "e": 2.0, "f": 3.0, "new": 1.5}
    rows = tuple(
        Environment(id, {"noise": noise}, "interpolation" if id == "new" else "visible") for id, noise in noises.items()
    )
    table = EnvironmentTable(rows, ("noise",), Path("noises.csv"))
    training = {"steps": 400, "learning_rate": 0.01}
    study = diffusion_study(flow_matching={"training": training, "width": 32, "guidances": [30.0, 1.0, 0.0]})
    plan = FamilyPlan(study)
    snapshots = simulate_family(study.data, table, 0)
    flow = train_conditional_flow(Run(), TrainConditionalFlow.of(plan, "0"), snapshots, table)

    assert flow.guidance == 1.0 == float(min(flow.metadata["guidances"], key=flow.metadata["guidances"].get))
    assert flow.metadata["seconds_before"] > 0 and flow.metadata["told"] == "flow"
    assert set(flow.metadata["curves"]) == {"conditional flow, 2 environments left out", "conditional flow"}
    codes = normal_family(1.0, [0.0, 1.0])  # the stage's, but for what it interpolates: which is not asked for here
    codes = dataclasses.replace(codes, ids=tuple("abcdef"))
    found = evaluate_opponents(Run(), EvaluateOpponents.of(plan, "0"), snapshots, table, codes, flow)["metrics"].frame
    assert set(found.method) == {"conditional-flow", "conditional-flow-shown-two"}
    distance = found[found.metric == "wasserstein"].groupby("method").value.mean()
    assert (distance < 1.5).all()  # two sets of 80 true samples: 0.5; the standard deviation is 1.4


def test_jobs_of_opponents_ask_for_what_they_need():
    plan = FamilyPlan(diffusion_study(rate_fit={}, interpolation={}, flow_matching={}))
    larger = FamilyPlan(diffusion_study(rate_fit={}, interpolation={"samples": 4000}, flow_matching={"curves": 4000}))
    for stage, of in (("evaluate_opponents", {"seed": "0"}), ("train_conditional_flow", {"seed": "0"})):
        assert runtime_minutes(stage, plan, of) < runtime_minutes(stage, larger, of)
    assert memory_mb("train_conditional_flow", plan, {}) < memory_mb("train_conditional_flow", larger, {})
    assert TrainConditionalFlow.of(plan, "0").digest != TrainConditionalFlow.of(larger, "0").digest
    # The network is an input of the evaluation, its settings are none of its business.
    settings = EvaluateOpponents.of(plan, "0")
    assert settings.opponents.flow_matching is None and settings.opponents.rate_fit is not None
