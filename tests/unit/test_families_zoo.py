"""A zoo of paths: experts of births and deaths, and the family that their principal components make."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import yaml
from families_kit import birth_death_settings, trained_birth_death
from test_families_config import mini

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.families.code_regression import prior_of_parameters
from weightcast.families.config.load import parse_family_study
from weightcast.families.config.path_zoo import PathZooSettings
from weightcast.families.jobs import EvaluateOpponents, FamilyPlan, TrainPathZoo
from weightcast.families.path_zoo import principal_paths, train_experts
from weightcast.families.public import PathFamily
from weightcast.families.stages.evaluate_opponents import evaluate_opponents
from weightcast.families.stages.summarise_family import method_costs
from weightcast.families.stages.train_path_zoo import train_path_zoo
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.zoo_map import ZooMap, knot_shares, knot_times
from weightcast.systems.birth_death import birth_death

SETTINGS = {
    "knots": 5,
    "components": 2,
    "snapshots": 2,
    "training": {"steps": 60, "learning_rate": 0.002, "keep": "best"},
}
EVALUATION = {"shown": {"two": {"times": [1.4, 2.8], "samples": 100}}, "samples": 400}
INFERENCE = {"starts": 3, "steps": 60, "proposals": 64, "draws": 8}


def plan() -> FamilyPlan:
    return FamilyPlan(
        parse_family_study(
            mini(
                data=birth_death_settings().model_dump(mode="json"),
                evaluation=EVALUATION,
                inference=INFERENCE,
                logarithmic_parameters=[],
                opponents={},
                paths__zoo=SETTINGS,
            )
        )
    )


@pytest.fixture(scope="module")
def trained():
    """The shared map, and the zoo that began there."""
    family, snapshots, table = trained_birth_death()
    family = dataclasses.replace(family, metadata={"seconds": 3.0, "seconds_before": 1.0})
    zoo = train_path_zoo(Run(), TrainPathZoo.of(plan(), "0"), snapshots, family)
    return family, zoo, snapshots, table


def test_between_knots_weights_are_interpolated():
    at = knot_times(5)
    torch.testing.assert_close(knot_shares(at, 5), torch.eye(5), atol=1e-6, rtol=0)
    times = torch.tensor([-2.0, -0.9, 0.1, 0.75, 1.5])
    shares = knot_shares(times, 5)
    torch.testing.assert_close(shares.sum(1), torch.ones(5))
    torch.testing.assert_close(shares @ at, times.clamp(-1, 1), atol=1e-6, rtol=0)
    assert (shares > 0).sum(1).max() <= 2


def test_principal_components_are_a_map_with_codes_of_deviation_one():
    draws = Draws("cpu", 0)
    mean, directions, codes = draws.normal(4, 30), draws.normal(2, 4, 30), draws.normal(7, 2)
    experts = mean + torch.einsum("er,rkw->ekw", codes, directions)
    path_map, found = principal_paths(experts, 2)
    torch.testing.assert_close(found.std(0), torch.ones(2), atol=1e-4, rtol=0)
    for knot, time in enumerate(knot_times(4)):
        torch.testing.assert_close(path_map(time.expand(7), found), experts[:, knot], atol=1e-4, rtol=1e-4)
    middle = path_map(torch.zeros(7), found)  # the middle of four knots
    torch.testing.assert_close(middle, experts[:, 1:3].mean(1), atol=1e-4, rtol=1e-4)
    assert principal_paths(experts[:3], 2)[0].condition == 1  # two fewer than experts


def test_experts_are_no_worse_than_the_shared_map_on_samples_held_back(trained):
    family, _, snapshots, _ = trained
    settings = PathZooSettings.model_validate(SETTINGS)
    experts = train_experts(Run(), family, snapshots, settings, 3, "experts")
    assert experts.weights.shape[:2] == (len(family.ids), 5)
    before, after = experts.errors
    assert bool((after <= before + 1e-6).all())  # the first weights are kept where none is better
    assert float(after.mean()) < float(before.mean())


def test_the_zoo_is_near_the_law_of_an_environment_that_nobody_has_seen(trained):
    """Told births of 9, between 8 and 10, and nothing else."""
    _, zoo, _, table = trained
    scaled = zoo.scaling.apply(table.parameter_array(["new"]))
    code = prior_of_parameters(zoo, scaled)[0].mean
    law = birth_death(birth=9.0, death=0.8, molecules=12, horizon=4.2).law
    assert law is not None
    for time in (1.4, 3.5):
        weights = zoo.weights(torch.tensor([time], dtype=torch.double), code[None])
        mean = float(zoo.density.sample(weights, 4000, 0).mean())
        # Neighbouring visible laws are 10 % away.
        assert mean == pytest.approx(law.mean(time)[0], rel=0.08)


def test_it_is_scored_beside_the_shared_map(trained):
    family, zoo, snapshots, table = trained
    found = evaluate_opponents(Run(), EvaluateOpponents.of(plan(), "0"), snapshots, table, family, None, zoo)
    rows, seconds = found["metrics"].frame, found["seconds"].frame
    names = {"path-zoo-parameters", "path-zoo-shown-two", "path-zoo-ensemble-shown-two"}
    assert set(rows.method) == names == set(seconds.method)
    distance = rows[rows.metric == "wasserstein"].groupby("method").value.mean()
    assert (distance < 1.0).all()  # two sets of 400 of the same law: 0.2; the nearest visible law: 1.2
    described = [
        {"told": "codes", "numbers": 10, "seconds": 3.0, "seconds_before": 1.0},
        zoo.metadata | {"told": "codes", "numbers": 20},
    ]
    costs = {row["method"]: row for row in method_costs(described, seconds)}
    for name in names:
        assert costs[name]["parameters"] == 20
        assert costs[name]["train_seconds"] == pytest.approx(4.0 + zoo.metadata["seconds"])


def test_a_zoo_is_the_same_after_it_was_written(trained, tmp_path: Path):
    _, zoo, _, _ = trained
    zoo.save(tmp_path / "zoo.safetensors")
    read = TrainedFamily.load(tmp_path / "zoo.safetensors")
    times = torch.tensor([0.7, 3.3], dtype=torch.double)
    assert isinstance(read.map, ZooMap)
    assert torch.equal(read.weights(times, zoo.codes[:2]), zoo.weights(times, zoo.codes[:2]))
    assert read.metadata["zoo"]["experts"] == len(zoo.ids)


def test_an_environment_is_inferred_of_a_zoo_in_python(trained, tmp_path: Path):
    _, zoo, snapshots, _ = trained
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plan().study.model_dump(mode="json")))
    zoo.save(tmp_path / "zoo/zoo-0.safetensors")
    new = snapshots.environments["new"]
    law = PathFamily.load(tmp_path, zoo=True).infer({float(new.times[at]): new.train[at][:50] for at in (2, 4)})
    exact = birth_death(birth=9.0, death=0.8, molecules=12, horizon=4.2).law
    assert exact is not None
    assert law.sample([3.5], 4000)[0].mean() == pytest.approx(exact.mean(3.5)[0], rel=0.1)

    without = plan().study.model_dump(mode="json")
    del without["paths"]["zoo"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(without))
    with pytest.raises(InputError, match=r"paths\.zoo: found none"):
        PathFamily.load(tmp_path, zoo=True)


@pytest.mark.parametrize("changes", [{"rank": 3}, {"knots": 7}, {"knots": "5"}, {"kind": "deep"}, {"kind": "other"}])
def test_a_zoo_of_another_form_is_refused(trained, tmp_path: Path, changes):
    _, zoo, _, _ = trained
    path = tmp_path / "zoo.safetensors"
    zoo.save(path)
    artifact = load_artifact(path)
    with pytest.raises(InputError) as found:
        save_artifact(path, "family", artifact.tensors, artifact.metadata | {"map": artifact.metadata["map"] | changes})
        TrainedFamily.load(path)
    assert "\n" not in str(found.value)
