from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from command_line import refused, run
from pydantic import BaseModel
from tiny_study import ROOT

from weightcast.core.errors import InputError
from weightcast.evolution.commands.sample_choices import choose_states, choose_stride
from weightcast.evolution.config.load import load_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.systems.epidemic import epidemic

SHARED = ROOT.parent / "shared" / "data"
CONFIG = Path("my.yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(data: str = "mine.npy", *options: str, name: str = "my-study") -> list[str]:
    return ["init", "--kind", "time", "--data", data, "--name", name, "-o", str(CONFIG), *options]


def write_counts(times: int = 3, trajectories: int = 30, largest: int = 49) -> None:
    values = np.random.default_rng(0).integers(0, largest, (trajectories, times, 2))
    values[0, 0, 0], values[0, 0, 1] = largest, 0
    np.save("mine.npy", values)


def write_cells(samples: int = 40, times: int = 3, dimensions: int = 2) -> None:
    rng = np.random.default_rng(0)
    np.savez("mine.npz", X=rng.normal(size=(samples * times, dimensions)), ts=np.repeat(np.arange(times), samples))


def keys(section: Any) -> Any:
    """The keys of a configuration, without values and without those of arms."""
    if not isinstance(section, dict):
        return None
    return {name: None if name in ("arms", "settings") else keys(value) for name, value in section.items()}


def all_keys(model: type[BaseModel]) -> dict[str, Any]:
    """The keys that a configuration can have, section by section."""
    found = {}
    for name, field in model.model_fields.items():
        types = [field.annotation, *get_args(field.annotation)]
        section = next((kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        found[name] = all_keys(section) if section is not None and name != "arms" else None
    return found


def test_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts(times=101)
    shown, errors = run(capsys, *arguments())
    assert errors == ""
    assert "format npy: mine.npy" in shown
    assert "101 times from 0 to 100, 30 trajectories, the same at every time (time_step 1.0)" in shown
    assert "2 dimensions: species_0, species_1; values from 0 to 49" in shown
    assert "state: counts, states 53 (0 to 52)" in shown
    assert "observed: 11 of 101 times, every 10th" in shown
    assert "wrote my.yaml" in shown

    study = load_time_study(CONFIG)
    assert (study.study, study.data.source, study.data.file) == ("my-study", "npy", "mine.npy")
    assert (study.data.state, study.data.states, study.data.observed_every) == ("counts", 53, 10)
    assert study.data.settings == {"time_step": 1.0}
    assert (study.density.hidden, study.anchors.bridge.per_interval, study.evaluation.leave_out) == (16, 5, [])
    assert study.anchors.training.batch == 24

    shown, errors = run(capsys, "check", "--config", CONFIG, "--no-timing")
    assert errors == ""
    assert "my.yaml is in order" in shown
    assert "npy file mine.npy" in shown
    assert "24 samples or more of each time to train, 6 or more held out" in shown
    assert "bridged: 51 for each seed" in shown


def test_cells(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cells(dimensions=12)
    shown, _ = run(capsys, *arguments("mine.npz"))
    assert "state: real" in shown
    assert "observed: all 3 times" in shown
    study = load_time_study(CONFIG)
    assert (study.data.state, study.data.states) == ("real", None)
    assert (study.density.hidden, study.evaluation.leave_out) == (32, [1])
    shown, _ = run(capsys, "check", "--config", CONFIG, "--no-timing")
    assert "snapshot 1" in shown


def test_written_config_has_every_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts()
    run(capsys, *arguments())
    text = CONFIG.read_text(encoding="utf-8")
    expected = all_keys(TimeStudy)
    expected["data"].pop("trajectories")  # of simulators alone
    expected["evaluation"].pop("published")  # of published protocols alone
    assert keys(yaml.safe_load(text)) == expected
    assert text.count("#") > 30
    assert "$" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_settings_of_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts()
    run(capsys, *arguments("mine.npy", "--settings", "time_step=0.5", "--dimensions", "S", "no"))
    data = load_time_study(CONFIG).data
    assert (data.settings, data.dimensions) == ({"time_step": 0.5}, ["S", "no"])
    write_cells(dimensions=60)
    options = ("--settings", "first_dimensions=50", "--force", "--state", "real")
    run(capsys, *arguments("mine.npz", *options))
    assert len(load_time_study(CONFIG).data.dimensions) == 50
    assert max(map(len, CONFIG.read_text(encoding="utf-8").splitlines())) <= 120


def test_csv(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{index},{index % 3},{37 * index % 89},{index * index % 7},cell" for index in range(90)]
    Path("mine.csv").write_text("\n".join([",when,x,y,type", *rows]), encoding="utf-8")
    refused(capsys, *arguments("mine.csv"), words=("when, x, y, type", "--time-column"), output=CONFIG)
    shown, _ = run(capsys, *arguments("mine.csv", "--time-column", "when"))
    assert "time_column when" in shown
    assert "note: columns that are not numbers are not used: type" in shown
    assert load_time_study(CONFIG).data.dimensions == ["x", "y"]
    run(capsys, *arguments("mine.csv", "--time-column", "when", "--dimensions", "y", "--force"))
    assert load_time_study(CONFIG).data.dimensions == ["y"]


def test_state_can_be_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts()
    run(capsys, *arguments("mine.npy", "--state", "real"))
    assert load_time_study(CONFIG).data.state == "real"
    write_cells()
    refused(
        capsys,
        *arguments("mine.npz", "--state", "counts", "--force"),
        words=("mine.npz", "time 0", "whole number", "state: real"),
    )
    assert load_time_study(CONFIG).data.source == "npy"


def test_large_counts_are_real(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts(largest=5000)
    refused(capsys, *arguments("mine.npy", "--state", "counts"), words=("5000", "--state real"), output=CONFIG)
    run(capsys, *arguments())
    assert load_time_study(CONFIG).data.state == "real"


def test_negative_counts_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts()
    values = np.load("mine.npy")
    values[4, 1, 1] = -2
    np.save("mine.npy", values)
    words = ("mine.npy", "time 1, trajectory 4, dimension species_1", "found -2")
    refused(capsys, *arguments("mine.npy", "--state", "counts"), words=words, output=CONFIG)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"times": 1}, ("found 1 observed snapshot",)),
        ({"trajectories": 24}, ("found 24 samples, expected 25 or more",)),
    ],
)
def test_too_little_data(
    sizes: dict[str, int], words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_counts(**sizes)
    refused(capsys, *arguments(), words=("mine.npy", *words), output=CONFIG)


def test_dimension_that_never_varies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("mine.npy", np.stack([np.arange(90).reshape(30, 3), np.ones((30, 3))], axis=-1))
    refused(capsys, *arguments(), words=("dimension species_1", "leave it out"), output=CONFIG)


def test_unfit_arguments(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *arguments("nothing.npy"), words=("nothing.npy", "no such file"), output=CONFIG)
    write_counts()
    refused(capsys, *arguments(name="my study"), words=("--name", "'my study'"), output=CONFIG)
    refused(capsys, *arguments("mine.npy", "--settings", "first"), words=("KEY=VALUE",), output=CONFIG)
    refused(capsys, *arguments("mine.npy", "--settings", "a=[1"), words=("YAML",), output=CONFIG)
    refused(capsys, *arguments("mine.npy", "--time-column", "t"), words=("time_column", "unknown key"), output=CONFIG)
    refused(capsys, *arguments("mine.npy", "--dimensions", "S", "S"), words=("'S' twice",), output=CONFIG)
    refused(capsys, *arguments("mine.npy", "--channels", "u"), words=("--channels", "--kind time"), output=CONFIG)
    CONFIG.write_text("mine")
    refused(capsys, *arguments(), words=("my.yaml", "exists already", "--force"))
    assert CONFIG.read_text() == "mine"


# --- check


def edit(**data: Any) -> None:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["data"] |= data
    CONFIG.write_text(yaml.safe_dump(config), encoding="utf-8")


def test_check_reads_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts(times=5)
    run(capsys, *arguments())
    edit(states=20)
    refused(capsys, "check", "--config", CONFIG, words=("mine.npy", "from 0 to 19"))
    edit(states=60, observed_every=3)
    refused(
        capsys, "check", "--config", CONFIG, words=("evaluation.forecast", "for 2 snapshots", "3 snapshots or more")
    )
    CONFIG.write_text(CONFIG.read_text(encoding="utf-8").replace("forecast: true", "forecast: false"), encoding="utf-8")
    shown, errors = run(capsys, "check", "--config", CONFIG, "--no-timing")
    assert "in order" in shown
    assert errors.startswith("weightcast: warning: data.observed_every: found 3, with which the last snapshot is at 3")
    assert errors.count("\n") == 1
    Path("mine.npy").unlink()
    refused(capsys, "check", "--config", CONFIG, words=("mine.npy", "no such file"))
    edit(file="data/my-study/snapshots.nc")
    refused(capsys, "check", "--config", CONFIG, words=("data.file", "another file"))


def test_check_of_snapshots_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cells()
    run(capsys, *arguments("mine.npz"))
    text = CONFIG.read_text(encoding="utf-8")
    CONFIG.write_text(text.replace("leave_out: [1]", "leave_out: [2]"), encoding="utf-8")
    refused(capsys, "check", "--config", CONFIG, words=("my.yaml", "evaluation.leave_out", "snapshot 2"))


def test_check_of_a_simulator(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_counts()
    run(capsys, *arguments())
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["data"] = {
        "source": "epidemic",
        "state": "counts",
        "states": 60,
        "dimensions": ["S", "I"],
        "trajectories": {"train": 30, "held_out": 10},
        "observed_every": 10,
    }
    CONFIG.write_text(yaml.safe_dump(config), encoding="utf-8")
    refused(capsys, "check", "--config", CONFIG, words=("data.dimensions", "found S, I", "epidemic"))
    config["data"]["dimensions"] = list(epidemic().species)
    CONFIG.write_text(yaml.safe_dump(config), encoding="utf-8")
    shown, errors = run(capsys, "check", "--config", CONFIG, "--no-timing")
    assert errors == ""
    assert "simulator epidemic: 30 trajectories to train, 10 held out" in shown
    assert "observed: 11 of 101 times" in shown


# --- choices, and studies of published data


def test_snapshots_do_not_jump_with_the_number_of_times() -> None:
    """Twenty times were all snapshots, and twenty-one made three."""
    for times in range(2, 400):
        stride = choose_stride(times)
        snapshots = len(range(0, times, stride))
        assert snapshots == times if times <= 20 else 8 <= snapshots <= 20
        assert (times - 1) % stride <= 0.05 * times  # what is left to be forecast at the end


@pytest.mark.parametrize(("largest", "state"), [(999, "counts"), (1000, "real"), (3000, "real")])
def test_counts_of_thousands_are_taken_as_real_unless_it_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], largest: int, state: str
) -> None:
    random = np.random.default_rng(0)
    array = random.integers(0, largest, (30, 4, 2))
    array[0, 0, 0] = largest
    np.save("mine.npy", array)
    shown, _ = run(capsys, *arguments())
    assert load_time_study(CONFIG).data.state == state
    assert ("--state counts gives each a probability" in shown) == (state == "real")
    run(capsys, *arguments("mine.npy", "--state", "counts", "--force"))
    assert load_time_study(CONFIG).data.state == "counts"


@pytest.mark.parametrize(
    ("times", "stride"), [(2, 1), (20, 1), (21, 2), (23, 2), (31, 2), (64, 7), (101, 10), (1001, 100)]
)
def test_strides_end_on_the_last_time(times: int, stride: int) -> None:
    assert choose_stride(times) == stride
    assert (times - 1) % stride == 0


@pytest.mark.parametrize(("largest", "states"), [(0, 2), (1, 3), (49, 53), (99, 105), (4000, 4096), (4095, 4096)])
def test_states_leave_a_little_room(largest: int, states: int) -> None:
    assert choose_states(largest) == states > largest


def test_states_end_somewhere() -> None:
    with pytest.raises(InputError, match="--state real"):
        choose_states(4096)


@pytest.mark.parametrize("name", ["mouse-hematopoiesis", "embryoid-body"])
def test_studies_of_published_cells(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ROOT / "config" / f"{name}.yaml"
    study = load_time_study(config)
    assert (study.study, study.data.held_out, study.data.observed_every) == (name, 0.5, 1)
    assert study.data.file is not None
    real = SHARED / Path(study.data.file).name
    if not real.is_file():
        pytest.skip(f"real data {real} are not here")
    Path("data").mkdir()
    Path(study.data.file).symlink_to(real)
    shown, errors = run(capsys, "check", "--config", config, "--no-timing")
    assert "in order" in shown
    assert errors == ""
