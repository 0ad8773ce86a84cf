"""The stage that regresses states, and the tables that its forecasts stand in, on made-up files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from tiny_study import tiny_config

from weightcast.core.tables import read_case_metrics, read_method_costs, read_metrics
from weightcast.environments.config.load import parse_study
from weightcast.runner import run_job
from weightcast.trajectories import Trajectories, read_trajectories, write_trajectories

DECAY = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.75, "f": 0.5}
ROLE = dict.fromkeys("abcd", "visible") | {"e": "interpolation", "f": "extrapolation"}
DATA = {
    "source": "netcdf",
    "channels": ["u"],
    "inputs": {"push": "horizon"},
    "grid": (1, 1),
    "frames": 12,
    "trained_frames": 6,
    "trajectories": {"train": 6, "validation": 2, "test": 3},
}
SETTINGS: dict[str, Any] = {
    "study": "tiny",
    "environments": [{"id": id, "parameters": {}, "role": role} for id, role in ROLE.items()],
    "data": DATA,
    "evaluation": {"horizons": [1, 5, 11]},
    "cases": [{"frames": 5}, {"frames": 2, "noise": 0.5}],
    "autoregression": {"penalties": [0.0]},
    "trees": {"iterations": [10], "leaves": [3]},
    "choosing": ["a", "d"],
    "seed": 0,
}


def run(stage: str, settings: dict[str, Any], outputs: dict[str, Path], **inputs: Any) -> None:
    job = {"stage": stage, "settings": settings, "inputs": inputs, "outputs": outputs, "device": "cpu"}
    run_job(json.dumps(job, default=str))


@pytest.fixture
def trajectories(tmp_path: Path) -> Path:
    """x(t + 1) = decay x(t) + push(t), exactly."""
    random = np.random.default_rng(0)
    for id, decay in DECAY.items():
        values = random.normal(size=(11, 12, 2, 1, 1))
        for step in range(11):
            values[:, step + 1, 0] = decay * values[:, step, 0] + values[:, step, 1]
        record = Trajectories(
            values.astype(np.float32), ("u", "push"), np.arange(12.0), np.zeros(1), np.zeros(1), id, {}
        )
        write_trajectories(tmp_path / "trajectories" / f"{id}.nc", record)
    return tmp_path / "trajectories"


@pytest.fixture
def made(trajectories: Path, tmp_path: Path) -> dict[str, Path]:
    tables = {name: tmp_path / "made" / f"{name}.csv" for name in ("errors", "observed", "costs")}
    run("evaluate_regressions", SETTINGS, tables, trajectories=trajectories)
    return tables


def test_a_law_that_is_linear_is_forecast_exactly_by_who_knows_it(made: dict[str, Path]) -> None:
    errors = read_metrics(made["errors"])
    rmse = errors[errors["metric"] == "rmse"].set_index(["method", "environment", "horizon"])["value"]
    # Of its own record, the law itself; from five frames, four steps for three coefficients, drawn to the pooled ones.
    assert rmse["own-autoregression", "e", 11] < 1e-4
    assert rmse["autoregression-observed", "f", 11] < rmse["autoregression", "f", 11]
    assert rmse["autoregression", "e", 11] < 0.5  # the mean law is near
    assert rmse["own-autoregression", "f", 5] < rmse["own-trees", "f", 5]
    both = ("autoregression", "trees")
    assert set(errors["method"]) == {f"{way}{name}" for way in ("", "own-") for name in both} | {
        f"{name}-observed" for name in both
    }
    everywhere = errors[errors["method"].isin(both)]
    assert set(everywhere["environment"]) == set(DECAY)
    assert set(errors.loc[~errors["method"].isin(both), "split"]) == {"interpolation", "extrapolation"}


def test_a_law_is_found_and_forecast_exactly_from_records_with_gaps(trajectories: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for id in DECAY:
        path = trajectories / f"{id}.nc"
        found = read_trajectories(path)
        lost = random.random(found.values.shape) < np.array([0.15, 0.03])[:, None, None]
        lost[:, :2] = False
        write_trajectories(path, replace(found, values=np.where(lost, np.float32(np.nan), found.values)), gaps=True)
    settings = SETTINGS | {"data": DATA | {"gaps": {"share": 0.9, "run": 9}}}
    made = {name: tmp_path / "gappy" / f"{name}.csv" for name in ("errors", "observed", "costs")}
    run("evaluate_regressions", settings, made, trajectories=trajectories)
    errors = read_metrics(made["errors"])
    assert np.isfinite(errors["value"]).all()
    rmse = errors[errors["metric"] == "rmse"].set_index(["method", "environment", "horizon"])["value"]
    assert rmse["own-autoregression", "e", 11] < 1e-4 and rmse["own-autoregression", "f", 11] < 1e-4
    assert 0.01 < rmse["trees", "e", 11] < 2.0


def test_every_case_has_its_rows_and_the_first_stands_in_the_metrics(made: dict[str, Path]) -> None:
    observed, errors = read_case_metrics(made["observed"]), read_metrics(made["errors"])
    assert list(observed["case"].unique()) == ["5-frames", "2-frames-noise-0.5"]
    first = observed[observed["case"] == "5-frames"].drop(columns="case").reset_index(drop=True)
    shown = errors[errors["method"].str.endswith("-observed")].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, shown)


def test_costs_are_stated_of_every_method(made: dict[str, Path]) -> None:
    costs = read_method_costs(made["costs"]).set_index("method")
    assert set(costs.index) == set(read_metrics(made["errors"])["method"])
    assert costs.loc["autoregression", "parameters"] == 1 + 1 + 2  # constant, state, the push at both ends of a step
    assert (costs["train_seconds"] + costs["adapt_seconds"] > 0).all()
    assert costs.loc["autoregression", "adapt_seconds"] == 0


def test_the_same_every_time(made: dict[str, Path], trajectories: Path, tmp_path: Path) -> None:
    again = {name: tmp_path / "again" / f"{name}.csv" for name in made}
    run("evaluate_regressions", SETTINGS, again, trajectories=trajectories)
    for name in ("errors", "observed"):
        assert made[name].read_bytes() == again[name].read_bytes()


def test_cases_have_what_sees_nothing_beside_what_sees_frames(made: dict[str, Path], tmp_path: Path) -> None:
    """And a verdict: an exact law that five frames tell is what to use."""
    errors = read_metrics(made["errors"])
    of_case = errors[errors["method"] == "autoregression-observed"].assign(method="context")
    experts = errors[errors["method"] == "own-autoregression"].assign(method="one-per-env-erm")
    pooled = pd.concat(
        [errors[errors["method"] == "trees"].assign(method=name) for name in ("erm", "film")], ignore_index=True
    )
    paths = {name: tmp_path / f"{name}.csv" for name in ("case", "experts", "pooled")}
    for path, table in zip(paths.values(), (of_case, experts, pooled), strict=True):
        table.to_csv(path, index=False)
    tables = {name: tmp_path / "sum" / f"{name}.csv" for name in ("metrics", "summary", "verdict")}
    run(
        "summarise_observed",
        {"cases": SETTINGS["cases"], "trained_horizon": 5, "bootstrap": 50},
        tables,
        evaluations=[paths["case"], paths["case"]],
        references=paths["experts"],
        unadapted=[paths["pooled"], made["errors"]],
        regressions=made["observed"],
    )
    summary = pd.read_csv(tables["summary"])
    regressed = {"autoregression", "trees", "autoregression-observed", "trees-observed"}
    for case in ("5-frames", "2-frames-noise-0.5"):
        methods = set(summary.loc[summary["case"] == case, "method"])
        assert methods == {"context", "one-per-env-erm", "erm"} | regressed  # film is told parameters
    verdict = pd.read_csv(tables["verdict"]).set_index("question")
    assert verdict.loc["use", "method"] == "autoregression-observed"
    assert verdict.loc["environment", "ratio"] < 0.1


def test_fields_are_not_regressed(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config["baselines"]["trees"] = {}
    with refused("baselines.trees: found it with a grid of [6, 8]"):
        parse_study(config)
