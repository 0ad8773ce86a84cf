"""``weightcast init --kind environments``: what is said of places in words becomes parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from command_line import refused, run
from record_files import ENVIRONMENTS, PLACES, STEPS, TIDY, init, series, tidy_lines, wide_lines, write
from refusals import refused as refusal
from tiny_study import write_data

from weightcast.core.categories import parameters_of
from weightcast.core.environment_table import read_environments
from weightcast.environments.config.load import load_study

SIX = (*PLACES, "hill", "lake")
GROUND = dict(zip(SIX, ("sand", "clay", "sand", "clay", "rock wool", "sand"), strict=True))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(heights: bool = False) -> list[str]:
    """A tidy table with a word, a name and a changing word of each place."""
    lines = tidy_lines(places=SIX)
    header = lines[0] + ",ground,owner,weather" + (",height" if heights else "")
    rows = [header]
    for number, line in enumerate(lines[1:]):
        place = line.split(",")[0]
        words = [GROUND[place] if number % 7 else "", f"owner of {place}", ("rain", "sun")[number % 2]]
        rows.append(",".join([line, *words, *([str(10 * SIX.index(place))] if heights else [])]))
    return rows


def test_words_that_never_change_in_a_place_are_parameters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", told())
    shown, errors = run(capsys, *init(*TIDY))
    table = read_environments(ENVIRONMENTS)
    assert table.parameter_names == ("ground.clay", "ground.rock-wool", "ground.sand")
    for row in table:  # cells that are empty here and there count for nothing
        kind = GROUND[row.id].replace(" ", "-")
        assert row.parameters == {name: float(name == f"ground.{kind}") for name in table.parameter_names}
    assert errors == ""
    assert "column ground: a category of 3 values, as parameters that are 1 or 0: ground.clay, " in shown
    assert "column owner: 6 values in 6 environments say nothing of another one: left out" in shown
    assert "weather" not in shown  # it changes
    assert "--parameters none leaves such columns out" in shown
    study = load_study("my.yaml")
    assert study.base.conditioned is not None
    assert "parameters" not in study.data.settings  # the table of environments has them; they are not read again
    shown, _ = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown

    ENVIRONMENTS.unlink()
    shown, _ = run(capsys, *init(*TIDY, "--parameters", "none"))
    assert read_environments(ENVIRONMENTS).parameter_names == () and "ground" not in shown


def test_words_and_numbers_that_are_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", told(heights=True))
    farthest = ("--held-out", "farthest", "--held-out-count", "1")
    shown, _ = run(capsys, *init(*TIDY, "--parameters", "ground", "height", *farthest))
    table = read_environments(ENVIRONMENTS)
    assert table.parameter_names == ("height", "ground.clay", "ground.rock-wool", "ground.sand")
    assert table["lake"].parameters["height"] == 50.0
    assert [row.id for row in table.extrapolation] == ["hill"]  # no other place is of its kind
    assert "warning: ground.rock-wool is of no visible place: nothing is learned of it" in shown
    assert "owner" not in shown
    ENVIRONMENTS.unlink()
    words = ("air.csv: row 3, column weather", "found 'sun' of north, expected 'rain'", "never changes in a place")
    refused(capsys, *init(*TIDY, "--parameters", "weather"), words=words, output=ENVIRONMENTS)


def test_a_place_of_which_nothing_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.replace(",clay,", ",,") if line.startswith("east") else line for line in told()]
    write(folder / "air.csv", lines)
    shown, _ = run(capsys, *init(*TIDY))
    assert "column ground is no parameter: air.csv: row 302, column ground: found no text of east in any row" in shown
    assert read_environments(ENVIRONMENTS).parameter_names == ()
    ENVIRONMENTS.unlink()
    words = ("air.csv: row 302, column ground: found no text of east",)
    refused(capsys, *init(*TIDY, "--parameters", "ground"), words=words, output=ENVIRONMENTS)


def test_files_of_a_place_each(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rooms").mkdir()
    for number, (place, ground) in enumerate(GROUND.items()):
        hours = pd.date_range("2020-01-01", periods=STEPS, freq="h")
        frame = pd.DataFrame({"time": hours, "ozone": series(number), "ground": ground})
        frame.to_csv(folder / "rooms" / f"{place}.csv", index=False)
    run(capsys, *init("--state", "ozone", "--history", "1", data="rooms"))
    table = read_environments(ENVIRONMENTS)
    assert {row.id for row in table if row.parameters["ground.sand"]} == {"north", "south", "lake"}


def test_netcdf_with_words_for_stations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.stack([series(place) for place in range(6)])
    dataset = xr.Dataset(
        {
            "ozone": (("station", "time"), values),
            "ground": ("station", [GROUND[place] for place in SIX]),
            "slope": ("station", np.array([1, 2, 2, 1, 2, 1], np.int8), {"flag_values": np.array([1, 2], np.int8)}),
        },
        {"station": list(SIX), "time": pd.date_range("2020-01-01", periods=STEPS, freq="h")},
    )
    dataset["slope"].attrs["flag_meanings"] = "flat steep"
    dataset.to_netcdf(folder / "air.nc")
    run(capsys, *init("--history", "1", data="air.nc"))
    table = read_environments(ENVIRONMENTS)
    slopes = ("slope.flat", "slope.steep")
    assert table.parameter_names == ("ground.clay", "ground.rock-wool", "ground.sand", *slopes)
    assert [row.id for row in table if row.parameters["slope.steep"]] == ["east", "south", "hill"]
    ENVIRONMENTS.unlink()
    run(capsys, *init("--history", "1", "--parameters", "slope", data="air.nc"))
    assert read_environments(ENVIRONMENTS).parameter_names == slopes


def test_wide_tables_have_no_parameters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", wide_lines(places=SIX))
    run(capsys, *init("--parameters", "none", "--history", "1"))
    assert read_environments(ENVIRONMENTS).parameter_names == ()


def test_a_table_of_environments_with_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"e{number}", "interpolation" if number in (2, 4) else "visible", 1 + number / 10) for number in range(8)]
    write_data(folder / "mine", rows, trajectories=10, frames=21)
    kinds = ("laminar", "turbulent")
    lines = ["id,role,beta,regime", *(f"{id},{role},{beta},{kinds[n % 2]}" for n, (id, role, beta) in enumerate(rows))]
    write(folder / "table.csv", lines)
    shown, _ = run(capsys, *init("--table", "table.csv", data="mine"))
    table = read_environments(ENVIRONMENTS)
    assert table.parameter_names == ("beta", "regime.laminar", "regime.turbulent")
    assert table["e3"].parameters == {"beta": 1.3, "regime.laminar": 0.0, "regime.turbulent": 1.0}
    assert [row.role for row in table] == [role for _, role, _ in rows]
    assert "wrote my-environments.csv: table.csv, with numbers for words" in shown
    assert load_study("my.yaml").environments == str(ENVIRONMENTS)
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown and errors == ""

    words = ("my-environments.csv", "exists already")
    refused(capsys, *init("--table", "table.csv", data="mine"), words=words)
    slip = [line.replace("1.3,", "1.3?,") for line in lines]
    write(folder / "table.csv", slip)
    ENVIRONMENTS.unlink()
    words = ("table.csv: column beta: found '1.3?' in e3", "a number, as in 7 of 8 environments")
    refused(capsys, *init("--table", "table.csv", data="mine"), words=words, output=ENVIRONMENTS)


def test_a_table_with_units_and_without_roles(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"e{number}", "visible", 1 + number / 10) for number in range(10)]
    write_data(folder / "mine", rows, trajectories=10, frames=21)
    write(folder / "table.csv", ["id;beta [1/s]", *(f"{id};{beta}".replace(".", ",") for id, _, beta in rows)])
    shown, _ = run(capsys, *init("--table", "table.csv", data="mine"))
    table = read_environments(ENVIRONMENTS)
    assert {row.id: row.parameters for row in table} == {id: {"beta": beta} for id, _, beta in rows}
    assert "table.csv: no column role: roles are drawn at random with the seed 0" in shown
    assert (len(table.visible), len(table.unseen)) == (7, 3)
    seen = [row.parameters["beta"] for row in table.visible]
    for row in table.unseen:
        inside = min(seen) <= row.parameters["beta"] <= max(seen)
        assert row.role == ("interpolation" if inside else "extrapolation")
    run(capsys, "check", "--config", "my.yaml", "--no-timing")


def test_a_slip_among_numbers_is_no_category() -> None:
    cells = {f"e{number}": {"dose": str(number)} for number in range(5)} | {"e5": {"dose": "1.5 mg"}}
    with refusal("column dose: found '1.5 mg' in e5", "expected a number, as in 5 of 6 environments"):
        parameters_of(cells, ["dose"])
