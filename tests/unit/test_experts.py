"""The zoo: seeds, perturbation, shards, cache, diverged members, gathering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_conditions import on_parameters

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.config.training import PredictorTraining
from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.run import Run
from weightcast.core.training import Resume
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.weight_map import PooledMap
from weightcast.environments.config.zoo import Perturbation
from weightcast.environments.dataset import TrajectoryFolder, draw_windows
from weightcast.environments.expert_files import forget_incomplete
from weightcast.environments.experts import (
    permuted_neurons,
    plan_members,
    random_weights,
    starting_weights,
    train_experts,
)
from weightcast.environments.jobs import TrainExperts
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages import train_experts as stage_module
from weightcast.environments.weight_maps import PooledWeights
from weightcast.environments.zoo import ExpertShard, Zoo, gather
from weightcast.trajectories import Trajectories, write_trajectories

ARCHITECTURE = {
    "kind": "fno", "channels": 1, "width": 4, "modes": [2, 2], "depth": 2, "projection": 4,
    "positional": False, "residual": True,
}  # fmt: skip
TRAINING = PredictorTraining(steps=8, learning_rate=0.01, unroll=2, batch=2)
DATA = DataSettings(
    source="netcdf", directory="unused", channels=["u"], grid=(8, 8), frames=6, trained_frames=6,
    trajectories={"train": 2, "validation": 1, "test": 1},
)  # fmt: skip


@pytest.fixture(scope="module")
def predictor() -> StackedPredictor:
    return StackedPredictor(build_predictor(ARCHITECTURE))


def start_of(predictor: StackedPredictor) -> torch.Tensor:
    return predictor.graph.read(build_predictor(ARCHITECTURE, seed=1))


def frames(environments: int) -> torch.Tensor:
    return torch.randn(environments, 2, 6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_seeds_depend_on_environment_and_member_and_not_on_position():
    few = plan_members(["b"], 2, study_seed=3)
    many = plan_members(["a", "b", "c"], 2, study_seed=3)

    assert few == many[2:4]
    assert len({member.seed for member in many}) == 6
    assert plan_members(["b"], 2, study_seed=4)[0].seed != few[0].seed


def test_perturbation_moves_one_layer_by_its_own_scale(predictor):
    members = plan_members(["a", "b"], 2, study_seed=0)
    base = start_of(predictor).expand(4, -1)
    moved = starting_weights(base, members, predictor, Perturbation(layer="layers.1", scale=0.1)) - base
    state = predictor.graph.unflatten(moved)

    for name, change in state.items():
        if name.startswith("layers.1."):
            original = predictor.graph.unflatten(base)[name]
            assert (change.flatten(1).abs().amax(1) > 0).all()
            if original[0].numel() > 50:
                assert float(change.std() / original[0].std()) == pytest.approx(0.1, rel=0.2)
        else:
            assert (change == 0).all()
    with pytest.raises(InputError, match=r"zoo\.perturbation\.layer: found 'layers\.9', expected one of lifting"):
        starting_weights(base, members, predictor, Perturbation(layer="layers.9"))


MLP = {"kind": "mlp", "channels": 2, "width": 8, "depth": 2, "activation": "tanh", "residual": True}


@pytest.mark.parametrize(("architecture", "grid"), [(ARCHITECTURE, (8, 8)), (MLP, (1, 1))])
def test_neurons_in_another_order_compute_the_same(architecture, grid):
    network = StackedPredictor(build_predictor(architecture))
    members = plan_members(["a", "b"], 2, study_seed=0)
    weights = random_weights(members, architecture)
    permuted = permuted_neurons(weights, members, network)
    states = torch.randn(4, 3, architecture["channels"], *grid, generator=torch.Generator().manual_seed(0))

    moved = (permuted != weights).double().mean(1)
    assert (moved > 0.5).all() and not torch.equal(*moved[:2])
    torch.testing.assert_close(permuted.sort(1).values, weights.sort(1).values)
    torch.testing.assert_close(network(permuted, states), network(weights, states), atol=1e-5, rtol=1e-4)


def test_a_predictor_that_does_not_know_its_neurons_is_refused():
    kind = PredictorSettings.model_validate({"kind": "unet", "width": 4, "levels": 1}).root
    network = StackedPredictor(build_predictor(describe_architecture(kind, channels=1)))
    with pytest.raises(InputError, match=r"zoo\.permuted: found true for a predictor UNet, expected fno or mlp"):
        permuted_neurons(network.graph.read(network.module)[None], plan_members(["a"], 1, 0), network)


def test_random_weights_are_of_each_members_own():
    members = plan_members(["a", "b"], 2, study_seed=0)
    weights = random_weights(members, ARCHITECTURE)

    assert torch.equal(weights[2:], random_weights(members[2:], ARCHITECTURE))
    assert torch.corrcoef(weights).triu(1).abs().max() < 0.5


def test_shards_of_one_and_of_eight_agree(predictor):
    members = plan_members([f"e{number}" for number in range(8)], 1, study_seed=0)
    start = starting_weights(start_of(predictor).expand(8, -1), members, predictor, Perturbation())
    data = frames(8)

    together, _ = train_experts(Run(), start, members, data, range(8), predictor, TRAINING)

    for row, member in enumerate(members):
        alone, _ = train_experts(Run(), start[row : row + 1], [member], data, [row], predictor, TRAINING)
        torch.testing.assert_close(together[row], alone[0], atol=1e-4, rtol=1e-3)
    assert (together - start).abs().max() > 1e-2


@pytest.fixture
def study(tmp_path, predictor):
    """A base and four environments on disk; the field of each decays at its own rate."""
    rows = tuple(
        Environment(name, {"rate": rate}, "visible") for name, rate in zip("abcd", (0.1, 0.2, 0.3, 0.4), strict=True)
    )
    for row in rows:
        first = np.random.default_rng(ord(row.id)).standard_normal((4, 1, 1, 8, 8)).astype(np.float32)
        decay = np.exp(-row.parameters["rate"] * np.arange(6, dtype=np.float32))[None, :, None, None, None]
        axis = np.arange(8.0)
        write_trajectories(
            tmp_path / f"{row.id}.nc",
            Trajectories(
                (first * decay).astype(np.float32), ("u",), np.arange(6.0), axis, axis, row.id, row.parameters
            ),
        )
    condition = on_parameters(rate=(0.1, 0.4))
    base = BaseNetwork(
        PooledWeights(start_of(predictor), condition).requires_grad_(False),
        predictor,
        Normalisation((0.0,), (1.0,)),
        {
            "architecture": ARCHITECTURE,
            "normalisation": {"mean": [0.0], "scale": [1.0]},
            "condition": condition.describe(),
            "tensors_digest": "x",
            "digest": "y",
            "weight_map": describe_weight_map(PooledMap(), condition),
        },
    )

    def train(environments: str, output: str, members: int = 2, memory: float | None = None) -> Zoo:
        settings = TrainExperts(
            environments=tuple(row for name in environments for row in rows if row.id == name),
            data=DATA,
            initialisation="base",
            permuted=False,
            perturbation=Perturbation(),
            training=TRAINING,
            members=members,
            seed=0,
        )
        run = Run(
            resume=Resume(tmp_path / "state" / "trainings", settings.digest),
            identity=lambda: (settings.digest, {"code_digest": "c"}),
            outputs={"output": tmp_path / f"{output}.safetensors"},
            memory=memory,
        )
        shard = stage_module.train_experts(run, settings, base=base, trajectories=TrajectoryFolder(tmp_path))
        shard.save(tmp_path / f"{output}.safetensors")
        run.finish()
        return ExpertShard.load(tmp_path / f"{output}.safetensors")

    return train


def test_adding_an_environment_trains_that_environment_alone(study, monkeypatch):
    before = study("ab", "first")
    trained = []
    original = stage_module.train_together

    def noting(run, start, members, *rest, **named):
        trained.extend(members)
        return original(run, start, members, *rest, **named)

    monkeypatch.setattr(stage_module, "train_together", noting)
    after = study("abc", "second")

    assert {member.environment for member in trained} == {"c"}
    assert torch.equal(after.weights[:4], before.weights[:])
    assert after.environments == ["a", "a", "b", "b", "c", "c"]
    fresh = study("c", "third")
    assert torch.equal(fresh.weights[:], after.weights[4:])


def test_a_manifest_says_what_each_member_is(study):
    zoo = study("ab", "first")

    for entry in zoo.manifest:
        assert set(entry) == {
            "environment", "member", "seed", "diverged", "train_error", "validation_error", "seconds", "data_digest",
        }  # fmt: skip
        assert entry["seconds"] > 0 and not entry["diverged"]
        assert 0 < entry["validation_error"] < 1


def test_a_damaged_file_is_trained_again(study, tmp_path):
    before = study("a", "first").weights[:]
    (file,) = (tmp_path / "experts").iterdir()
    whole = file.read_bytes()
    for content in (whole[:-20], whole[:-3] + b"\0\0\0"):
        file.write_bytes(content)
        assert torch.equal(study("a", "second").weights[:], before)


def test_experts_are_written_once_and_a_shard_is_their_manifest(study, tmp_path):
    shard = study("ab", "first")
    sizes = {path.name: path.stat().st_size for path in tmp_path.rglob("*.safetensors")}
    assert set(sizes) == {"a.safetensors", "b.safetensors", "first.safetensors"}
    assert sizes["first.safetensors"] < sizes["a.safetensors"]
    zoo = gather([shard], ["b", "a"])
    zoo.save(tmp_path / "zoo" / "gathered.safetensors")
    assert (tmp_path / "zoo" / "gathered.safetensors").stat().st_size < sizes["a.safetensors"]
    assert [path.name for path in (tmp_path / "zoo").iterdir()] == ["gathered.safetensors"]
    read = Zoo.load(tmp_path / "zoo" / "gathered.safetensors")
    assert read.environments == ["b", "b", "a", "a"] and read.verify() == 2
    assert torch.equal(read.weights[:], shard.weights[[2, 3, 0, 1]])
    assert all(torch.equal(read.weights[row], shard.weights[row - 2]) for row in range(2, 4))


def test_members_and_numbers_do_not_depend_on_where_shards_end(study, tmp_path):
    """What a zoo's digest is made of are the experts, whatever shards they came in."""
    one, several = gather([study("abc", "one")], "abc"), gather([study("ab", "two"), study("c", "three")], "abc")
    digests = []
    for number, zoo in enumerate((one, several)):
        zoo.save(tmp_path / f"zoo-{number}.safetensors")
        digests.append(load_artifact(tmp_path / f"zoo-{number}.safetensors").tensors_digest)
    assert digests[0] == digests[1] and one.manifest == several.manifest
    assert torch.equal(one.weights[:], several.weights[:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Path.unlink, ("no", "b.safetensors", "run it again")),
        (lambda file: file.write_bytes(file.read_bytes()[:-30]), ("b.safetensors", "damaged")),
        (lambda file: file.write_bytes(file.read_bytes()[:-4] + b"\0\0\1\0"), ("b.safetensors", "digest", "damaged")),
        (lambda file: file.write_bytes((file.parent / "a.safetensors").read_bytes()), ("b.safetensors", "manifest")),
        (lambda file: file.write_bytes(b"something else"), ("b.safetensors", "damaged")),
    ],
    ids=["deleted", "cut", "altered", "foreign", "no artifact"],
)
def test_files_that_are_not_as_they_were_are_one_line(change, words, study, tmp_path):
    study("ab", "first")
    change(tmp_path / "experts" / "b.safetensors")
    with refused(*words):
        ExpertShard.load(tmp_path / "first.safetensors").weights[2]
    if change is not Path.unlink:  # what others' files are does not matter to those who do not ask for them
        ExpertShard.load(tmp_path / "first.safetensors").weights[0]


def test_a_file_that_changes_while_it_is_read_is_one_line(study, tmp_path):
    shard = study("ab", "first")
    assert shard.weights[2] is not None
    study("b", "again", members=3)
    with refused("b.safetensors", "changed meanwhile"):
        shard.weights[2]


def test_manifests_of_experts_that_are_gone_are_forgotten(study, tmp_path):
    study("ab", "first")
    study("cd", "second")
    zoo, weights = tmp_path / "zoo.safetensors", tmp_path / "old.safetensors"
    gather([ExpertShard.load(tmp_path / "first.safetensors")], "ab").save(zoo)
    save_artifact(weights, "zoo", {"weights": torch.ones(2, 3)}, {})  # as zoos were once
    shards = {"first": ["a", "b"], "second": ["c", "d"], "old": ["e"]}
    forget_incomplete(tmp_path, shards, [zoo])
    assert zoo.exists() and (tmp_path / "first.safetensors").exists()
    (tmp_path / "experts" / "c.safetensors").unlink()
    forget_incomplete(tmp_path, shards, [zoo])
    assert not zoo.exists() and not (tmp_path / "second.safetensors").exists()
    assert (tmp_path / "first.safetensors").exists() and weights.exists()
    forget_incomplete(tmp_path / "nowhere", shards, [zoo])


def test_gathering_follows_the_table_and_names_what_is_missing(study):
    first, second = study("ab", "first"), study("dc", "second")
    zoo = gather([first, second], ["d", "a", "c"])

    assert zoo.environments == ["d", "d", "a", "a", "c", "c"]
    assert torch.equal(zoo.weights[2:4], first.weights[:2]) and not isinstance(zoo.weights, torch.Tensor)
    with pytest.raises(InputError, match="no expert for environment 'z'"):
        gather([first], ["a", "z"])


def test_diverged_members_never_reach_a_generator():
    manifest = [{"environment": name, "member": 0, "diverged": name == "b"} for name in "abc"]
    zoo = Zoo(torch.arange(3.0)[:, None], manifest, {})

    assert zoo.healthy().environments == ["a", "c"]
    assert zoo.healthy().weights.flatten().tolist() == [0.0, 2.0]
    with pytest.raises(InputError, match="all 1 experts diverged"):
        zoo.take([1]).healthy()


def test_an_expert_that_blows_up_is_flagged_and_does_not_fail_its_shard(study, tmp_path, monkeypatch):
    original = stage_module.starting_weights

    def exploding(base, members, *rest):
        start = original(base, members, *rest)
        start[0] *= 1e20
        return start

    monkeypatch.setattr(stage_module, "starting_weights", exploding)
    zoo = study("ab", "first")

    assert [entry["diverged"] for entry in zoo.manifest] == [True, False, False, False]
    assert load_artifact(tmp_path / "first.safetensors").kind == "experts"
    assert zoo.healthy().environments == ["a", "b", "b"]
    assert torch.equal(zoo.healthy().weights[:], zoo.weights[1:])


@pytest.fixture
def sizes(monkeypatch):
    """Of the stacks that are trained, as they come."""
    found = []
    original = stage_module.train_together

    def counted(run, start, members, *rest, **named):
        found.append(len(members))
        return original(run, start, members, *rest, **named)

    monkeypatch.setattr(stage_module, "train_together", counted)
    return found


def test_a_stack_that_memory_cuts_gives_the_same_experts(study, sizes, monkeypatch, tmp_path):
    """On a GPU as many experts are stacked as its memory holds; members are independent of each other."""
    whole = study("abcd", "whole").weights[:]
    for kept in (tmp_path / "experts").iterdir():
        kept.unlink()
    sizes.clear()
    monkeypatch.setattr(stage_module, "stack_size", lambda device, bytes_each, on_cpu: 3)
    cut = study("abcd", "cut")

    assert sizes == [3, 3, 2]  # of two members of four environments, whose files hold both whatever the stack
    assert cut.environments == [name for name in "abcd" for _ in range(2)]
    assert torch.allclose(cut.weights[:], whole, atol=1e-6)
    assert not torch.equal(cut.weights[0], cut.weights[1])


def test_bytes_of_a_stack_grow_with_members_and_steps(study, monkeypatch):
    asked = []
    monkeypatch.setattr(
        stage_module, "stack_size", lambda device, bytes_each, on_cpu: asked.append(bytes_each) or on_cpu
    )
    study("a", "one", members=1)
    monkeypatch.setattr(stage_module, "kept_in_step", lambda architecture, grid: 10**6)
    study("b", "larger", members=1)
    assert asked[0] > 0
    assert asked[1] > 2 * asked[0]


def test_as_many_experts_are_stacked_as_the_memory_that_is_set_holds(study, sizes):
    whole = study("ab", "whole", members=3).weights[:]
    cut = study("ab", "cut", members=3, memory=1e-6)
    assert sizes == [6]  # the second run found them
    assert torch.equal(cut.weights[:], whole)
    study("cd", "small", members=3, memory=1e-6)
    assert sizes[1:] == [1] * 6


def test_windows_begin_where_trajectories_do_as_often_as_asked() -> None:
    frames = torch.arange(50.0)[None, None, :, None, None, None].expand(3, 2, -1, -1, -1, -1)
    windows = draw_windows(frames, torch.arange(3), 2000, 5, Draws("cpu", "starts"), start_share=0.3)
    begin = windows[:, :, 0].flatten()
    assert windows.shape == (3, 2000, 5, 1, 1, 1)
    # 0.3 + 0.7 / 46 of 6000 begin with the first frame: 0.315, standard deviation 0.006
    assert abs(float((begin == 0).double().mean()) - 0.315) < 0.025
    assert sorted(set(begin.tolist())) == list(range(46))
