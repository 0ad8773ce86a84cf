"""Files with different numbers of trajectories: what each role has, and trainings without any to validate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_chain import Chain, chain_config, tiny_plan
from tiny_study import ROWS

from weightcast.core.environment_table import Environment
from weightcast.environments.config.data import DataSettings, TrajectoryCounts
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder, any_trajectory
from weightcast.environments.jobs import ImportTrajectories, Plan, Simulate, TrainBase, TrainExperts
from weightcast.environments.zoo import Zoo
from weightcast.trajectories import Trajectories, read_trajectories, write_trajectories

UNEQUAL = {"train": 2, "validation": 0, "test": 2, "unseen_train": 1}
SEEN, UNSEEN = Environment("seen", {}, "visible"), Environment("unseen", {}, "extrapolation")


def data(**counts: int) -> DataSettings:
    return DataSettings(
        source="netcdf",
        channels=["u"],
        grid=(1, 1),
        frames=3,
        trained_frames=2,
        trajectories=TrajectoryCounts(**counts),
    )


def write_numbered(folder: Path, row: Environment, trajectories: int) -> None:
    """A file whose values are the trajectories' numbers."""
    values = np.broadcast_to(
        np.arange(trajectories, dtype=np.float32)[:, None, None, None, None], (trajectories, 3, 1, 1, 1)
    )
    axis = np.zeros(1)
    record = Trajectories(values.copy(), ("u",), np.arange(3.0), axis, axis, row.id, {})
    write_trajectories(folder / f"{row.id}.nc", record)


def numbers(frames: torch.Tensor) -> list[list[int]]:
    """Which trajectories were read, by environment."""
    return frames[:, :, 0, 0, 0, 0].int().tolist()


def test_counts_of_a_role() -> None:
    counts = TrajectoryCounts(train=4, validation=1, test=32, unseen_train=7)
    assert counts.of_role("visible") == TrajectoryCounts(train=4, validation=1, test=32)
    for role in ("interpolation", "extrapolation"):
        assert counts.of_role(role) == TrajectoryCounts(train=7, validation=0, test=32)  # type: ignore[arg-type]
    assert (counts.total, counts.most) == (37, 39)
    equal = TrajectoryCounts(train=4, validation=1, test=32)
    assert equal.of_role("extrapolation") == equal


@pytest.mark.parametrize("further", [0, 3])
def test_parts_lie_where_the_counts_of_the_role_say(further: int, tmp_path: Path) -> None:
    """Also in files with more trajectories than are asked for, which stay at their end."""
    write_numbered(tmp_path, SEEN, 7 + further)
    write_numbered(tmp_path, UNSEEN, 3 + further)
    folder, settings = TrajectoryFolder(tmp_path), data(train=4, validation=1, test=2, unseen_train=1)
    visible, unseen = settings.of_role("visible"), settings.of_role("interpolation")
    assert numbers(folder.read(["seen"], visible, "train")) == [[0, 1, 2, 3]]
    assert numbers(folder.read(["seen"], settings, "validation")) == [[4]]
    assert numbers(folder.read(["seen"], visible, "test")) == [[5, 6]]
    assert numbers(folder.read(["unseen"], unseen, "train")) == [[0]]
    assert not any_trajectory(folder.read(["unseen"], unseen, "validation"))
    assert numbers(folder.read(["unseen"], unseen, "test")) == [[1, 2]]

    assert numbers(folder.read_roles([UNSEEN, SEEN], settings, "test")) == [[1, 2], [5, 6]]
    assert numbers(folder.read_roles([SEEN, UNSEEN], settings, "train", 2, trajectories=1)) == [[0], [0]]


def test_a_file_with_too_few_for_its_role(tmp_path: Path) -> None:
    write_numbered(tmp_path, UNSEEN, 2)
    with refused("unseen.nc", "found 2 trajectories", "expected 3"):
        TrajectoryFolder(tmp_path).read_roles([UNSEEN], data(train=4, validation=1, test=2, unseen_train=1), "test")


def test_choices_without_validation_are_made_on_training_trajectories(tmp_path: Path) -> None:
    """Which are other ones than the first, where there are others: that one is what fine-tuning sees."""
    write_numbered(tmp_path, SEEN, 5)
    folder = TrajectoryFolder(tmp_path)
    assert numbers(folder.read_choosing(["seen"], data(train=2, validation=1, test=2))) == [[2]]
    assert numbers(folder.read_choosing(["seen"], data(train=3, validation=0, test=2))) == [[1, 2]]
    assert numbers(folder.read_choosing(["seen"], data(train=1, validation=0, test=2))) == [[0]]
    assert not any_trajectory(None)


# --- jobs


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The tiny study without validation, with one training trajectory of an unseen environment."""
    folder = tmp_path_factory.mktemp("chain")
    plan = tiny_plan(folder, lambda config: config["data"].update(trajectories=UNEQUAL))
    chain = Chain(plan, folder)
    chain.train()
    return chain


def with_data(plan: Plan, **changed: Any) -> Plan:
    """The plan with another section ``data``."""
    data = plan.study.data.model_copy(update=changed)
    return Plan(plan.study.model_copy(update={"data": data}), plan.table)


def test_jobs_are_told_the_counts_of_their_role(chain: Chain) -> None:
    plan = chain.plan
    equal = TrajectoryCounts(train=2, validation=0, test=2)
    assert TrainBase.of(plan, "erm").data.trajectories == equal
    assert TrainExperts.of(plan, "erm", "visible-000").data.trajectories == equal
    assert TrainExperts.of(plan, "erm", "unseen-000").data.trajectories.train == 1
    assert list(plan.trajectory_shards.values()) == [[id] for id, _, _ in ROWS]
    assert [ImportTrajectories.of(plan, shard).trajectories for shard in plan.trajectory_shards] == [4, 4, 4, 3, 3]
    simulated = with_data(plan, source="lambda-omega", directory=None)
    told = [Simulate.of(simulated, shard) for shard in simulated.trajectory_shards]
    assert [settings.settings["trajectories"] for settings in told] == [4, 4, 4, 3, 3]


def test_a_change_for_unseen_environments_trains_nothing_else_again(chain: Chain) -> None:
    changed = with_data(chain.plan, trajectories=TrajectoryCounts(**UNEQUAL | {"unseen_train": 2}))
    for stage, of in ((TrainBase, ("erm",)), (TrainExperts, ("erm", "visible-000"))):
        assert stage.of(changed, *of).digest == stage.of(chain.plan, *of).digest
    unseen = ("erm", "unseen-000")
    assert TrainExperts.of(changed, *unseen).digest != TrainExperts.of(chain.plan, *unseen).digest


def test_trainings_without_validation_have_curves_without_it(chain: Chain) -> None:
    assert chain.curves
    for name, curve in chain.curves.items():
        if name.endswith("left-out"):
            continue  # which is validated on environments that it leaves out
        assert curve["training"] and not curve["validation"] and not curve["validated_steps"], name
    for experts in ("zoo/conditioned", "experts/conditioned-unseen"):
        for entry in Zoo.load(chain.folder / "results" / f"{experts}.safetensors").manifest:
            assert entry["validation_error"] is None and entry["train_error"] > 0 and not entry["diverged"]


def test_every_method_is_evaluated_on_the_test_trajectories(chain: Chain) -> None:
    tables = chain.finish()
    for name in ("bases", "finetune_bases", "adapt_to_frames", "evaluate_without_network"):
        assert np.isfinite(tables[name]["value"]).all()
    # Persistence, from each file's own test trajectories: the third and fourth, or the second and third.
    persistence = tables["evaluate_without_network"].query("method == 'persistence' and metric == 'mse'")
    for id, role, _ in ROWS:
        first = 2 if role == "visible" else 1
        frames = torch.from_numpy(read_trajectories(chain.folder / "trajectories" / f"{id}.nc").values)[
            first : first + 2
        ].double()
        found = persistence[persistence["environment"] == id].set_index("horizon")["value"]
        for horizon, value in found.items():
            expected = (frames[:, : horizon + 1] - frames[:, :1]).square().mean()
            assert value == pytest.approx(float(expected), rel=1e-5)


# --- the best of what nothing validates


@pytest.mark.parametrize(
    ("path", "unequal", "words"),
    [
        ("base.erm", {"validation": 0}, ("base.erm.keep", "'best'", "validation is 0")),
        ("generator.vae.training", {"validation": 0}, ("generator.vae.training.keep", "validation is 0")),
        ("baselines.hypernetwork.training", {"validation": 0}, ("baselines.hypernetwork.training.keep",)),
        ("zoo.training", {"unseen_train": 1}, ("zoo.training.keep", "'best'", "unseen_train")),
    ],
)
def test_the_best_cannot_be_kept(path: str, unequal: dict[str, int], words: tuple[str, ...], tmp_path: Path) -> None:
    config = chain_config(tmp_path)
    training: dict[str, Any] = config
    for key in path.split("."):
        training = training[key]
    training["keep"] = "best"
    parse_study(config)
    config["data"]["trajectories"] |= unequal
    with refused("config", *words):
        parse_study(config)


def test_the_best_of_an_arm_cannot_be_kept(tmp_path: Path) -> None:
    config = chain_config(tmp_path)
    config["generator"]["arms"]["conditioned"]["vae"] = {"training": {"keep": "best"}}
    parse_study(config)
    config["data"]["trajectories"] |= {"unseen_train": 1}
    parse_study(config)
    config["data"]["trajectories"] |= {"validation": 0}
    with refused("generator.arms.conditioned.vae.training.keep", "validation is 0"):
        parse_study(config)
