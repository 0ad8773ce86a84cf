"""The trained chain under trouble: divergence, kills, bases of different environments, names that collide."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_chain import Chain, tiny_plan
from tiny_study import default_config
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.job import Job
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.core.training import Resume, TrainingDiverged
from weightcast.environments.base import BaseNetwork
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import JOBS, Plan, TrainBase, TrainExperts
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages import train_experts as experts
from weightcast.environments.stages.finetune_bases import rollout_rmse
from weightcast.environments.weights_table import WeightsFile
from weightcast.environments.zoo import ExpertShard
from weightcast.runner import find_stage, run_job


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The tiny study, trained; but the pooled base on two of the three visible environments, as a study's first base is
    after an environment has joined, so that bases have different normalisations.
    """
    folder = tmp_path_factory.mktemp("chain")
    plan = tiny_plan(folder)
    chain = Chain(plan, folder)
    chain.train()
    two = tuple(row for row in plan.table if row.id != "high")
    earlier = Chain(Plan(plan.study, EnvironmentTable(two, plan.table.parameter_names, plan.table.path)), folder)
    for base in ("erm", "film-matched"):
        earlier.run("train_base", f"base/{base}.safetensors", chain.inputs_of("train_base"), base=base)
    return chain


# --- a training that diverges


TRAININGS: dict[str, tuple[dict[str, str], Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "train_base": ({"base": "conditioned"}, lambda told: told["training"], "base"),
    "train_vae": ({"arm": "conditioned", "seed": "0"}, lambda told: told["vae"]["training"], "vae"),
    "train_diffusion": ({"arm": "conditioned", "seed": "0"}, lambda told: told["diffusion"]["training"], "diffusion"),
    "tune_generator": ({"arm": "conditioned", "seed": "0"}, lambda told: told["end_to_end"]["training"], "end-to-end"),
}


@pytest.mark.parametrize("stage", TRAININGS)
def test_what_diverged_is_not_saved_as_trained(stage: str, chain: Chain, tmp_path: Path) -> None:
    of, training_of, label = TRAININGS[stage]
    told = JOBS[stage].of(chain.plan, **of).model_dump(mode="json")  # type: ignore[attr-defined]
    training_of(told).update(learning_rate=1e30, steps=20)
    inputs = {name: str(path) for name, path in chain.inputs_of(stage, of.get("arm", "conditioned")).items()}
    output = tmp_path / "out" / f"{label}.safetensors"
    job = Job(stage, inputs=inputs, outputs={"output": str(output)}, settings=told, state=str(tmp_path / "state"))

    with pytest.raises(TrainingDiverged) as caught:
        run_job(job.to_json())

    message = str(caught.value)
    assert "\n" not in message
    for word in (f"{label}: step ", "of 20", "not finite", "learning rate 1e+30"):
        assert word in message
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_stacked_expert_that_diverges_is_flagged_alone(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TrainExperts.of(chain.plan, "conditioned", "visible-000")
    inputs = find_stage("train_experts").load(
        {name: str(path) for name, path in chain.inputs_of("train_experts").items()}
    )
    healthy = experts.train_experts(Run(), settings, **inputs)
    assert not any(entry["diverged"] for entry in healthy.manifest)
    original, lost = experts.starting_weights, 3

    def exploding(*arguments: Any) -> Tensor:
        start = original(*arguments)
        start[lost] *= 1e25
        return start

    monkeypatch.setattr(experts, "starting_weights", exploding)
    shard = experts.train_experts(Run(), settings, **inputs)

    assert [entry["diverged"] for entry in shard.manifest] == [row == lost for row in range(6)]
    others = [row for row in range(6) if row != lost]
    assert torch.equal(shard.weights[others], healthy.weights[others])
    assert torch.isfinite(shard.weights[:]).all()
    assert len(shard.healthy().manifest) == 5


# --- bases that were trained on different environments

CASES = {"adapt_to_frames": {"case": "3-frames"}}


def load_bases(chain: Chain, stage: str) -> list[BaseNetwork]:
    return [BaseNetwork.load(path) for path in chain.inputs_of(stage)["bases"]]


def scores(chain: Chain, weights: WeightsFile, folder: Path) -> dict[tuple[Any, ...], float]:
    """What the stage ``evaluate_weights`` makes of a file of weights, by method, environment, horizon and metric."""
    weights.save(folder / "weights.safetensors")
    inputs = chain.inputs_of("evaluate_weights") | {"weights": folder / "weights.safetensors"}
    table = chain.call("evaluate_weights", inputs, source="bases").frame
    return table.set_index(["method", "seed", "environment", "horizon", "metric"])["value"].to_dict()


def alone(stage: str, position: int, chain: Chain) -> WeightsFile:
    """What a stage makes of one of its bases alone."""
    paths = {
        name: [*map(str, path)] if isinstance(path, list) else str(path)
        for name, path in chain.inputs_of(stage).items()
    }
    settings, function = JOBS[stage].of(chain.plan, **CASES.get(stage, {})), find_stage(stage)  # type: ignore[attr-defined]
    inputs = function.load(paths)
    inputs["bases"] = [inputs["bases"][position]]
    if stage == "adapt_to_frames":
        inputs |= {"generators": [], "started_from": []}
    return function(Run(), settings.model_copy(update={"methods": (settings.methods[position],)}), **inputs)


@pytest.mark.parametrize("stage", ["fold_bases", "finetune_bases", "adapt_to_frames"])
def test_every_base_keeps_its_own_normalisation_to_the_evaluation(stage: str, chain: Chain, tmp_path: Path) -> None:
    bases = load_bases(chain, stage)
    assert len({base.normalisation for base in bases}) == 2
    together = chain.call(stage, chain.inputs_of(stage), **CASES.get(stage, {}))
    together.save(tmp_path / "together.safetensors")
    read = WeightsFile.load(tmp_path / "together.safetensors")
    of_bases = [method for method in read.methods if not method.method.startswith("context")]
    for method, base in zip(of_bases, bases, strict=False):
        assert read.normalisation_of(method) == base.normalisation
    found = scores(chain, together, tmp_path)
    for position in range(len(bases)):
        for key, value in scores(chain, alone(stage, position, chain), tmp_path).items():
            np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-6, equal_nan=True, err_msg=str(key))


def test_a_generator_keeps_the_normalisation_of_its_zoo(chain: Chain) -> None:
    made = chain.call("adapt_to_frames", chain.inputs_of("adapt_to_frames"), case="3-frames")
    conditioned = BaseNetwork.load(chain.inputs_of("adapt_to_frames")["started_from"][0])
    of = {method.method: made.normalisation_of(method) for method in made.methods}
    assert of["generator-conditioned-observed"] == conditioned.normalisation
    assert of["generator-conditioned-observed"] != of["film-matched-observed"]
    assert of["retrieved-expert"] == of["weighted-experts-ensemble"] == conditioned.normalisation
    tuned = {"finetune-erm-observed", "finetune-lora-observed", "finetune-film-observed"}
    assert tuned | {"code-adaptation"} <= set(of)
    together = next(method for method in made.methods if method.method == "weighted-experts-ensemble")
    assert together.shares is not None and together.shares.sum(1).allclose(torch.ones(len(together.environments)))
    assert all(torch.isfinite(method.weights[:]).all() for method in made.methods)


# --- kills between two saves of experts


@pytest.fixture
def shard_of(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ExpertShard]:
    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    base = BaseNetwork.load(chain.inputs_of("train_experts")["base"])
    files = TrajectoryFolder(chain.folder / "trajectories")

    def train(state: str, finish: bool = True) -> ExpertShard:
        settings = TrainExperts.of(chain.plan, "conditioned", "visible-000")
        resume = Resume(tmp_path / state / "training", settings.digest)
        outputs = {"output": tmp_path / state / "visible-000.safetensors"}
        run = Run(resume=resume, identity=lambda: (settings.digest, {"code_digest": "c"}), outputs=outputs)
        made = experts.train_experts(run, settings, base=base, trajectories=files)
        if finish:
            run.finish()
        return made

    return train


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kept", [1, 2])
def test_a_kill_between_two_saves_of_experts_loses_nothing(
    kept: int, shard_of: Callable[..., ExpertShard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = shard_of("whole")
    original, saved = experts.FinishedExperts.save, []

    def killed(self: experts.FinishedExperts, environment: str, *rest: Any) -> None:
        if len(saved) == kept:
            raise InterruptedError
        saved.append(environment)
        original(self, environment, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(experts.FinishedExperts, "save", killed)
        with pytest.raises(InterruptedError):
            shard_of("killed")
    assert len(names_in(tmp_path / "killed" / "experts")) == kept
    assert len(names_in(tmp_path / "killed" / "training")) == 2  # which experts are a stack, and where it ended

    def no_step(*_: Any) -> None:
        raise AssertionError("a training goes on, whose end was kept")

    with monkeypatch.context() as patch:
        patch.setattr("weightcast.core.training._clip_each", no_step)
        found = shard_of("killed")
    assert torch.equal(found.weights[:], expected.weights[:])
    for entry, other in zip(found.manifest, expected.manifest, strict=True):
        same = ("environment", "member", "seed", "diverged", "data_digest")
        assert [entry[name] for name in same] == [other[name] for name in same]
    assert names_in(tmp_path / "killed" / "training") == []  # nothing is left behind


def test_lost_files_of_the_cache_are_trained_again_whatever_state_lies_about(
    shard_of: Callable[..., ExpertShard], tmp_path: Path
) -> None:
    before = shard_of("state", finish=False).weights[:]  # as if the process had ended before it forgot the states
    assert names_in(tmp_path / "state" / "training")
    for path in sorted((tmp_path / "state" / "experts").iterdir())[:2]:
        path.unlink()
    torch.testing.assert_close(shard_of("state").weights[:], before, rtol=1e-3, atol=1e-5)
    for path in (tmp_path / "state" / "experts").iterdir():
        path.unlink()
    assert torch.equal(shard_of("state").weights[:], before)


# --- names


@pytest.mark.parametrize("ending", ["-observed", "-weights-only"])
def test_an_arm_is_not_named_as_a_method_that_is_made_of_another(ending: str) -> None:
    config = default_config()
    config["generator"]["arms"][f"conditioned{ending}"] = dict(config["generator"]["arms"]["conditioned"])
    with refused("generator.arms", f"'conditioned{ending}'", f"does not end in {ending}"):
        parse_study(config)
    config = default_config()
    config["generator"]["arms"]["observed"] = dict(config["generator"]["arms"]["conditioned"])
    parse_study(config)


# --- errors of rollouts


def test_the_error_that_settings_are_chosen_by_is_a_root_mean_square() -> None:
    architecture = {"kind": "mlp", "channels": 2, "width": 3, "depth": 1, "activation": "tanh", "residual": True}
    module = build_predictor(architecture, seed=0)
    predictor = StackedPredictor(module)
    weights = torch.stack([predictor.graph.read(build_predictor(architecture, seed=seed)) for seed in range(3)])
    frames = torch.randn(3, 2, 5, 2, 1, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        rolled = predictor.rollout(weights, frames[:, :, 0], 4)
    expected = (rolled - frames[:, :, 1:]).square().flatten(1).mean(1).sqrt().median()
    assert rollout_rmse(weights, frames, predictor) == pytest.approx(float(expected), rel=1e-5)
    scaled = rollout_rmse(weights[:1], 3.0 * frames[:1], _Still(module))
    assert scaled == pytest.approx(3.0 * rollout_rmse(weights[:1], frames[:1], _Still(module)), rel=1e-5)


class _Still(StackedPredictor):
    """Forecasts that nothing changes: its error is as large as the frames are."""

    def __call__(self, weights: Tensor, frames: Tensor) -> Tensor:
        return frames


# --- keys


def test_the_key_of_a_diffusion_holds_the_environments_parameters(chain: Chain) -> None:
    def key_of(table: EnvironmentTable) -> str:
        settings = JOBS["train_diffusion"].of(Plan(chain.plan.study, table), arm="conditioned", seed="0")  # type: ignore[attr-defined]
        inputs = {name: str(path) for name, path in chain.inputs_of("train_diffusion").items()}
        return str(find_stage("train_diffusion").key(settings, inputs)[0])

    table = chain.plan.table
    moved = tuple(replace(row, parameters={"beta": 0.55}) if row.id == "low" else row for row in table.environments)
    unseen = tuple(
        replace(row, parameters={"beta": 9.0}) if row.role == "extrapolation" else row for row in table.environments
    )
    assert key_of(replace(table, environments=moved)) != key_of(table)
    assert key_of(replace(table, environments=unseen)) == key_of(table)  # which it does not see


def test_a_base_is_recorded_before_it_is_trained(chain: Chain, tmp_path: Path) -> None:
    output = tmp_path / "base" / "erm.safetensors"
    with pytest.raises(InputError):
        find_stage("train_base")(
            Run(outputs={"output": output}),
            TrainBase.of(chain.plan, "erm"),
            trajectories=TrajectoryFolder(tmp_path / "nowhere"),
        )
    assert json.loads((tmp_path / "base" / ".erm.environments.json").read_text()) == ["low", "middle", "high"]
    assert not output.exists()
