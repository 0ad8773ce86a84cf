"""The tiny study with known inputs and missing values of both: every stage, from files to tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from driven_study import driven_chain
from tiny_chain import Chain, tiny_plan
from tiny_study import ROWS, tiny_config

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.errors import InputError
from weightcast.environments.base import BaseNetwork
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluation import TestSet
from weightcast.environments.jobs import EvaluateWithoutNetwork
from weightcast.trajectories import read_trajectories, write_trajectories
from weightcast.trajectories.gaps import without_too_many_gaps

GAPS = {"share": 0.5, "run": 3}


def with_gaps(chain: Chain, inputs: bool) -> Chain:
    """The same chain, of whose files a few values are missing behind each trajectory's second frame."""
    for number, (id, *_) in enumerate(ROWS):
        path = chain.folder / f"trajectories/{id}.nc"
        found = read_trajectories(path)
        values, random = found.values.copy(), np.random.default_rng(number)
        lost = random.random(values.shape) < 0.1
        lost[:, :2], lost[:, :, 2:] = False, False
        values[lost] = np.nan
        values[:, 3, :2] = np.nan  # a whole frame, in all trajectories
        if inputs:
            values[1, 6, 2] = np.nan
        write_trajectories(path, replace(found, values=values), gaps=True)
    return chain


def all_finite(tables: dict[str, Any]) -> None:
    for name, table in tables.items():
        if "value" in table:
            assert np.isfinite(table.value).all(), name


def told_of_frames_and_compared(chain: Chain, tables: dict[str, Any]) -> Any:
    """What frames with gaps leave open, what is shown of them, which is returned, and whether weights are new."""
    results, trajectories = chain.folder / "results", chain.folder / "trajectories"
    shared = {"context": results / "base/context.safetensors", "trajectories": trajectories}
    left_open = chain.call("describe_posteriors", shared).frame
    assert set(left_open["environment"]) == {"between", "beyond"}
    weights = results / "weights/adapt_to_frames.safetensors"
    seen = chain.call("show_observed", shared | {"weights": weights}).dataset["forecast"]
    assert bool(np.isfinite(seen.sel(statistic=["mean", "low", "high"])).all())
    files = sorted((results / "weights").glob("*.safetensors"))
    for file in files:
        tables[file.stem].to_csv(results / f"{file.stem}.csv", index=False)
    compared = chain.call(
        "compare_with_experts",
        {
            "weights": files,
            "zoos": [results / f"zoo/{base}.safetensors" for base in chain.plan.study.zoo.bases],
            "evaluations": [results / f"{file.stem}.csv" for file in files],
            "trajectories": trajectories,
        },
    ).frame
    assert len(compared) and np.isfinite(compared["value"]).all() and np.isfinite(compared["yardstick"]).all()
    return seen


def test_a_study_with_gaps_and_inputs_goes_the_whole_way(tmp_path: Path) -> None:
    chain = with_gaps(driven_chain(tmp_path, data={"gaps": GAPS}), inputs=True)
    chain.train()
    tables = chain.finish()
    shown = tables.pop("show_rollouts")
    all_finite(tables)
    found = set().union(*(set(table.method) for table in tables.values() if "method" in table))
    assert {"erm", "film", "generator-paper", "context-ensemble", "finetune-erm-observed", "persistence"} <= found
    assert bool(shown["u"].sel({"method": "truth"}).isel(time=2).isnull().all())  # stays missing
    assert not bool(shown["u"].sel({"method": "erm"}).isnull().any())
    seen = told_of_frames_and_compared(chain, tables)
    assert bool(seen.sel(statistic="truth").isel(time=2).isnull().all())
    # Trainings saw what is there: the normalisation is that of it.
    physical = TrajectoryFolder(tmp_path / "trajectories").read(
        ["low", "middle", "high"], chain.plan.study.data, "train", 5, inputs=True
    )
    base = BaseNetwork.load(tmp_path / "results/base/erm.safetensors")
    own = physical[:, :, :, 0].double().flatten()
    assert base.normalisation.mean[0] == pytest.approx(float(own[own.isfinite()].mean()))


def test_forecasts_are_not_compared_behind_an_unknown_input(tmp_path: Path) -> None:
    chain = with_gaps(driven_chain(tmp_path, data={"gaps": GAPS}), inputs=False)
    path = tmp_path / "trajectories/low.nc"
    found = read_trajectories(path, gaps=True)
    found.values[4, 6, 2] = np.nan  # of the trajectory that tests
    write_trajectories(path, found, gaps=True)
    settings = EvaluateWithoutNetwork.of(chain.plan)
    test = TestSet.read(settings, TrajectoryFolder(tmp_path / "trajectories"), torch.device("cpu"))
    known = torch.isfinite(test.frames[list(test.split).index("low"), 0]).flatten(1).any(1)
    assert known.tolist() == [True, True, True, False, True, True, False, False, False]


def test_a_network_in_context_is_trained_on_what_is_there(tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["data"]["gaps"] = GAPS
        config["baselines"]["in_context"] = {
            "frames": 3,
            "width": 4,
            "training": config["context"]["training"] | {"last_unroll": None},
        }
        config["baselines"]["in_context"]["training"].pop("last_unroll")

    chain = with_gaps(Chain(tiny_plan(tmp_path, change), tmp_path), inputs=False)
    chain.run("train_in_context", "base/in-context.safetensors", chain.inputs_of("train_base"))
    made = BaseNetwork.load(tmp_path / "results/base/in-context.safetensors")
    assert np.isfinite(made.metadata["metrics"]["last_loss"]) and 0 < made.metadata["metrics"]["last_loss"] < 10


def test_files_with_gaps_are_read_where_the_study_says_so_alone(tmp_path: Path) -> None:
    chain = with_gaps(Chain(tiny_plan(tmp_path), tmp_path), inputs=False)
    folder, data = TrajectoryFolder(tmp_path / "trajectories"), chain.plan.study.data
    with pytest.raises(InputError, match=r"low\.nc: u: found NaN at trajectory 0, time"):
        folder.read(["low"], data, "train")
    allowed = data.model_copy(update={"gaps": GapSettings(**GAPS)})
    assert bool(folder.read(["low"], allowed, "train").isnan().any())
    assert "gaps" not in data.model_dump() and "gaps" in allowed.model_dump()


def test_trajectories_that_lack_too_much_are_left_out_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = with_gaps(Chain(tiny_plan(tmp_path), tmp_path), inputs=False)
    found = read_trajectories(chain.folder / "trajectories/low.nc", gaps=True)
    found.values[0, 0, 0, 0, 0] = np.nan  # of the first frame
    found.values[2, 3:7, 1, 1, 1] = np.nan  # four in a row
    found.values[3, 4:, :] = np.nan
    kept = without_too_many_gaps(Path("low.nc"), found, ("u", "v"), 9, 1, GapSettings(**GAPS))
    assert np.array_equal(kept.values, found.values[[1, 4]], equal_nan=True)
    shown = capsys.readouterr().out
    assert "low.nc: 3 of 5 trajectories are left out for missing values: 1 without a whole first frame" in shown
    assert "1 with more missing, 1 with more missing in a row (data.gaps: at most 50 % and 3 steps" in shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"source": "lambda-omega", "directory": None}}, "data.gaps: found it with the source 'lambda-omega'"),
        ({"baselines": {"equations": {"degree": 2, "frames": 3}}}, "baselines.equations: found it with data.gaps"),
    ],
)
def test_what_needs_all_values_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config["data"]["gaps"] = GAPS
    for section, keys in change.items():
        config[section] |= keys
    with pytest.raises(InputError, match=words):
        parse_study(config)
