from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from blank_figures import leave_blank
from command_line import refused, run
from tiny_study import (
    ROOT,
    ROWS,
    default_config,
    random_trajectories,
    tiny_config,
    without_parameters,
    write_bare_table,
    write_config,
    write_data,
    write_table,
)

from weightcast.cost import rehearsal
from weightcast.trajectories import read_trajectories, write_trajectories


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings are timed for a step, and what the report draws is left blank."""
    monkeypatch.setattr(rehearsal, "BUDGET", 0.0)
    leave_blank(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of files of the user's own, and the folder that everything is done in."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "table.csv")
    write_data(tmp_path / "mine")
    write_config(tmp_path / "config.yaml", tiny_config(tmp_path))
    return tmp_path


def changed(folder: Path, section: str, **values: Any) -> Path:
    config = tiny_config(folder)
    (config[section] if section else config).update(values)
    return write_config(folder / "my.yaml", config)


def rewritten(folder: Path, environment: str, **changes: Any) -> Path:
    """One environment's file, with other values of its fields."""
    trajectories = random_trajectories(environment, {id: beta for id, _, beta in ROWS}[environment])
    path = folder / "mine" / f"{environment}.nc"
    path.unlink()
    for name, value in changes.items():
        object.__setattr__(trajectories, name, value)
    write_trajectories(path, trajectories)
    return path


# --- the plan


def test_plan_of_own_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, errors = run(capsys, "check", "--no-timing")  # config.yaml by default
    assert errors == ""
    for expected in (
        "config.yaml is in order",
        "5 in ",
        "3 visible, 1 interpolation, 1 extrapolation",
        "beta visible from 0.5 to 1.5",
        "netcdf files in ",
        "channels u, v on 6 x 8 points",
        "5 trajectories of each environment: 3 train, 1 validation, 1 test",
        "6 of visible environments, 2 each, in 1 shard of up to 3 environments",
        "2 of unseen environments",
        "no base in results/tiny yet",
    ):
        assert expected in shown
    assert "core-minutes" not in shown


def seen_files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_cost_is_measured(quick: None, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the very stages, all of them, in a folder of their own."""
    threads, before = torch.get_num_threads(), seen_files(folder)
    shown, errors = run(capsys, "check", "--gpu-rate", "12.5")
    assert "60 in a complete run" in shown, shown
    assert "core-minutes on this machine" in shown
    for stage in (
        "5 jobs",
        "import_trajectories",
        "train_experts (4 jobs)",
        "train_vae (6 jobs)",
        "write_report (1 job)",
    ):
        assert stage in shown
    assert "not forecast" not in shown
    assert errors == ""
    assert torch.get_num_threads() == threads
    assert seen_files(folder) == before
    assert "GPU-hours of training: a projection, not a measurement" in shown
    assert "at 12.5 TFLOP/s, assumed: --gpu-rate" in shown


def test_cost_without_parameters_is_measured(quick: None, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bare_table(folder / "table.csv")
    write_config(folder / "config.yaml", without_parameters(tiny_config(folder)))
    shown, errors = run(capsys, "check")
    assert "no parameters known" in shown and "from the base erm" in shown and "none: no arms" in shown
    assert "finetune_bases (1 job)" in shown and "regress_weights (1 job)" in shown and "write_report (1 job)" in shown
    assert "train_vae" not in shown and "not forecast" not in shown
    assert errors == ""


def test_a_table_without_parameters_has_no_use_for_methods_that_are_told_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("base.conditioned", "expected null", write_bare_table(folder / "table.csv"), "no parameter columns")
    refused(capsys, "check", words=words)


def test_configurations_lie_over_each_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As Snakemake takes several."""
    (folder / "over.yaml").write_text("zoo: {shard_environments: 1}\n")
    shown, _ = run(capsys, "check", "--config", "config.yaml", "over.yaml", "--no-timing")
    assert "config.yaml + over.yaml is in order" in shown and "in 3 shards" in shown
    (folder / "over.yaml").write_text("zoo: {shards: 1}\n")
    refused(capsys, "check", "--config", "config.yaml", "over.yaml", words=("over.yaml", "zoo.shards", "unknown key"))


def test_memory_of_every_stage_is_told_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wide.yaml").write_text("predictor: {width: 128, depth: 8}\nzoo: {members: 2000}\nmemory: 0.5\n")
    files = ("--config", "config.yaml", "wide.yaml")
    short, _ = run(capsys, "check", *files, "--no-timing")
    shown, _ = run(capsys, "check", *files, "--no-timing", "--memory")
    largest = re.search(r"largest jobs: ([0-9.]+ GB) (\w+)", short)
    rows = dict(re.findall(r"^ +[0-9.]+ GB (\w+) +(.*bounded by memory)$", shown, re.MULTILINE))
    assert largest is not None and re.search(rf"{largest[1]} {largest[2]} ", shown)
    assert len(rows) > 10 and "largest jobs" not in shown and "GB all others" in shown
    assert rows["write_report"] == "not bounded by memory" and not rows["regress_weights"].startswith("not")
    assert "GB of it not bounded" in rows["train_base"]  # frames and what is trained, not a step's activations


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf"])
def test_rate_that_no_gpu_has(rate: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "check", f"--gpu-rate={rate}", words=("--gpu-rate", rate, "above 0"))


def test_bases_that_are_there_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "results" / "tiny" / "base" / ".erm.environments.json"
    path.parent.mkdir(parents=True)
    path.write_text('["low", "middle"]')
    shown, _ = run(capsys, "check", "--no-timing")
    assert "base erm was trained on 2 visible environments: low, middle" in shown
    assert "note: high new in the table: erm is kept" in shown
    assert "delete results/tiny/base" in shown
    path.write_text('["low", "gone"]')
    shown, _ = run(capsys, "check", "--no-timing")
    assert "note: gone no longer visible: erm will be trained again" in shown


def test_nothing_unseen_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(id, "visible", beta) for id, _, beta in ROWS]
    write_table(folder / "table.csv", rows)
    _, errors = run(capsys, "check", "--no-timing")
    assert errors.startswith("weightcast: warning: ")
    assert "no unseen environment" in errors


# --- configurations


def test_misspelt_key_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(folder, "predictor", widht=3)
    refused(capsys, "check", "--config", path, words=(path, "predictor.widht", "unknown key", "'width'"))


def test_unfit_name_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(folder, "", study="a/b; c")
    refused(capsys, "check", "--config", path, words=(path, "study", "'a/b; c'"))


def test_missing_config_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "check", "--config", "none.yaml", words=("none.yaml", "No such file"))


def test_layer_that_does_not_exist_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny_config(folder)
    config["zoo"]["perturbation"]["layer"] = "layers.7"
    path = write_config(folder / "my.yaml", config)
    refused(capsys, "check", "--config", path, words=("zoo.perturbation.layer", "'layers.7'", "layers.0"))


def test_unknown_source_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(folder, "data", source="lambda_omega")
    refused(capsys, "check", "--config", path, words=("data.source", "'lambda_omega'", "'lambda-omega'", "'npy'"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": {"grid_size": 24, "fames": 3}}, ("settings of lambda-omega", "'fames'")),
        ({"settings": {"grid_size": 16}}, ("data.grid", "24 x 24", "16 x 16", "data.settings.grid_size")),
        ({"settings": {"grid_size": "24"}}, ("settings of lambda-omega", "grid_size", "'24'")),
        ({"settings": {"grid_size": 24, "frames": 61}}, ("data.settings.frames", "data.frames sets it")),
        ({"settings": {"grid_size": 24, "trajectories": 22}}, ("data.settings.trajectories", "sets it")),
        ({"channels": ["u", "w"]}, ("data.channels", "'w'", "u, v")),
        ({"directory": "mine"}, ("data.directory", "'mine'")),
    ],
)
def test_settings_that_a_simulator_cannot_have(
    change: dict[str, Any], words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy.deepcopy(default_config())
    config["data"] |= change
    config["environments"] = str(ROOT / config["environments"])
    path = write_config(folder / "my.yaml", config)
    refused(capsys, "check", "--config", path, words=words)


def test_parameter_that_a_simulator_needs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(folder / "my.yaml", default_config() | {"environments": str(folder / "table.csv")})
    refused(capsys, "check", "--config", path, words=("environment low", "parameter D", "expected beta, D"))


# --- tables


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,role,beta\na,visible,1\na,visible,2\n", ("line 3, column id", "'a' again")),
        ("id,role,beta\na,interpolation,1\n", ("column role", "no visible environment")),
        ("id,role,beta\na,visible,1\n", ("column role", "found 1 visible")),
        ("id,role,beta\na,visible,1\nb,visible,many\n", ("line 3, column beta", "'many'")),
        ("id,role,beta\na,visible,1\nb,visible,\n", ("line 3, column beta", "''")),
    ],
)
def test_tables_that_cannot_be_used(
    text: str, words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "table.csv").write_text(text)
    refused(capsys, "check", words=(folder / "table.csv", *words))


def test_missing_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "table.csv").unlink()
    refused(capsys, "check", words=(folder / "table.csv", "no such file"))


# --- data


def test_environment_without_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine" / "high.nc").unlink()
    refused(capsys, "check", words=(folder / "mine", "no data for high"))


def test_data_without_a_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(folder / "table.csv", ROWS[:-1])
    shown, errors = run(capsys, "check", "--no-timing")
    assert "is in order" in shown
    assert "mine: found beyond.nc without a row in " in errors and "table.csv: not used" in errors


def test_missing_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(folder, "data", directory="none")
    refused(capsys, "check", "--config", path, words=("none", "no such folder"))


def test_folder_of_the_pipelines_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(folder, "data", directory="data/tiny/trajectories")
    refused(capsys, "check", "--config", path, words=("data.directory", "another folder"))


def test_truncated_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "mine" / "high.nc"
    path.write_bytes(path.read_bytes()[:-1000])
    refused(capsys, "check", words=(path, "cannot be read"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad: float, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "mine" / "middle.nc"
    dataset = xr.load_dataset(path)
    dataset["v"][4, 8, 2, 3] = bad
    dataset.to_netcdf(path)
    refused(capsys, "check", words=(path, "trajectory 4, time 8, channel v, y 2, x 3"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": ["u", "w"]}, ("channel w", "u(trajectory, time, y, x)")),
        ({"grid": [8, 8]}, ("grid", "found 6 x 8", "expected 8 x 8")),
        ({"frames": 10}, ("time", "found 9 frames", "expected 10 or more")),
        ({"trajectories": {"train": 4, "validation": 1, "test": 1}}, ("found 5 trajectories", "expected 6 or more")),
        ({"settings": {"frame_step": 1.0}}, ("data.settings.frame_step", "unknown key")),
    ],
)
def test_data_that_does_not_fit_the_configuration(
    change: dict[str, Any], words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, "check", "--config", changed(folder, "data", **change), words=words)


def test_wrong_dimensions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "mine" / "low.nc"
    xr.load_dataset(path).rename(trajectory="draw").to_netcdf(path)
    refused(capsys, "check", words=(path, "channel u", "draw, time, y, x"))


def test_parameters_that_disagree_with_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rewritten(folder, "low", parameters={"beta": 0.6})
    refused(capsys, "check", words=(path, "parameter beta", "0.6", "0.5"))


def test_frames_of_different_steps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rewritten(folder, "high", time=np.arange(9.0))
    refused(capsys, "check", "--no-timing", words=(path.name, "time: found frames 1 s apart, expected 0.5 s"))


def test_units_of_time_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    units = {"u": "m s-1", "v": "m s-1"}
    rewritten(folder, "high", time=500 * np.arange(9.0), units=units | {"time": "milliseconds since 2000-01-01"})
    _, errors = run(capsys, "check", "--no-timing")
    assert errors == ""
    rewritten(folder, "high", time=0.5 * np.arange(9.0), units=units | {"time": "hours"})
    refused(capsys, "check", "--no-timing", words=("high.nc", "found frames 0.5 hours apart, expected 0.5 s"))


def test_units_of_channels_and_spacing_of_points(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rewritten(folder, "high", units={"u": "km h-1", "time": "s"})
    refused(capsys, "check", "--no-timing", words=("high.nc", "u: found the unit 'km h-1', expected 'm s-1'"))
    found = read_trajectories(path)
    rewritten(folder, "high", units={"u": "m s-1", "time": "s"}, y=10 + found.y)  # elsewhere
    run(capsys, "check", "--no-timing")
    rewritten(folder, "high", y=10 * found.y)
    refused(capsys, "check", "--no-timing", words=("high.nc", "y: found points 2 apart, expected 0.2"))


def test_channels_that_hardly_change_are_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = read_trajectories(folder / "mine" / "high.nc").values.copy()
    values[:, :, 0], values[:, :, 1] = 7.0, 101325 + 0.01 * values[:, :, 1]
    rewritten(folder, "high", values=values)
    _, errors = run(capsys, "check", "--no-timing")
    assert "high.nc: u: found 7 everywhere" in errors and "high.nc: v: found 10132" in errors
    assert "loses digits" in errors


def test_roles_that_parameters_do_not_bear_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder / "table.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("extrapolation", "interpolation"), encoding="utf-8")
    _, errors = run(capsys, "check", "--no-timing")
    assert "table.csv: column role: found interpolation for" in errors and "beta lies outside" in errors


def test_uneven_frames(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(folder, "high", time=np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 9]))
    refused(capsys, "check", "--no-timing", words=("high.nc", "found a step of 5.5 behind 3.5", "expected 0.5"))
