"""A diffusion over paths: the prior of a zoo's codes, who says whether it is better, and what is made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from families_kit import birth_death_settings, birth_death_table, normal_family, trained_birth_death
from refusals import refused
from test_families_config import mini
from test_families_left_out import normal_samples, table_of

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.run import Run
from weightcast.environments.config.code_prior import CodeDiffusionSettings
from weightcast.families import zoo_diffusion
from weightcast.families.cases import Case, cases_of
from weightcast.families.config.evaluation import FamilyEvaluationSettings
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.load import parse_family_study
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.jobs import EvaluateOpponents, FamilyPlan, TrainPathDiffusion, TrainPathZoo
from weightcast.families.memory import memory_mb
from weightcast.families.prior_choice import best_prior
from weightcast.families.public import PathFamily
from weightcast.families.runtime import runtime_minutes
from weightcast.families.stages.evaluate_opponents import evaluate_opponents
from weightcast.families.stages.summarise_family import method_costs
from weightcast.families.stages.train_path_diffusion import train_path_diffusion
from weightcast.families.stages.train_path_zoo import train_path_zoo
from weightcast.families.zoo_diffusion import compare_priors

FEW = CodeDiffusionSettings.model_validate(
    {"folds": 3, "parts": [1, 2], "training": {"steps": 1, "learning_rate": 0.01}}
)
CLUSTERS = [-9.2, -9.1, -9.0, -8.9, -8.8, -8.95, 9.2, 9.1, 9.0, 8.9, 8.8, 9.05]
SPREAD = [-1.6, -1.1, -0.8, -0.55, -0.3, -0.1, 0.1, 0.3, 0.55, 0.8, 1.1, 1.6]


def compared(visible: Sequence[float]) -> dict[str, np.ndarray]:
    """Two samples are shown of a normal law as wide as 4, whose mean is the code."""
    family = normal_family(4.0, list(visible))
    means = dict(zip(family.ids, visible, strict=True))
    snapshots, table = normal_samples(means, 4.0), table_of(means, False)
    study = parse_family_study(mini(paths__zoo={"diffusion": FEW.model_dump()}, opponents={}))
    evaluation = FamilyEvaluationSettings.model_validate({"shown": {"one": {"times": [1], "samples": 2}}})
    told = TrainPathDiffusion.of(FamilyPlan(study), "0").model_copy(update={"evaluation": evaluation})
    cases = cases_of(snapshots, list(means), evaluation.shown, 0)
    tests = TestEnvironment.each(snapshots, table, list(means), cases, told)
    inference = InferenceSettings(starts=4, steps=30, proposals=128, draws=32)
    return dict(compare_priors(Run(), family, cases, tests, FEW, inference, 3))


def test_left_out_environments_know_whether_one_normal_distribution_is_enough(monkeypatch):
    """Where codes lie in two narrow clusters, two samples and a prior that knows them say nearly all.

    A mixture is fitted in no time; that a diffusion finds clusters as well is tested in tests/unit/test_code_priors.py.
    """
    monkeypatch.setattr(zoo_diffusion, "PRIORS", ("gaussian", "mixture"))
    clusters, spread = compared(CLUSTERS), compared(SPREAD)
    assert clusters["gaussian"].shape == (1, len(CLUSTERS))
    assert clusters["mixture"].mean() < clusters["gaussian"].mean() - 0.03
    assert best_prior(clusters) == "mixture"
    assert best_prior(spread) == "gaussian"
    assert abs(spread["mixture"].mean() - spread["gaussian"].mean()) < 0.05


def test_no_prior_has_seen_the_environments_that_it_is_asked_of(monkeypatch):
    asked: list[str] = []

    def recorded(family, cases: Sequence[Case], tests, inference, seed):
        assert not set(family.ids) & set(cases[0].ids)
        assert [test.id for test in tests] == list(cases[0].ids)
        assert len(family.codes) == len(family.ids) == len(family.parameters) == len(CLUSTERS) - len(tests)
        asked.extend(cases[0].ids)
        return np.full((1, len(tests)), float(len(asked)))

    monkeypatch.setattr(zoo_diffusion, "ensemble_errors", recorded)
    monkeypatch.setattr(zoo_diffusion, "PRIORS", ("gaussian",))
    found = compared(CLUSTERS)["gaussian"]
    assert sorted(asked) == sorted(f"visible-{place}" for place in range(len(CLUSTERS)))
    assert (found > 0).all()  # each is asked


def plan(**zoo: object) -> FamilyPlan:
    own = {"knots": 5, "components": 2, "snapshots": 2, "training": {"steps": 20, "learning_rate": 0.002}}
    return FamilyPlan(
        parse_family_study(
            mini(
                data=birth_death_settings().model_dump(mode="json"),
                evaluation={"shown": {"two": {"times": [1.4, 2.8], "samples": 100}}, "samples": 100},
                inference={"starts": 2, "steps": 20, "proposals": 64, "draws": 8},
                logarithmic_parameters=[],
                opponents={},
                paths__zoo=own | zoo,
            )
        )
    )


DIFFUSION = {"folds": 2, "parts": [1, 2], "training": {"steps": 200, "learning_rate": 0.01}}


@pytest.fixture(scope="module")
def trained():
    family, snapshots, table = trained_birth_death()
    family = dataclasses.replace(family, metadata={"seconds": 3.0, "seconds_before": 1.0})
    told = plan(diffusion=DIFFUSION)
    zoo = train_path_zoo(Run(), TrainPathZoo.of(told, "0"), snapshots, family)
    return family, zoo, train_path_diffusion(Run(), TrainPathDiffusion.of(told, "0"), snapshots, table, zoo), snapshots


def test_it_is_told_to_its_own_job_alone():
    without, told = plan(), plan(diffusion=DIFFUSION)
    assert TrainPathZoo.of(without, "0").digest == TrainPathZoo.of(told, "0").digest
    assert EvaluateOpponents.of(without, "0").digest == EvaluateOpponents.of(told, "0").digest
    assert "diffusion" not in without.study.model_dump()["paths"]["zoo"]
    assert TrainPathDiffusion.of(told, "0").digest != TrainPathDiffusion.of(told, "1").digest
    assert memory_mb("train_path_diffusion", told, {"seed": "0"}) > 0
    longer = plan(diffusion={"training": {"steps": 200_000, "learning_rate": 0.01}})
    of = {"seed": "0"}
    assert runtime_minutes("train_path_diffusion", told, of) < runtime_minutes("train_path_diffusion", longer, of)


def test_the_zoo_under_its_prior_is_scored_beside_the_zoo(trained):
    family, zoo, diffusion, snapshots = trained
    settings = EvaluateOpponents.of(plan(diffusion=DIFFUSION), "0")
    found = evaluate_opponents(Run(), settings, snapshots, birth_death_table(), family, None, zoo, diffusion)
    rows, seconds = found["metrics"].frame, found["seconds"].frame
    names = {"path-zoo-diffusion-shown-two", "path-zoo-diffusion-ensemble-shown-two"}
    assert names < set(rows.method) == set(seconds.method)
    distance = rows[rows.metric == "wasserstein"].groupby("method").value.mean()
    assert (distance[sorted(names)] < 1.2).all()  # two sets of 100 of the same law: 0.4; the nearest visible law: 1.2
    described = [
        {"told": "codes", "numbers": 10, "seconds": 3.0, "seconds_before": 1.0},
        zoo.metadata | {"told": "codes", "numbers": 20},
        diffusion.metadata | {"told": "codes", "numbers": 30},
    ]
    costs = {row["method"]: row for row in method_costs(described, seconds)}
    took = 4.0 + zoo.metadata["seconds"] + diffusion.metadata["seconds"]
    for name in names:
        assert costs[name]["parameters"] == 30
        assert costs[name]["train_seconds"] == pytest.approx(took)
    assert costs["path-zoo-shown-two"]["parameters"] == 20


def test_python_has_the_prior_that_was_chosen(trained, tmp_path: Path):
    _, _, diffusion, _ = trained
    assert diffusion.metadata["zoo_prior"]["environments"] == len(diffusion.ids)
    assert set(diffusion.metadata["zoo_prior"]["nll"]) == {"gaussian", "diffusion"}
    study = plan(diffusion=DIFFUSION).study.model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(study))
    path = tmp_path / "zoo/diffusion-0.safetensors"
    diffusion.save(path)
    assert diffusion.mixture  # a mixture's tensors
    artifact = load_artifact(path)
    for chosen in ("gaussian", "diffusion"):
        prior = artifact.metadata["zoo_prior"] | {"chosen": chosen}
        save_artifact(path, "family", artifact.tensors, artifact.metadata | {"zoo_prior": prior})
        read = PathFamily.load(tmp_path, zoo=True).family
        assert bool(read.mixture) == (chosen == "diffusion")
    with refused("zoo_prior", "chosen"):
        save_artifact(path, "family", artifact.tensors, artifact.metadata | {"zoo_prior": {"chosen": "other"}})
        PathFamily.load(tmp_path, zoo=True)
    metadata = {name: value for name, value in artifact.metadata.items() if name != "zoo_prior"}
    save_artifact(path, "family", artifact.tensors, metadata)
    with refused("zoo_prior: missing"):
        PathFamily.load(tmp_path, zoo=True)
