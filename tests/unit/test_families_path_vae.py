"""An autoencoder over paths: what it codes, the family that it makes, and what is refused on reading."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import yaml
from families_kit import birth_death_settings, trained_birth_death
from refusals import refused
from test_families_config import mini

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.families import inference
from weightcast.families.code_regression import prior_of_parameters
from weightcast.families.config.load import parse_family_study
from weightcast.families.inference import ShownSamples, log_likelihood
from weightcast.families.jobs import EvaluateOpponents, FamilyPlan, TrainPathExperts, TrainPathVae, TrainPathZoo
from weightcast.families.memory import memory_mb
from weightcast.families.path_experts import PathExperts, weights_at
from weightcast.families.path_vae import PathVAE
from weightcast.families.public import PathFamily
from weightcast.families.runtime import runtime_minutes
from weightcast.families.stages.evaluate_opponents import evaluate_opponents
from weightcast.families.stages.summarise_family import method_costs
from weightcast.families.stages.train_path_experts import train_path_experts
from weightcast.families.stages.train_path_vae import train_path_vae
from weightcast.families.stages.train_path_zoo import train_path_zoo
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.zoo_map import knot_times
from weightcast.systems.birth_death import birth_death

VAE = {"code": 2, "width": 16, "heads": 2, "batch": 6, "training": {"steps": 300, "learning_rate": 0.01}}


def plan(**zoo: object) -> FamilyPlan:
    own = {"knots": 4, "components": 2, "snapshots": 2, "training": {"steps": 40, "learning_rate": 0.002}}
    return FamilyPlan(
        parse_family_study(
            mini(
                data=birth_death_settings().model_dump(mode="json"),
                evaluation={"shown": {"two": {"times": [1.4, 2.8], "samples": 100}}, "samples": 200},
                inference={"starts": 2, "steps": 30, "proposals": 32, "draws": 4},
                logarithmic_parameters=[],
                opponents={},
                paths__zoo=own | zoo,
            )
        )
    )


@pytest.fixture(scope="module")
def trained():
    """The shared map, experts that began there, their zoo, and the autoencoder of their paths."""
    family, snapshots, table = trained_birth_death()
    family = dataclasses.replace(family, metadata={"seconds": 3.0, "seconds_before": 1.0})
    told = plan(vae=VAE)
    experts = train_path_experts(Run(), TrainPathExperts.of(told, "0"), snapshots, table, family)
    zoo = train_path_zoo(Run(), TrainPathZoo.of(told, "0"), snapshots, family, experts)
    vae = train_path_vae(Run(), TrainPathVae.of(told, "0"), snapshots, zoo, experts)
    return family, experts, zoo, vae, snapshots, table


def new_vae(family: TrainedFamily, **changes: int) -> PathVAE:
    sizes = {"condition": 2, "rank": 2, "knots": 4, "width": 8, "heads": 2, "layers": 1} | changes
    torch.manual_seed(0)
    return PathVAE(family.density.graph, family.density.graph.num_parameters, kind="vae", **sizes)


def test_what_is_decoded_is_around_the_mean_path_in_units_of_each_layer(trained):
    family, experts, *_ = trained
    vae, paths = new_vae(family), experts.of_visible.weights
    vae.fit_statistics(paths)
    for layer in vae.unembed:  # whose decoder says nothing
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    times = knot_times(4)
    decoded = vae(times, Draws("cpu", 0).normal(4, 2))
    torch.testing.assert_close(decoded, paths.mean(0))
    for layer in vae.standardise(paths - paths.mean(0)):
        assert float(layer.square().mean()) == pytest.approx(1.0, rel=1e-3)
    between = vae(torch.tensor([-1 / 3 + 0.2]), torch.zeros(1, 2))  # 0.3 of the way from the second knot to the third
    torch.testing.assert_close(between[0], 0.7 * paths.mean(0)[1] + 0.3 * paths.mean(0)[2], atol=1e-5, rtol=1e-4)


def test_a_code_says_when_weights_were_as_they_are(trained):
    """Knots are told apart: a path that runs backwards has another code, though it has the same weights."""
    family, experts, *_ = trained
    vae, paths = new_vae(family), experts.of_visible.weights
    vae.fit_statistics(paths)
    with torch.no_grad():
        forwards, backwards = vae.encode(paths), vae.encode(paths.flip(1))
        one = vae.encode(paths[:1])
    assert float((forwards - backwards).abs().max()) > 1e-3
    torch.testing.assert_close(forwards[:1], one)  # a path has its code whatever else is encoded


def test_decoded_experts_are_nearly_as_good_as_they_are(trained):
    _, _, _, vae, *_ = trained
    found = vae.metadata["zoo_vae"]
    assert found["experts"] == 6 and vae.codes.shape == (6, 2)
    assert found["variance_lost"] < 0.3  # one that says the mean path loses all of it
    assert found["decoded_nll"] < found["expert_nll"] + 0.03
    assert vae.codes.std(0).min() > 0


def test_the_zoo_is_the_same_whether_its_experts_were_trained_by_themselves(trained):
    family, experts, zoo, _, snapshots, _ = trained
    alone = train_path_zoo(Run(), TrainPathZoo.of(plan(), "0"), snapshots, family)
    assert torch.equal(alone.map.mean, zoo.map.mean) and torch.equal(alone.codes, zoo.codes)
    assert experts.visible == 6 and experts.ids[6:] == ("new",)
    assert TrainPathZoo.of(plan(), "0").digest == TrainPathZoo.of(plan(vae=VAE), "0").digest
    assert EvaluateOpponents.of(plan(), "0").digest == EvaluateOpponents.of(plan(vae=VAE), "0").digest
    assert "vae" not in plan().study.model_dump()["paths"]["zoo"]


def test_the_same_settings_make_the_same_autoencoder(trained):
    _, experts, zoo, _, snapshots, _ = trained
    few = plan(vae=VAE | {"training": {"steps": 3, "learning_rate": 0.01}})
    one, same = (train_path_vae(Run(), TrainPathVae.of(few, "0"), snapshots, zoo, experts) for _ in range(2))
    other = train_path_vae(Run(), TrainPathVae.of(few, "1"), snapshots, zoo, experts)
    assert torch.equal(one.codes, same.codes) and not torch.equal(one.codes, other.codes)


def test_it_is_near_the_law_of_an_environment_that_nobody_has_seen(trained):
    """Told births of 9, between 8 and 10, and nothing else."""
    _, _, _, vae, _, table = trained
    code = prior_of_parameters(vae, vae.scaling.apply(table.parameter_array(["new"])))[0].mean
    law = birth_death(birth=9.0, death=0.8, molecules=12, horizon=4.2).law
    assert law is not None
    for time in (1.4, 3.5):
        weights = vae.weights(torch.tensor([time], dtype=torch.double), code[None])
        assert float(vae.density.sample(weights, 4000, 0).mean()) == pytest.approx(law.mean(time)[0], rel=0.08)


def test_it_is_scored_beside_the_zoo_and_beside_experts_of_the_very_environment(trained):
    family, experts, zoo, vae, snapshots, table = trained
    settings = EvaluateOpponents.of(plan(vae=VAE), "0")
    found = evaluate_opponents(Run(), settings, snapshots, table, family, None, zoo, vae=vae, experts=experts)
    rows, seconds = found["metrics"].frame, found["seconds"].frame
    inferred = {"path-vae-parameters", "path-vae-shown-two", "path-vae-ensemble-shown-two"}
    references = {"path-expert", "path-expert-decoded"}
    assert inferred | references < set(rows.method) == set(seconds.method)
    distance = rows[rows.metric == "wasserstein"].groupby("method").value.mean()
    # Two sets of 200 of the same law: 0.3; the nearest visible law: 1.2.
    assert (distance[sorted(inferred | references)] < 1.1).all()
    described = [
        {"told": "codes", "numbers": 10, "seconds": 3.0, "seconds_before": 1.0},
        zoo.metadata | {"told": "codes", "numbers": 20},
        vae.metadata | {"told": "codes", "numbers": 30},
    ]
    costs = {row["method"]: row for row in method_costs(described, seconds)}
    took = 4.0 + zoo.metadata["seconds"] + vae.metadata["seconds"]
    for name in inferred:
        assert costs[name]["parameters"] == 30
        assert costs[name]["train_seconds"] == pytest.approx(took)


def test_likelihoods_are_the_same_however_many_codes_are_decoded_at_once(trained, monkeypatch):
    *_, vae, snapshots, _ = trained
    new = snapshots.environments["new"]
    shown = ShownSamples.of([([1.4, 2.8], [new.train[2][:20], new.train[4][:30]])])
    codes = Draws("cpu", 1).normal(1, 1, 7, 2)
    at_once = log_likelihood(vae, codes, shown)
    asked: list[int] = []
    of_all = TrainedFamily.weights_of_all
    monkeypatch.setattr(inference, "AT_ONCE", 3 * 2 * vae.map.coding_numbers)

    def counted(self: TrainedFamily, times: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        asked.append(times.shape[1])
        return of_all(self, times, told)

    monkeypatch.setattr(TrainedFamily, "weights_of_all", counted)
    torch.testing.assert_close(log_likelihood(vae, codes, shown), at_once, atol=1e-3, rtol=1e-5)
    assert asked == [6, 6, 2]  # three codes of two snapshots each


def test_both_are_the_same_after_they_were_written(trained, tmp_path: Path):
    _, experts, _, vae, *_ = trained
    vae.save(tmp_path / "vae.safetensors")
    read = TrainedFamily.load(tmp_path / "vae.safetensors")
    times = torch.tensor([0.7, 3.3], dtype=torch.double)
    assert isinstance(read.map, PathVAE)
    assert torch.equal(read.weights(times, vae.codes[:2]), vae.weights(times, vae.codes[:2]))
    assert torch.equal(read.map.encode(experts.of_visible.weights), vae.codes)

    experts.save(tmp_path / "experts.safetensors")
    again = PathExperts.load(tmp_path / "experts.safetensors")
    assert again.ids == experts.ids and again.visible == experts.visible
    assert torch.equal(again.of(["new"])[0], experts.weights[-1])
    assert again.of_visible.seconds == experts.of_visible.seconds
    with refused("experts", "none of other"):
        again.of(["other"])


def test_between_knots_weights_of_experts_are_interpolated(trained):
    _, experts, *_ = trained
    middle = weights_at(experts.weights[:1], torch.zeros(1, 1, dtype=torch.double))[0, 0]
    torch.testing.assert_close(middle, experts.weights[0, 1:3].mean(0))


@pytest.mark.parametrize(
    "changes",
    [
        *({"rank": 3}, {"knots": 7}, {"width": 12}, {"heads": 3}, {"layers": 2}, {"weights": 5}, {"kind": "zoo"}),
        *({"heads": "2"}, {"width": 10**9}),
    ],
)
def test_an_autoencoder_of_another_form_is_refused(trained, tmp_path: Path, changes):
    *_, vae, _, _ = trained
    path = tmp_path / "vae.safetensors"
    vae.save(path)
    artifact = load_artifact(path)
    with pytest.raises(InputError) as found:
        save_artifact(path, "family", artifact.tensors, artifact.metadata | {"map": artifact.metadata["map"] | changes})
        TrainedFamily.load(path)
    assert "\n" not in str(found.value) and str(path) in str(found.value)


def test_experts_that_do_not_fit_together_are_refused(trained, tmp_path: Path):
    _, experts, *_ = trained
    path = tmp_path / "experts.safetensors"
    experts.save(path)
    artifact = load_artifact(path)

    def saved(tensors: dict[str, torch.Tensor], metadata: dict[str, object]) -> None:
        save_artifact(path, "path_experts", artifact.tensors | tensors, artifact.metadata | metadata)
        PathExperts.load(path)

    with refused("weights", "expected [7, knot, weight]"):
        saved({"weights": experts.weights[:6]}, {})
    with refused("errors", "expected [2, 7]"):
        saved({"errors": experts.errors[:1]}, {})
    with refused("visible: found 8"):
        saved({}, {"visible": 8})
    with refused("visible"):
        saved({}, {"visible": "6"})


def test_python_has_the_family_that_it_makes(trained, tmp_path: Path):
    *_, vae, snapshots, _ = trained
    study = plan(vae=VAE).study.model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(study))
    vae.save(tmp_path / "zoo/vae-0.safetensors")
    new = snapshots.environments["new"]
    law = PathFamily.load(tmp_path, vae=True).infer({float(new.times[at]): new.train[at][:50] for at in (2, 4)})
    exact = birth_death(birth=9.0, death=0.8, molecules=12, horizon=4.2).law
    assert exact is not None
    assert law.sample([3.5], 4000)[0].mean() == pytest.approx(exact.mean(3.5)[0], rel=0.1)

    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plan().study.model_dump(mode="json")))
    with refused(r"paths.zoo.vae: found none"):
        PathFamily.load(tmp_path, vae=True)


def test_jobs_ask_for_more_where_more_is_coded():
    without, told = plan(), plan(vae=VAE)
    larger = plan(vae=VAE | {"width": 512, "layers": 4, "training": {"steps": 20_000, "learning_rate": 0.01}})
    of = {"seed": "0"}
    assert memory_mb("train_path_vae", told, of) < memory_mb("train_path_vae", larger, of)
    assert runtime_minutes("train_path_vae", told, of) < runtime_minutes("train_path_vae", larger, of)
    assert runtime_minutes("evaluate_opponents", without, of) <= runtime_minutes("evaluate_opponents", larger, of)
    assert memory_mb("train_path_experts", told, of) > 0
    assert TrainPathVae.of(told, "0").digest != TrainPathVae.of(larger, "0").digest
    assert TrainPathExperts.of(told, "0").digest == TrainPathExperts.of(larger, "0").digest
