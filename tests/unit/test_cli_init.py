from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from command_line import refused, run
from tiny_study import ROOT, ROWS, default_config, write_bare_table, write_data, write_table

from weightcast.core.environment_table import read_environments
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.environments.commands.drawn_table import drawn_table
from weightcast.environments.commands.source_data import read_file
from weightcast.environments.commands.study_template import (
    choose_horizons,
    choose_modes,
    choose_trained_frames,
    split_trajectories,
)
from weightcast.environments.config.load import load_study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.trajectories import find_environment_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "table.csv")
    return tmp_path


def arguments(output: str = "my.yaml", **options: str) -> list[str]:
    given = {"kind": "environments", "data": "mine", "table": "table.csv", "name": "my-study"} | options
    return ["init", *(word for name, value in given.items() for word in (f"--{name}", value)), "-o", output]


def write_npy(folder: Path, shape: tuple[int, ...] = (7, 2, 8, 6), trajectories: int = 3) -> None:
    """Folders of arrays (time, channel, x, y), named by their parameters."""
    for _, _, beta in ROWS:
        (folder / f"beta_{beta}").mkdir(parents=True)
        for number in range(trajectories):
            np.save(folder / f"beta_{beta}" / f"{number}.npy", np.random.default_rng(number).random(shape, np.float32))


def keys(section: Any) -> Any:
    """The keys of a configuration, without values."""
    return {name: keys(value) for name, value in section.items()} if isinstance(section, dict) else None


def test_written_config_passes_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine", trajectories=10, frames=21)
    shown, errors = run(capsys, *arguments())
    assert "found 5 environments (3 visible, 2 unseen)" in shown
    assert "netcdf files in mine: channels u, v on 6 x 8 points (y, x), 10 trajectories of 21 frames" in shown
    assert errors == ""
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown
    assert errors == ""

    study = load_study("my.yaml")
    assert (study.study, study.environments) == ("my-study", "table.csv")
    assert (study.data.source, study.data.directory) == ("netcdf", "mine")
    assert (study.data.frames, study.data.trained_frames) == (21, 11)
    counts = study.data.trajectories
    assert (counts.train, counts.validation, counts.test) == (7, 1, 2)
    assert study.evaluation.horizons == [1, 2, 5, 10, 15, 20]
    assert study.predictor.modes == (1, 2)
    assert study.base.erm.environments == 3
    assert study.baselines.regression.folds == 3


def test_scale_of_parameters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine", trajectories=10, frames=21)
    shown, _ = run(capsys, *arguments())
    assert "scale of parameters, by how visible values are spread: beta linear" in shown  # 0.5, 1.0, 1.5
    assert load_study("my.yaml").logarithmic_parameters == []

    rows = [("middle", "visible", 0.8) if id == "middle" else (id, role, beta) for id, role, beta in ROWS]
    write_data(folder / "even", rows, trajectories=10, frames=21)
    write_table(folder / "even.csv", rows)
    shown, _ = run(capsys, *arguments("even.yaml", table="even.csv", data="even"))
    assert "by how visible values are spread: beta logarithmic" in shown
    study = load_study("even.yaml")
    assert study.logarithmic_parameters == ["beta"]
    assert study.base.map == "auto"
    shown, errors = run(capsys, "check", "--config", "even.yaml", "--no-timing")
    assert "beta visible from 0.5 to 1.5, on a logarithmic scale" in shown
    assert "base.conditioned is film or hypernetwork, as visible environments choose that are left out" in shown
    assert errors == ""


def test_written_config_has_the_keys_of_the_default_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine")
    run(capsys, *arguments())
    text = (folder / "my.yaml").read_text(encoding="utf-8")
    written, default = yaml.safe_load(text), default_config()
    written["data"].pop("directory")
    assert written.pop("simulated_together") == 16  # the default study's simulations are jobs of their own
    assert written["context"].pop("equations") == {"degree": 3, "waves": 2}  # the default study shows networks
    written["data"]["settings"] = default["data"]["settings"] = {}
    assert keys(written) == keys(default)
    assert text.count("#") > 30
    assert "$" not in text


def test_a_quick_study_is_a_short_one_of_the_same_kind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine", trajectories=10, frames=21)
    run(capsys, *arguments("whole.yaml"))
    run(capsys, *arguments("quick.yaml"), "--quick")
    assert "Written with --quick" in Path("quick.yaml").read_text(encoding="utf-8")
    assert "--quick" not in Path("whole.yaml").read_text(encoding="utf-8")
    whole, quick = load_study("whole.yaml"), load_study("quick.yaml")
    assert quick.base.erm.steps * 10 == whole.base.erm.steps
    assert quick.generator.vae.training.steps * 10 == whole.generator.vae.training.steps
    assert quick.generator.diffusion.noise_steps == whole.generator.diffusion.noise_steps
    assert set(quick.generator.arms) == set(whole.generator.arms)
    assert (quick.generator.seeds, quick.zoo.members, len(quick.evaluation.observed)) == ([0], 1, 1)
    assert quick.context is not None and whole.context is not None
    assert len(quick.context.maps) == 1 < len(whole.context.maps)
    assert quick.baselines.finetune.steps == [20]
    shown, _ = run(capsys, "check", "--config", "quick.yaml", "--no-timing")
    assert "quick.yaml is in order" in shown


def test_npy_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npy(folder / "mine")
    shown, _ = run(capsys, *arguments())
    assert "npy files in mine: channels channel_0, channel_1 on 6 x 8 points" in shown
    run(capsys, *arguments("named.yaml"), "--channels", "vx", "vy")
    study = load_study("named.yaml")
    assert study.data.channels == ["vx", "vy"]
    assert study.data.settings == {"frame_step": 1.0}
    shown, errors = run(capsys, "check", "--config", "named.yaml", "--no-timing")
    assert "named.yaml is in order" in shown
    assert errors == ""


def test_files_of_different_lengths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine")
    write_data(folder / "mine", ROWS[:1], trajectories=4, frames=12)
    shown, _ = run(capsys, *arguments())
    assert "4 to 5 trajectories of 9 to 12 frames" in shown
    study = load_study("my.yaml")
    assert (study.data.frames, study.data.trajectories.total) == (9, 4)
    run(capsys, "check", "--config", "my.yaml", "--no-timing")


# --- states without a grid


def write_states(folder: Path, format: str, frames: int = 21, trajectories: int = 10) -> None:
    """Damped oscillations, as (time, channel), (time, channel, 1, 1), or NetCDF with and without y and x."""
    angles = np.arange(frames)[:, None] + np.array([0.0, np.pi / 2])
    for id, _, beta in ROWS:
        starts = np.random.default_rng(0).uniform(1, 2, trajectories)
        states = (starts[:, None, None] * np.exp(-0.05 * beta * angles) * np.cos(angles)).astype(np.float32)
        if format.startswith("npy"):
            (folder / f"beta_{beta}").mkdir(parents=True)
            for number, each in enumerate(states):
                np.save(folder / f"beta_{beta}" / f"{number}.npy", each[:, :, None, None] if "4" in format else each)
        else:
            folder.mkdir(exist_ok=True)
            channels = {name: (("trajectory", "time"), states[:, :, i]) for i, name in enumerate(("p", "q"))}
            dataset = xr.Dataset(channels)
            dataset = dataset.expand_dims({"y": 1, "x": 1}) if "4" in format else dataset
            dataset.to_netcdf(folder / f"{id}.nc")


@pytest.mark.parametrize("format", ["npy", "npy, 4 dimensions", "netcdf", "netcdf, 4 dimensions"])
def test_states_without_a_grid(format: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_states(folder / "mine", format)
    shown, errors = run(capsys, *arguments(), "--channels", "p", "q")
    assert "channels p, q of a state without a grid, 10 trajectories of 21 frames" in shown
    assert errors == ""
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown
    assert errors == ""

    study = load_study("my.yaml")
    assert study.data.grid == (1, 1)
    assert study.explain is None

    table = read_environments("table.csv")
    (file, *_) = find_environment_files("mine", table, study.data.source).values()
    found = read_file(file, study.data.source, table["low"], channels=study.data.channels, grid=study.data.grid)
    predictor = build_predictor(describe_architecture(study.predictor, len(study.data.channels)))
    with torch.no_grad():
        following = predictor(torch.from_numpy(found.values[:, 0]))
    assert following.shape == (10, 2, 1, 1)
    assert torch.isfinite(following).all()


def test_states_get_the_sizes_of_the_study_of_lotka_and_volterra(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_states(folder / "mine", "netcdf")
    run(capsys, *arguments())
    text = (folder / "my.yaml").read_text(encoding="utf-8")
    written = yaml.safe_load(text)
    like = yaml.safe_load((ROOT / "config" / "lotka-volterra.yaml").read_text(encoding="utf-8"))
    assert "# explain: {degree: 2}" in text
    assert "$" not in text

    of_this_data = {
        "base": ("environments", "map"),
        "zoo": ("shard_environments",),
        "generator": ("environments", "batch", "paper", "relative_to"),
        "baselines": ("environments", "folds", "choosing_environments", "frames", "hill"),
    }
    # A vector field forecasts any time step, and its context is trained to the bottom.
    assert written["predictor"] | {"integrator": "map"} != written["predictor"]
    assert written["context"]["polish"]["iterations"] > 0
    for section, names in of_this_data.items():
        assert without(written[section], names) == without(like[section], names), section


def without(section: Any, names: tuple[str, ...]) -> Any:
    """A section of a configuration without some keys, at whatever depth, unless it is a training's own batch."""
    if not isinstance(section, dict):
        return section
    dropped = names if "steps" not in section else tuple(name for name in names if name != "batch")
    return {name: without(value, names) for name, value in section.items() if name not in dropped}


@pytest.mark.parametrize("frames", [3, 4, 5])
def test_least_states_are_enough(frames: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_states(folder / "mine", "netcdf", frames=frames, trajectories=3)
    run(capsys, *arguments())
    run(capsys, "check", "--config", "my.yaml", "--no-timing")
    study = load_study("my.yaml")
    assert study.zoo.training.unroll == study.data.trained_frames - 1


def test_one_visible_environment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line about the table that was given, not about a key of the configuration that nobody has seen."""
    write_data(folder / "mine", trajectories=3, frames=7)
    text = Path("table.csv").read_text(encoding="utf-8")
    Path("table.csv").write_text(text.replace("visible", "interpolation").replace("interpolation", "visible", 1))
    words = ("table.csv: column role: found 1 visible environment, expected 2 or more",)
    refused(capsys, *arguments(), words=words, output=Path("my.yaml"))


@pytest.mark.parametrize("name", ["123", "1e5", "no", "null", "a.b-c_d"])
def test_names_that_yaml_would_take_for_something_else(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(folder / "mine")
    run(capsys, *arguments(name=name))
    assert load_study("my.yaml").study == name


def test_existing_config_is_kept_unless_forced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine")
    Path("my.yaml").write_text("mine")
    refused(capsys, *arguments(), words=("my.yaml", "exists already", "--force"))
    assert Path("my.yaml").read_text() == "mine"
    run(capsys, *arguments(), "--force")
    assert load_study("my.yaml").study == "my-study"


# --- environments without parameters


def test_a_table_without_parameters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bare_table(folder / "table.csv")
    write_data(folder / "mine")
    shown, errors = run(capsys, *arguments())
    assert "found 5 environments (3 visible, 2 unseen) in table.csv, no parameters" in shown
    assert errors == ""
    text, study = (folder / "my.yaml").read_text(encoding="utf-8"), load_study("my.yaml")
    assert "# Told parameters, of which the table has none" in text and "$" not in text
    assert list(trained_maps(study)) == study.zoo.bases == ["erm"]
    assert study.generator.arms == {}
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "no parameters known" in shown and "no arms" in shown
    assert errors == ""


def without_table(output: str = "my.yaml", **options: str) -> list[str]:
    given = arguments(output, **options)
    given[given.index("--table") : given.index("--table") + 2] = []
    return given


def test_without_a_table_one_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"station-{number}", "", 1.0) for number in range(10)]
    write_data(folder / "mine", rows, trajectories=3)
    shown, _ = run(capsys, *without_table("of/my.yaml"))
    assert "wrote of/my-environments.csv" in shown and "which 7 are visible and which 3" in shown and "seed 0" in shown
    table = read_environments("of/my-environments.csv")
    assert table.ids == tuple(id for id, *_ in rows)
    assert (len(table.visible), len(table.interpolation), table.parameter_names) == (7, 3, ())
    assert [row.id for row in table.visible] != list(table.ids[:7])
    assert load_study("of/my.yaml").environments == "of/my-environments.csv"
    shown, errors = run(capsys, "check", "--config", "of/my.yaml", "--no-timing")
    assert "of/my.yaml is in order" in shown and errors == ""


def test_a_table_that_is_there_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine")
    Path("my-environments.csv").write_text("mine")
    words = ("my-environments.csv", "exists already", "--table my-environments.csv")
    refused(capsys, *without_table(), "--force", words=words, output=Path("my.yaml"))
    assert Path("my-environments.csv").read_text() == "mine"


def test_no_table_is_drawn_for_data_that_cannot_be_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine", ROWS[:1])
    refused(capsys, *without_table(), words=("my-environments.csv", "found 1 visible"), output=Path("my.yaml"))
    write_data(folder / "mine", [("a station", "", 1.0)])
    refused(capsys, *without_table(), words=("mine", "'a station'"), output=Path("my.yaml"))
    assert not Path("my-environments.csv").exists()


@pytest.mark.parametrize("count", [2, 3, 4, 10, 30])
def test_most_environments_are_visible(count: int, tmp_path: Path) -> None:
    ids = [f"s{number}" for number in range(count)]
    for id in ids:
        (tmp_path / f"{id}.nc").touch()
    table = drawn_table(tmp_path, tmp_path / "table.csv")
    assert len(table.visible) == max(2, round(0.7 * count))
    assert {row.role for row in table} <= {"visible", "interpolation"}
    assert drawn_table(tmp_path, tmp_path / "table.csv") == table


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["Re_100.0_r_10.0", "Re_200.0_r_10.0", "Re_300.0_r_10.0", "Re_400.0_r_10.0"], ("Re",)),
        (["a_1_b_5", "a_2_b_4", "a_3_b_5", "a_4_b_6"], ("a", "b")),
        (["rate_0.5", "rate_1", "rate_2", "rate_4"], ("rate",)),
        (["well_1", "well_2", "well_3", "well_4"], ()),
        (["batch_1_donor_1", "batch_1_donor_2", "batch_2_donor_1", "batch_2_donor_2"], ()),
        (["a_1_b_5", "a_2_b_4", "other", "a_4_b_6"], ()),
    ],
)
def test_names_of_files_may_state_parameters(ids: list[str], names: tuple[str, ...], tmp_path: Path) -> None:
    for id in ids:
        (tmp_path / f"{id}.npy").touch()
    table = drawn_table(tmp_path, tmp_path / "table.csv")
    assert table.parameter_names == names
    seen = [row.parameters for row in table.visible]
    for row in table.unseen:
        within = all(min(own[name] for own in seen) <= row.parameters[name] <= max(own[name] for own in seen)
                     for name in names)  # fmt: skip
        assert (row.role == "interpolation") == within


# --- what is refused


def test_options_of_the_other_kind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--time-column", "found day", "--kind environments")
    refused(capsys, *arguments(), "--time-column", "day", words=words, output=Path("my.yaml"))
    refused(capsys, *arguments(kind="time"), words=("--table", "--kind time"), output=Path("my.yaml"))


def test_unfit_name_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *arguments(name="my study"), words=("--name", "'my study'"), output=Path("my.yaml"))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"trajectories": 2}, ("found 2 trajectories", "expected 3 or more", "train")),
        ({"frames": 2}, ("time", "found 2 frames", "expected 3 or more")),
    ],
)
def test_too_little_data(
    sizes: dict[str, int], words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(folder / "mine", **sizes)
    refused(capsys, *arguments(), words=("low.nc", *words), output=Path("my.yaml"))


@pytest.mark.parametrize("frames", [3, 4, 5])
def test_least_data_is_enough(frames: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine", trajectories=3, frames=frames)
    run(capsys, *arguments())
    assert load_study("my.yaml").data.trajectories.train == 1


def test_grid_of_one_point(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npy(folder / "mine", shape=(7, 2, 1, 8))
    refused(capsys, *arguments(), words=("beta_0.5", "grid", "found 8 x 1", "without a grid"), output=Path("my.yaml"))


@pytest.mark.parametrize("shape", [(7, 2, 16), (7, 2, 16, 1)])
def test_fields_along_a_line(folder: Path, capsys: pytest.CaptureFixture[str], shape: tuple[int, ...]) -> None:
    write_npy(folder / "mine", shape=shape)
    shown, _ = run(capsys, *arguments())
    assert "on 1 x 16 points" in shown
    study = load_study("my.yaml")
    assert study.data.grid == (1, 16) and study.predictor.kind == "fno" and study.predictor.modes == (0, 4)


def test_arrays_of_another_shape(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npy(folder / "mine", shape=(7, 8, 6))
    refused(capsys, *arguments(), words=("beta_0.5", "(time, channel, x, y)"), output=Path("my.yaml"))


def test_folder_without_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *arguments(), words=("mine", "no such folder"), output=Path("my.yaml"))
    (folder / "mine").mkdir()
    refused(capsys, *arguments(), words=("mine", "neither NetCDF (.nc) nor .npy"), output=Path("my.yaml"))
    write_data(folder / "mine")
    write_npy(folder / "mine")
    refused(capsys, *arguments(), words=("mine", "both NetCDF (.nc) and .npy"), output=Path("my.yaml"))


def test_folder_of_the_pipelines_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = write_data(folder / "data" / "my-study" / "trajectories")
    refused(capsys, *arguments(data=str(own)), words=("--data", "another folder"), output=Path("my.yaml"))


def test_data_and_table_that_disagree(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine", ROWS[1:])
    refused(capsys, *arguments(), words=("mine", "no data for low", "table.csv"), output=Path("my.yaml"))


# --- sizes


@pytest.mark.parametrize("count", range(3, 60))
def test_every_purpose_has_trajectories(count: int) -> None:
    parts = split_trajectories(count)
    assert sum(parts) == count
    assert min(parts) >= 1
    if count >= 10:
        assert np.allclose(np.array(parts) / count, [0.7, 0.1, 0.2], atol=0.06)


@pytest.mark.parametrize("frames", range(3, 130))
def test_horizons_fit_the_frames(frames: int) -> None:
    trained_frames = choose_trained_frames(frames)
    horizons = choose_horizons(frames, trained_frames)
    assert trained_frames - 1 in horizons
    assert horizons == sorted(set(horizons))
    assert min(horizons) >= 1
    assert max(horizons) < frames
    if frames >= 5:
        assert 2 * (trained_frames - 1) in horizons


def test_horizons_of_the_default_length() -> None:
    assert choose_horizons(61, choose_trained_frames(61)) == [1, 2, 5, 10, 20, 30, 45, 60]


@pytest.mark.parametrize(("points", "modes"), [(2, 1), (3, 1), (8, 2), (24, 6), (32, 8), (128, 8)])
def test_modes_fit_the_grid(points: int, modes: int) -> None:
    assert choose_modes(points) == modes <= points // 2
