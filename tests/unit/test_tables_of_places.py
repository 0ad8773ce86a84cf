"""A second table says what is known of places: joined to long tables, files of a place each and folders alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import refused, run
from record_files import ENVIRONMENTS, PLACES, STEPS, TIDY, hours, init, series, tidy_lines, wide_lines, write
from refusals import refused as refusal
from tiny_study import write_data

from weightcast.core.environment_table import read_environments
from weightcast.core.given_table import read_given_table
from weightcast.core.place_names import called_alike
from weightcast.environments.config.load import load_study

SIX = (*PLACES, "St. Gall", "Zürich")
IDS = (*PLACES, "St.-Gall", "Zurich")
HEIGHTS = (10.0, 200.5, 35.0, 700.0, 690.0, 400.0)
GROUND = ("sand", "clay", "sand", "sand", "clay", "clay")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(names: tuple[str, ...] = SIX, further: Sequence[str] = ()) -> list[str]:
    """Lines of a table of places as a spreadsheet writes them: semicolons between cells, decimal commas."""
    numbers = dict(zip(SIX, zip(HEIGHTS, GROUND, strict=True), strict=True))
    rows = [
        ";".join([name.upper(), str(numbers[name][0]).replace(".", ","), numbers[name][1], str(6600 + row)])
        for row, name in enumerate(names)
    ]
    return ["Name;height (m);ground;wmo_id", *rows, *further]


def joined(folder: Path, capsys: pytest.CaptureFixture[str], *options: str, data: str) -> str:
    """What ``init`` prints for data with all six places in the table; their parameters are as they stand there."""
    write(folder / "places.csv", places())
    shown, _ = run(capsys, *init(*options, "--table", "places.csv", data=data))
    table = read_environments(ENVIRONMENTS)
    assert set(table.ids) == set(IDS)
    assert table.parameter_names == ("height", "ground.clay", "ground.sand")
    for id, height, ground in zip(IDS, HEIGHTS, GROUND, strict=True):
        kinds = {f"ground.{kind}": float(kind == ground) for kind in ("clay", "sand")}
        assert table[id].parameters == {"height": height, **kinds}
    assert "places.csv: rows are found by the column Name" in shown
    checked, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in checked and errors == ""
    assert load_study("my.yaml").base.conditioned is not None
    return shown


def test_a_tidy_table_is_joined(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", tidy_lines(places=SIX))
    shown = joined(folder, capsys, *TIDY, data="air.csv")
    assert "column wmo_id: by its name numbers that are names" in shown


def test_a_wide_table_is_joined(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "wide.csv", wide_lines(places=SIX, times=hours()))
    joined(folder, capsys, "--state", "ozone", "--history", "1", data="wide.csv")


def test_a_folder_of_a_table_each_is_joined(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "each").mkdir()
    for number, place in enumerate(SIX):
        rows = [f"{time},{value}" for time, value in zip(hours(), series(number), strict=True)]
        write(folder / "each" / f"{place}.csv", ["datetime,ozone", *rows])
    joined(folder, capsys, "--state", "ozone", "--history", "1", data="each")


def test_stations_in_netcdf_are_joined(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.stack([series(place) for place in range(6)])
    dataset = xr.Dataset({"ozone": (("station", "time"), values)}, {"station": list(SIX), "time": np.arange(STEPS)})
    dataset.to_netcdf(folder / "air.nc")
    joined(folder, capsys, "--history", "1", data="air.nc")


def test_a_folder_of_fields_is_joined(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(folder / "mine", [(f"{number:03d}", "visible", 1.0) for number in range(8)], trajectories=10, frames=21)
    lines = ["site,depth [m],remark", *(f"{number},{1.5 * number},{'?' * number}" for number in range(2, 10))]
    write(folder / "sites.csv", lines)
    shown, _ = run(capsys, *init("--table", "sites.csv", data="mine"))
    table = read_environments(ENVIRONMENTS)
    assert table.ids == ("002", "003", "004", "005", "006", "007")  # 8 and 9 have no files, 0 and 1 no row
    assert table.parameter_array().ravel().tolist() == [3.0, 4.5, 6.0, 7.5, 9.0, 10.5]
    assert "rows of sites.csv without data, and not used: 8, 9" in shown
    assert "without a row in my-environments.csv, and not used: 000.nc, 001.nc" in shown
    assert "column remark: 6 values in 6 environments say nothing of another one: left out" in shown


def test_names_without_their_like_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", tidy_lines(places=SIX))
    write(folder / "places.csv", places(("north", "east", "south", "west", "Zürich"), ["Paris;35;clay;1"]))
    shown, _ = run(capsys, *init(*TIDY, "--table", "places.csv"))
    assert "rows of places.csv without records, and not used: Paris" in shown
    assert "places without a row in places.csv, and not used: St.-Gall" in shown
    assert set(read_environments(ENVIRONMENTS).ids) == set(IDS) - {"St.-Gall"}
    assert load_study("my.yaml").data.settings["left_out"] == ["St.-Gall"]
    run(capsys, "check", "--config", "my.yaml", "--no-timing")


def test_columns_that_cannot_be_parameters_are_told_and_refused_where_they_are_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "air.csv", tidy_lines(places=SIX))
    rows = zip(SIX, HEIGHTS, (1990, "", 2001, 2002, 2003, "NA"), strict=True)
    write(folder / "p.csv", ["station,height,built,zone", *(f"{name},{high},{year},7" for name, high, year in rows)])
    shown, _ = run(capsys, *init(*TIDY, "--table", "p.csv"))
    assert read_environments(ENVIRONMENTS).parameter_names == ("height",)
    assert "p.csv: column built: no value of east, Zurich: left out" in shown
    assert "p.csv: column zone: 7 everywhere: left out" in shown
    ENVIRONMENTS.unlink()
    words = ("p.csv: line 3, column built: found no value", "expected a number or a category")
    refused(capsys, *init(*TIDY, "--table", "p.csv", "--parameters", "built"), words=words, output=ENVIRONMENTS)
    shown, _ = run(capsys, *init(*TIDY, "--table", "p.csv", "--parameters", "zone", "height"))
    assert read_environments(ENVIRONMENTS).parameter_names == ("zone", "height")
    ENVIRONMENTS.unlink()
    run(capsys, *init(*TIDY, "--table", "p.csv", "--parameters", "none"))
    assert read_environments(ENVIRONMENTS).parameter_names == ()


def test_roles_stand_in_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", tidy_lines(places=SIX))
    roles = ("visible", "visible", "extrapolation", "visible", "interpolation", "visible")
    rows = [f"{name},{role},{high}" for name, role, high in zip(SIX, roles, HEIGHTS, strict=True)]
    write(folder / "p.csv", ["id,role,height", *rows])
    shown, _ = run(capsys, *init(*TIDY, "--table", "p.csv"))
    assert [row.role for row in read_environments(ENVIRONMENTS)] == list(roles)
    assert "held out are south, St.-Gall: as p.csv has them" in shown
    ENVIRONMENTS.unlink()
    words = ("--held-out: found ['farthest'], expected none: p.csv has a column role",)
    refused(capsys, *init(*TIDY, "--table", "p.csv", "--held-out", "farthest"), words=words, output=ENVIRONMENTS)
    write(folder / "p.csv", ["id,role,height", *rows, "Rom,visible,20"])
    words = ("p.csv: line 8, column id: found Rom, of which air.csv has no records", "or no column role")
    refused(capsys, *init(*TIDY, "--table", "p.csv"), words=words, output=ENVIRONMENTS)
    write(folder / "p.csv", ["id,role,height", *rows[:2], rows[3]])
    words = ("p.csv: column role: found 3 visible of 3 places with enough records", "others to test on")
    refused(capsys, *init(*TIDY, "--table", "p.csv"), words=words, output=ENVIRONMENTS)


def test_a_table_of_other_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", tidy_lines(places=SIX))
    write(folder / "p.csv", ["town,height", "Rom,20", "Paris,35"])
    words = "p.csv: found the columns town, height, expected one that names St.-Gall, Zurich, east, north, south and"
    refused(capsys, *init(*TIDY, "--table", "p.csv"), words=(words,), output=ENVIRONMENTS)


def test_how_names_are_found() -> None:
    found = called_alike(["ST GALL", "zürich", "7", "Rom", ""], ["St.-Gall", "Zurich", "007", "12"])
    assert found == {"ST GALL": "St.-Gall", "zürich": "Zurich", "7": "007"}
    assert called_alike(["A.1", "a1"], ["A1", "A-1", "B-1"]) == {"a1": "A1"}
    assert called_alike(["b1"], ["A1", "A-1", "B-1"]) == {"b1": "B-1"}
    assert called_alike(["7"], ["007", "07"]) == {}  # either could be meant


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", ["name,height", "north,1", "North,2"])
    with refusal("p.csv: line 3, column name: found 'North' again"):
        read_given_table(tmp_path / "p.csv", ["north", "south"])
