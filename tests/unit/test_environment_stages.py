"""The stages that make, evaluate and table trajectories and weights, on made-up files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from refusals import refused

from weightcast.core.artifacts import save_artifact
from weightcast.core.environment_table import Environment
from weightcast.core.methods import SEASONAL_CLIMATOLOGY, SEASONAL_PERSISTENCE, SKILL_FLOOR
from weightcast.core.nets.build import build_predictor
from weightcast.core.provenance import code_files
from weightcast.core.tables import read_method_costs, read_metrics, read_training_curves
from weightcast.environments.adaptation_scores import SCORES
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.trajectory_manifest import Manifest
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.runner import find_stage, run_job
from weightcast.trajectories import Trajectories, read_trajectories, write_trajectories
from weightcast.trajectories.grouped import contents_digest

ROWS = [
    Environment("a", {"speed": 0.5}, "visible"),
    Environment("b", {"speed": 1.0}, "visible"),
    Environment("c", {"speed": 1.5}, "interpolation"),
    Environment("d", {"speed": 2.0}, "extrapolation"),
]
IDS = [row.id for row in ROWS]
GRID = (4, 4)
DATA = {
    "source": "netcdf",
    "channels": ["u"],
    "grid": GRID,
    "frames": 9,
    "trained_frames": 5,
    "trajectories": {"train": 2, "validation": 1, "test": 2},
}
SCORING = {"study": "tiny", "data": DATA, "evaluation": {"horizons": [1, 4, 8], "adaptation_scores": True}}
ARCHITECTURE = {"kind": "fno", "channels": 1, "width": 2, "modes": [1, 1], "depth": 1, "projection": 2}
ARCHITECTURE |= {"positional": False, "residual": True}


def rows(*ids: str) -> list[dict[str, Any]]:
    chosen = [row for row in ROWS if not ids or row.id in ids]
    return [{"id": row.id, "parameters": dict(row.parameters), "role": row.role} for row in chosen]


def manifest(folder: Path) -> dict[str, str]:
    """The digest of each environment's trajectories, as the shard's manifest says."""
    return {id: made.digest for id, made in Manifest.load(folder / "visible-000.csv").made.items()}


def run(stage: str, settings: dict[str, Any], outputs: dict[str, Path] | Path, **inputs: Any) -> None:
    """A job as the pipeline hands it over."""
    named = outputs if isinstance(outputs, dict) else {"output": outputs}
    job = {"stage": stage, "settings": settings, "inputs": inputs, "outputs": named, "device": "cpu"}
    run_job(json.dumps(job, default=str))


@pytest.fixture
def trajectories(tmp_path: Path) -> Path:
    """Fields that drift with a speed of their own: five trajectories of nine frames."""
    random = np.random.default_rng(0)
    for row in ROWS:
        start = random.standard_normal((5, 1, 1, *GRID))
        values = start + row.parameters["speed"] * 0.1 * np.arange(9)[None, :, None, None, None]
        axis = np.arange(4.0)
        record = Trajectories(
            values.astype(np.float32), ("u",), 0.5 * np.arange(9.0), axis, axis, row.id, dict(row.parameters)
        )
        write_trajectories(tmp_path / "trajectories" / f"{row.id}.nc", record)
    return tmp_path / "trajectories"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Two methods: networks that predict no change, so that they are persistence, and networks as initialised."""
    predictor = StackedPredictor(build_predictor(ARCHITECTURE))
    size = predictor.graph.num_parameters
    fresh = predictor.graph.read(predictor.module).expand(len(IDS), 2, -1)
    methods = [
        MethodWeights("erm", 0, IDS, torch.zeros(len(IDS), 1, size), 10.0, 0.0, size),
        MethodWeights("generator-mine", 1, IDS, fresh, 20.0, 0.5, size),
    ]
    shared = {"architecture": ARCHITECTURE, "normalisation": {"mean": [0.0], "scale": [1.0]}}
    curve = {"steps": [1, 2], "training": [2.0, 1.0], "validated_steps": [2], "validation": [None]}
    WeightsFile.of(methods, shared | {"curves": {"tuning": curve}}).save(tmp_path / "weights" / "mine.safetensors")
    return tmp_path / "weights" / "mine.safetensors"


def test_a_simulated_environment_is_the_same_alone_and_told_by_name(tmp_path: Path) -> None:
    settings = {"source": "lotka-volterra", "seed": 3, "settings": {"frames": 4, "trajectories": 2}}
    environment = {"id": "x", "parameters": {"beta": 0.5, "delta": 0.5}, "role": "visible"}
    other = environment | {"id": "y", "parameters": {"beta": 0.6, "delta": 0.5}}
    run("simulate", settings | {"environments": [environment]}, tmp_path / "alone" / "visible-000.csv")
    first = read_trajectories(tmp_path / "alone" / "x.nc", environment="x", channels=["prey", "predator"])
    assert first.values.shape[:3] == (2, 4, 2)
    run("simulate", settings | {"environments": [other, environment]}, tmp_path / "both" / "visible-000.csv")
    second = TrajectoryFolder(tmp_path / "both").trajectories("x", ["prey", "predator"])
    assert contents_digest(first) == contents_digest(second)
    assert list(manifest(tmp_path / "both")) == ["y", "x"]


def test_imported_files_are_checked(trajectories: Path, tmp_path: Path) -> None:
    expected = {"channels": ["u"], "grid": GRID, "frames": 9, "trajectories": 5, "frame_step": 1.0}
    settings, output = {"environments": rows("a", "b"), **expected}, tmp_path / "made" / "visible-000.csv"
    source = [str(trajectories / f"{id}.nc") for id in ("a", "b")]
    run("import_trajectories", settings, output, source=source)
    for id in ("a", "b"):
        read, given = TrajectoryFolder(tmp_path / "made").trajectories(id), read_trajectories(trajectories / f"{id}.nc")
        assert contents_digest(read) == contents_digest(given)
    with refused("a.nc", "6"):
        run("import_trajectories", settings | {"trajectories": 6}, tmp_path / "no" / "visible-000.csv", source=source)
    assert not (tmp_path / "no").exists()
    with refused("import_trajectories", "found 1", "expected 2"):
        run("import_trajectories", settings, tmp_path / "no" / "visible-000.csv", source=source[:1])


def test_files_with_names_of_their_own_and_stores_are_imported(trajectories: Path, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the package zarr is not installed (pip install zarr)")
    given = read_trajectories(trajectories / "a.nc")
    with xr.open_dataset(trajectories / "a.nc", decode_times=False) as dataset:
        dataset.rename(trajectory="draw", y="north").to_netcdf(tmp_path / "a.nc")
        dataset.to_zarr(tmp_path / "a.zarr", consolidated=False)
    expected = {"channels": ["u"], "grid": GRID, "frames": 9, "trajectories": 5, "frame_step": 1.0}
    settings = {"environments": rows("a"), **expected}
    for name, own in (("a.nc", {"dimensions": {"trajectory": "draw", "y": "north"}}), ("a.zarr", {})):
        made = tmp_path / f"made-{name}"
        run("import_trajectories", settings | own, made / "visible-000.csv", source=[str(tmp_path / name)])
        assert contents_digest(TrajectoryFolder(made).trajectories("a")) == contents_digest(given)


def test_a_folder_of_arrays_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(2):
        np.save(tmp_path / "a" / f"{number}.npy", np.full((9, 1, *GRID), number, np.float32))
    settings = {"environments": rows("a"), "channels": ["u"], "grid": GRID, "frames": 9, "trajectories": 2}
    run(
        "import_trajectories",
        settings | {"frame_step": 0.25},
        tmp_path / "made" / "visible-000.csv",
        source=tmp_path / "a",
    )
    found = read_trajectories(tmp_path / "made" / "a.nc")
    assert found.values[:, 0, 0, 0, 0].tolist() == [0, 1] and found.time[1] == 0.25


def test_weights_are_evaluated_in_all_their_environments(trajectories: Path, weights: Path, tmp_path: Path) -> None:
    settings = SCORING | {"environments": rows()}
    run("evaluate_weights", settings, tmp_path / "mine.csv", weights=weights, trajectories=trajectories)
    run("evaluate_without_network", settings, tmp_path / "without.csv", trajectories=trajectories)
    networks, floor = read_metrics(tmp_path / "mine.csv"), read_metrics(tmp_path / "without.csv")
    assert set(networks["method"]) == {"erm", "generator-mine"}
    assert set(floor["method"]) == set(SKILL_FLOOR) - {SEASONAL_CLIMATOLOGY, SEASONAL_PERSISTENCE}  # no calendar
    assert set(networks["seed"]) == {0, 1} and set(networks["horizon"]) == {1, 4, 8}
    assert dict(zip(networks["environment"], networks["split"], strict=True)) == {row.id: row.role for row in ROWS}
    assert set(SCORES) < set(networks["metric"])

    # Networks that predict no change are persistence; it is off by the drift of a frame, 0.1 times the speed.
    keys = ["environment", "horizon", "metric"]
    still = networks[networks["method"] == "erm"].set_index(keys)["value"]
    persistence = floor[floor["method"] == "persistence"].set_index(keys)["value"]
    pd.testing.assert_series_equal(still, persistence, rtol=1e-5)
    assert still["d", 1, "rmse_physical"] == pytest.approx(0.2, rel=1e-4)


def test_errors_are_summarised(trajectories: Path, weights: Path, tmp_path: Path) -> None:
    scoring = SCORING | {"environments": rows()}
    evaluations = [tmp_path / "mine.csv", tmp_path / "without.csv"]
    run("evaluate_weights", scoring, evaluations[0], weights=weights, trajectories=trajectories)
    run("evaluate_without_network", scoring, evaluations[1], trajectories=trajectories)
    artifact = tmp_path / "base" / "erm.safetensors"
    curve = {"steps": [2, 4], "training": [0.5, 0.25], "validated_steps": [4], "validation": [0.3]}
    save_artifact(artifact, "base", {"weights": torch.zeros(7)}, {"seconds": 4.0, "curves": {"erm": curve}})
    costs = {name: tmp_path / f"{name}.csv" for name in ("costs", "methods", "curves")}
    run("collect_costs", {}, costs, bases=[artifact], weights=[weights])

    assert read_method_costs(costs["methods"]).set_index("method")["train_seconds"]["generator-mine"] == 20.0
    assert pd.read_csv(costs["costs"]).loc[0, ["stage", "artifact", "members"]].tolist() == ["base", "erm", 1]
    curves = read_training_curves(costs["curves"])
    assert curves[curves["stage"] == "base"][["step", "part", "value"]].values.tolist() == [
        [2, "training", 0.5], [4, "training", 0.25], [4, "validation", 0.3],
    ]  # fmt: skip
    tuning = curves[curves["training"] == "tuning"]
    assert tuning["artifact"].eq("mine").all() and np.isnan(tuning["value"].iloc[-1])  # what was not finite is missing

    tables = {name: tmp_path / f"{name}.csv" for name in ("metrics", "summary", "adaptation")}
    settings = {"trained_horizon": 4, "bootstrap": 100, "adaptation_scores": True}
    run("summarise", settings, tables, evaluations=evaluations, costs=costs["methods"])
    assert len(read_metrics(tables["metrics"])) == sum(len(read_metrics(path)) for path in evaluations)
    assert set(pd.read_csv(tables["adaptation"])["task"]) == {"in domain", "adaptation"}
    with refused("outputs", "adaptation"):
        run("summarise", settings | {"adaptation_scores": False}, tables, evaluations=evaluations,
            costs=costs["methods"])  # fmt: skip


def test_what_the_report_shows(trajectories: Path, weights: Path, tmp_path: Path) -> None:
    settings = {"environments": rows("a", "b"), "channels": ["u"]}
    run("show_environments", settings, tmp_path / "shown.png", trajectories=trajectories)
    assert (tmp_path / "shown.png").read_bytes().startswith(b"\x89PNG")

    settings = SCORING | {"environments": rows(), "methods": ["generator-mine", "erm"]}
    run("show_rollouts", settings, tmp_path / "rollouts.nc", weights=[weights], trajectories=trajectories)
    shown = xr.load_dataset(tmp_path / "rollouts.nc")
    assert shown["environment"].values.tolist() == ["c", "d"]
    assert shown["method"].values.tolist() == ["truth", "generator-mine", "erm"]
    assert shown["u"].dims == ("environment", "method", "time", "y", "x") and shown.sizes["time"] == 8
    truth = read_trajectories(trajectories / "d.nc").values[3, 1:, 0]  # the first test trajectory
    np.testing.assert_array_equal(shown["u"].sel({"environment": "d", "method": "truth"}), truth)


def test_an_input_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with refused("nowhere.csv", "summarise"):
        run("summarise", {"trained_horizon": 4, "bootstrap": 100, "adaptation_scores": False},
            {"metrics": tmp_path / "m.csv", "summary": tmp_path / "s.csv"}, evaluations=[tmp_path / "nowhere.csv"],
            costs=tmp_path / "nowhere.csv")  # fmt: skip


@pytest.mark.parametrize("stage", ["simulate", "import_trajectories", "summarise", "collect_costs", "write_report"])
def test_stages_that_train_nothing_do_not_depend_on_the_training_loop(stage: str) -> None:
    """An edit of it would simulate everything again."""
    assert "weightcast/core/training.py" not in code_files(find_stage(stage).function.__module__)
