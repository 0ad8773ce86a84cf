"""A conditional diffusion over an autoencoder's codes of paths: what it is told, and what it generates."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from families_kit import trained_birth_death
from refusals import refused
from test_families_path_vae import VAE, plan

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.families.config.sample_encoder import SampleEncoderSettings
from weightcast.families.encoder_training import with_encoder
from weightcast.families.inference import ShownSamples
from weightcast.families.jobs import (
    EvaluateOpponents,
    FamilyPlan,
    TrainPathExperts,
    TrainPathGenerator,
    TrainPathVae,
    TrainPathZoo,
)
from weightcast.families.memory import memory_mb
from weightcast.families.path_condition import PathCondition
from weightcast.families.path_experts import PathExperts
from weightcast.families.path_generation import PathGenerator, said_of
from weightcast.families.runtime import runtime_minutes
from weightcast.families.stages.evaluate_opponents import evaluate_opponents
from weightcast.families.stages.summarise_family import method_costs
from weightcast.families.stages.train_path_experts import train_path_experts
from weightcast.families.stages.train_path_generator import train_path_generator
from weightcast.families.stages.train_path_vae import train_path_vae
from weightcast.families.stages.train_path_zoo import train_path_zoo
from weightcast.families.trained_family import TrainedFamily

DIFFUSION = {
    "width": 32, "heads": 2, "layers": 1, "batch": 64, "draws": 16, "refinement": 15, "condition_dropout": 0.4,
    "training": {"steps": 800, "learning_rate": 0.01},
}  # fmt: skip
READER = SampleEncoderSettings.model_validate(
    {"width": 16, "samples": 64, "made_share": 0, "members": 16, "training": {"steps": 200, "learning_rate": 0.01}}
)


def told(**diffusion: object) -> FamilyPlan:
    """With a diffusion, and a network that reads samples."""
    made = plan(vae=VAE | {"diffusion": DIFFUSION | diffusion})
    inference = made.study.inference.model_copy(update={"encoder": READER})
    return FamilyPlan(made.study.model_copy(update={"inference": inference}))


@pytest.fixture(scope="module")
def trained():
    """The shared map with a network that reads samples, the autoencoder, and the diffusion of its codes."""
    family, snapshots, table = trained_birth_death()
    family, _ = with_encoder(Run(), family, snapshots, READER, 1, "reader")
    family = dataclasses.replace(family, metadata={"seconds": 3.0, "seconds_before": 1.0})
    experts = train_path_experts(Run(), TrainPathExperts.of(told(), "0"), snapshots, table, family)
    zoo = train_path_zoo(Run(), TrainPathZoo.of(told(), "0"), snapshots, family, experts)
    vae = train_path_vae(Run(), TrainPathVae.of(told(), "0"), snapshots, zoo, experts)
    settings = TrainPathGenerator.of(told(), "0")
    generator = train_path_generator(Run(), settings, snapshots, family, vae, experts)
    return family, experts, vae, generator, snapshots, table


def spread_of(vae: TrainedFamily, experts: PathExperts) -> torch.Tensor:
    """Of codes drawn of what the autoencoder says of the visible environments [number]."""
    mean, log_variance = vae.map.posterior(experts.of_visible.weights)
    return (mean.var(0) + log_variance.exp().mean(0)).sqrt()


def test_a_condition_says_what_is_known_and_what_is_not():
    condition = PathCondition(2, 3)
    parameters, said = torch.tensor([[0.0, 0.5]]), torch.tensor([[1.0, 2.0, 3.0]])
    both = condition.prepare(parameters, said, 1)
    assert both.tolist() == [[0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 1.0]] and condition.width == 7
    assert condition.prepare(parameters, None, 1).tolist() == [[0.0, 0.5, 1.0, 0.0, 0.0, 0.0, 0.0]]
    hidden, kept = torch.tensor([True]), torch.tensor([False])
    assert torch.equal(condition.without(both, kept, hidden), condition.prepare(parameters, None, 1))
    assert torch.equal(condition.without(both, hidden, kept), condition.prepare(None, said, 1))
    assert PathCondition(0, 0).prepare(None, None, 2).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_told_the_parameters_it_generates_their_codes_and_told_nothing_those_of_all(trained):
    _, experts, vae, generator, _, _ = trained
    spread = spread_of(vae, experts)
    told_all = generator.condition.prepare(vae.parameters, None, len(vae.ids))
    drawn = generator.draw(told_all, 32, 0, vae.ids)
    error = (drawn.mean(1) - vae.codes) / spread
    assert float(error.square().mean().sqrt()) < 0.3  # whoever says the mean is off by 0.7
    alone = generator.draw(None, 256, 0, ["anybody"])[0]
    far = (alone.mean(0) - vae.codes.mean(0)) / spread
    assert float(far.abs().max()) < 0.6
    assert 0.5 < float((alone.std(0) / spread).min()) < float((alone.std(0) / spread).max()) < 1.5
    assert float((drawn.std(1).mean(0) / alone.std(0)).min()) < 0.5  # of what environments differ in, parameters tell


def test_told_samples_it_generates_codes_nearer_to_their_environments(trained):
    family, experts, vae, generator, snapshots, _ = trained
    spread = spread_of(vae, experts)
    few = [([1.4, 2.8], [snapshots.environments[id].held_out[at] for at in (2, 4)]) for id in vae.ids]
    said = said_of(family, ShownSamples.of(few))
    assert said.shape == (6, 2 * 2)  # a mean and a deviation of each number of a code
    drawn = generator.draw(generator.condition.prepare(None, said, 6), 32, 0, vae.ids)
    error = ((drawn.mean(1) - vae.codes) / spread).square().mean().sqrt()
    shuffled = generator.draw(generator.condition.prepare(None, said.flip(0), 6), 32, 0, vae.ids)
    wrong = ((shuffled.mean(1) - vae.codes) / spread).square().mean().sqrt()
    assert float(error) < 0.7 < float(wrong)


def test_what_is_drawn_for_one_environment_does_not_depend_on_the_others(trained):
    _, _, vae, generator, _, _ = trained
    prepared = generator.condition.prepare(vae.parameters, None, 6)
    together = generator.draw(prepared, 4, 7, vae.ids)
    torch.testing.assert_close(generator.draw(prepared[2:3], 4, 7, vae.ids[2:3])[0], together[2])
    assert not torch.equal(generator.draw(prepared, 4, 8, vae.ids), together)


def test_the_same_settings_make_the_same_diffusion(trained):
    family, experts, vae, _, snapshots, _ = trained
    few = told(training={"steps": 3, "learning_rate": 0.01})
    one, same, other = (
        train_path_generator(Run(), TrainPathGenerator.of(few, seed), snapshots, family, vae, experts)
        for seed in ("0", "0", "1")
    )
    first, second, third = (made.draw(None, 4, 0, ["a"]) for made in (one, same, other))
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_what_it_generates_is_scored_with_and_without_samples(trained):
    family, experts, vae, generator, snapshots, table = trained
    settings = EvaluateOpponents.of(told(), "0")
    found = evaluate_opponents(
        Run(), settings, snapshots, table, family, None, None, vae=vae, experts=experts, generator=generator
    )
    rows, seconds = found["metrics"].frame, found["seconds"].frame
    names = {
        "path-vae-generated-parameters", "path-vae-generated-shown-two", "path-vae-generated-refined-shown-two",
        "path-vae-generated-refined-ensemble-shown-two",
    }  # fmt: skip
    assert names < set(rows.method) == set(seconds.method)
    distance = rows[rows.metric == "wasserstein"].groupby("method").value.mean()
    # Two sets of 200 of the same law: 0.3; the nearest visible law: 1.2; the mean of all visible ones: 2.
    assert (distance[sorted(names - {"path-vae-generated-shown-two"})] < 1.1).all()
    assert distance["path-vae-generated-shown-two"] < 1.8  # of a network that read six environments for 200 steps
    described = [
        {"told": "codes", "numbers": 10, "seconds": 3.0, "seconds_before": 1.0},
        {"told": "codes", "zoo": {}, "numbers": 20, "seconds": 2.0, "seconds_before": 4.0},
        vae.metadata | {"told": "codes", "numbers": 30},
        generator.metadata | {"path_diffusion": {}, "numbers": 5},
    ]
    costs = {row["method"]: row for row in method_costs(described, seconds)}
    took = generator.metadata["seconds_before"] + generator.metadata["seconds"]
    for name in names:
        assert costs[name]["parameters"] == 35  # what it generates, the autoencoder decodes
        assert costs[name]["train_seconds"] == pytest.approx(took)


def test_without_a_network_that_reads_samples_generated_paths_of_anybody_are_refined(trained):
    family, experts, vae, _, snapshots, table = trained
    family, unread = dataclasses.replace(family, encoder=None), plan(vae=VAE | {"diffusion": DIFFUSION})
    generator = train_path_generator(Run(), TrainPathGenerator.of(unread, "0"), snapshots, family, vae, experts)
    assert generator.condition.of_samples == 0
    found = evaluate_opponents(
        Run(), EvaluateOpponents.of(unread, "0"), snapshots, table, family, None, None,
        vae=vae, experts=experts, generator=generator,
    )  # fmt: skip
    methods = set(found["metrics"].frame.method)
    assert "path-vae-generated-refined-shown-two" in methods and "path-vae-generated-shown-two" not in methods


def test_it_is_told_to_its_own_job_and_to_who_scores_it():
    without, with_one = plan(vae=VAE), told()
    assert TrainPathVae.of(without, "0").digest == TrainPathVae.of(with_one, "0").digest
    assert TrainPathExperts.of(without, "0").digest == TrainPathExperts.of(with_one, "0").digest
    assert EvaluateOpponents.of(without, "0").digest != EvaluateOpponents.of(with_one, "0").digest
    assert "generated" not in EvaluateOpponents.of(without, "0").model_dump()
    # How much is drawn and refined decides scores alone.
    assert TrainPathGenerator.of(with_one, "0").digest == TrainPathGenerator.of(told(draws=8), "0").digest
    assert TrainPathGenerator.of(with_one, "0").digest != TrainPathGenerator.of(with_one, "1").digest
    larger, of = told(width=2048, layers=8, training={"steps": 50_000, "learning_rate": 0.01}), {"seed": "0"}
    assert memory_mb("train_path_generator", with_one, of) < memory_mb("train_path_generator", larger, of)
    assert runtime_minutes("train_path_generator", with_one, of) < runtime_minutes("train_path_generator", larger, of)


def test_it_is_the_same_after_it_was_written_and_of_one_study(trained, tmp_path: Path):
    family, _, vae, generator, _, _ = trained
    path = tmp_path / "generator.safetensors"
    generator.save(path)
    read = PathGenerator.load(path)
    prepared = generator.condition.prepare(vae.parameters, None, 6)
    assert torch.equal(read.draw(prepared, 3, 1, vae.ids), generator.draw(prepared, 3, 1, vae.ids))
    read.check(vae, family)
    with refused("diffusion of paths: found (code, parameters, said of samples) of (2, 1, 0)", "(2, 1, 4)"):
        read.check(vae, dataclasses.replace(family, encoder=None))
    artifact = load_artifact(path)
    for changes, tensors in (
        ({"path_condition": {"parameters": 2, "said": 4}}, {}),
        ({"path_condition": {"parameters": -1, "said": 4}}, {}),
        ({"path_diffusion": {"width": "many"}}, {}),
        ({}, {"scale": torch.zeros(2)}),
        ({}, {"mean": torch.zeros(3), "scale": torch.ones(3)}),
    ):
        with pytest.raises(InputError) as found:
            save_artifact(path, "path_generator", artifact.tensors | tensors, artifact.metadata | changes)
            PathGenerator.load(path)
        assert "\n" not in str(found.value)
