from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from record_files import PLACES, STEPS, hours, series, tidy_lines, wide_lines, write

from weightcast.core.errors import InputError
from weightcast.core.place_names import place_id
from weightcast.records.doubtful_values import doubts
from weightcast.records.files import is_table
from weightcast.records.read import read_records
from weightcast.records.record import Records
from weightcast.records.settings import RecordSettings
from weightcast.records.windows import Parts, cut, parts_of, spread, window_starts

TIDY = RecordSettings(environment="station", time=["datetime"])
WIDE = RecordSettings(layout="wide")
EXPECTED = np.stack([series(place) for place in range(len(PLACES))])


def read(path: Path, settings: RecordSettings = TIDY, channels: tuple[str, ...] = ("ozone",)) -> Records:
    return read_records([path], settings, channels)


def refused(path: Path, *words: str, settings: RecordSettings = TIDY, channels: tuple[str, ...] = ("ozone",)) -> None:
    """Reading ends in one line with all words."""
    with pytest.raises(InputError) as caught:
        read(path, settings, channels)
    assert "\n" not in str(caught.value)
    for word in (str(path), *words):
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"


def assert_same(records: Records, tolerance: float = 0.0) -> None:
    """The records are those of tests, to the digits that a file has."""
    assert records.ids == PLACES
    np.testing.assert_allclose(records.values[..., 0], EXPECTED, rtol=0, atol=tolerance)


# --- forms of text


@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", "."), ("\t", "."), ("|", "."), (";", ","), ("\t", ",")]
)
def test_separators_and_decimal_commas_are_recognised(separator: str, decimal: str, tmp_path: Path) -> None:
    lines = tidy_lines(separator=separator, cell=lambda value: str(value).replace(".", decimal))
    assert_same(read(write(tmp_path / "air.csv", lines)))


def test_quoted_decimal_commas_between_commas(tmp_path: Path) -> None:
    lines = tidy_lines(cell=lambda value: '"' + str(value).replace(".", ",") + '"')
    assert_same(read(write(tmp_path / "air.csv", lines)))


def test_columns_between_spaces(tmp_path: Path) -> None:
    lines = [line.replace(",", "  ").replace(" 0", "T0", 0) for line in tidy_lines(times=list(map(str, range(STEPS))))]
    assert_same(read(write(tmp_path / "air.txt", lines)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    places = ["Zürich", "Genève", "Sankt Gallen", "Chur"]
    records = read(write(tmp_path / "air.csv", tidy_lines(places=places), encoding))
    assert records.names == tuple(places)
    assert records.ids == ("Zurich", "Geneve", "Sankt-Gallen", "Chur")
    assert ("Windows-1252" in " ".join(records.notes)) == (encoding == "cp1252")


def test_compressed_text_and_lines_that_do_not_count(tmp_path: Path) -> None:
    lines = tidy_lines()
    lines = ["# from the archive", "", lines[0], *lines[1:5], ",,", *lines[5:], ""]
    path = tmp_path / "air.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert_same(read(path))
    path.write_bytes(path.read_bytes()[:-200])
    refused(path, "decompressed", "whole gzip file")


def test_a_format_that_its_name_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "air.csv"
    path.write_bytes(b"PK\x03\x04 and so on")
    refused(path, "a ZIP archive or a spreadsheet")
    (tmp_path / "air.xlsx").write_bytes(b"PK\x03\x04")
    refused(tmp_path / "air.xlsx", "spreadsheet", "saved as CSV")
    path.write_bytes(b"a,b\n1,\0\n")
    refused(path, "row 2", "zero byte")
    path.write_bytes(b"")
    refused(path, "no row of data")


def test_rows_of_other_lengths(tmp_path: Path) -> None:
    lines = tidy_lines()
    lines[10] += ",7"
    refused(write(tmp_path / "air.csv", lines), "row 11", "found 4 cells", "expected 3")
    lines[10] = "north,2020-01-01 09:00:00"  # a file that ends in the middle of a row has such a one
    refused(write(tmp_path / "air.csv", lines), "row 11", "found 2 cells", "expected 3")
    refused(write(tmp_path / "air.csv", ["station,station,ozone", "a,b,1"]), "'station' twice")


# --- cells


@pytest.mark.parametrize("mark", ["", "NA", "NaN", "null", "-", "n/a", "."])
def test_marks_of_missing_values(mark: str, tmp_path: Path) -> None:
    lines = tidy_lines()
    lines[4] = f"north,2020-01-01 03:00:00,{mark}"
    records = read(write(tmp_path / "air.csv", lines))
    assert np.argwhere(np.isnan(records.values[..., 0])).tolist() == [[0, 3]]


def test_text_in_numbers_is_refused_with_its_row_unless_it_is_named(tmp_path: Path) -> None:
    lines = tidy_lines()
    lines[4] = "north,2020-01-01 03:00:00,<5"
    path = write(tmp_path / "air.csv", lines)
    refused(path, "row 5, column ozone", "'<5'", "--missing")
    records = read(path, TIDY.model_copy(update={"missing": ["<5"]}))
    assert np.argwhere(np.isnan(records.values[..., 0])).tolist() == [[0, 3]]
    lines[4] = "north,2020-01-01 03:00:00,inf"
    refused(write(path, lines), "row 5, column ozone", "'inf'")


def test_marks_of_thousands(tmp_path: Path) -> None:
    lines = tidy_lines(separator=";", cell=lambda value: f"{1000 * value:,.0f}")
    refused(write(tmp_path / "air.csv", lines), "row 2, column ozone", "thousands", "--decimal")


@pytest.mark.parametrize(
    ("value", "count"), [("-999", 3), ("-9999.0", 2), ("1e20", 1), ("9.96921e36", 1), ("99999", 4)]
)
def test_undeclared_marks_of_missing_values(value: str, count: int, tmp_path: Path) -> None:
    lines = tidy_lines()
    for row in range(count):
        lines[4 + row] = f"north,2020-01-01 {3 + row:02d}:00:00,{value}"
    path = write(tmp_path / "air.csv", lines)
    words = "once" if count == 1 else f"{count} times"
    refused(path, "row 5, column ozone", f"found {float(value):g}", words, "--missing")
    records = read(path, TIDY.model_copy(update={"missing": [value]}))
    assert np.isnan(records.values).sum() == count
    assert np.isfinite(read(path, TIDY.model_copy(update={"missing": []})).values).all()


def test_what_is_rare_but_real_passes(tmp_path: Path) -> None:
    lines = tidy_lines()
    lines[4], lines[5] = "north,2020-01-01 03:00:00,0", "north,2020-01-01 04:00:00,0"  # zeros far below the others
    lines[9] = "north,2020-01-01 08:00:00,300"  # one peak, a hundred times the range of the others
    assert read(write(tmp_path / "air.csv", lines)).values.max() == 300


def test_columns_that_are_empty_or_not_there(tmp_path: Path) -> None:
    refused(write(tmp_path / "air.csv", tidy_lines(cell=lambda value: "")), "ozone", "no value in the whole column")
    refused(write(tmp_path / "air.csv", tidy_lines()), "no column 'PM2.5'", "station, datetime", channels=("PM2.5",))
    lines = tidy_lines()
    lines[1 : STEPS + 1] = [f"{line.rpartition(',')[0]}," for line in lines[1 : STEPS + 1]]
    refused(write(tmp_path / "air.csv", lines), "row 2", "no value of north", "--leave-out north")
    assert read(tmp_path / "air.csv", TIDY.model_copy(update={"left_out": ["north"]})).ids == PLACES[1:]


def test_units_in_names_of_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "air.csv", tidy_lines(header=("station", "datetime", "ozone (µg/m3)")))
    records = read(path)
    assert records.units == {"ozone": "µg/m3"}
    assert_same(records)


def test_parameters_never_change(tmp_path: Path) -> None:
    lines = [f"{line},{'height' if row == 0 else 100 * ((row - 1) // STEPS)}" for row, line in enumerate(tidy_lines())]
    settings = TIDY.model_copy(update={"parameters": {"height": "height"}})
    path = write(tmp_path / "air.csv", lines)
    assert read(path, settings).parameters.tolist() == [[0.0], [100.0], [200.0], [300.0]]
    lines[7] = lines[7].rpartition(",")[0] + ",5"
    refused(write(path, lines), "row 8", "height", "found 5 of north", "expected 0", settings=settings)


# --- times


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%MZ", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%y %H:%M", "%Y/%m/%d %H:%M",
     "%m/%d/%Y %I:%M %p", "%Y-%m-%d %H:%M:%S+01:00", "%d %b %Y %H:%M"],
)  # fmt: skip
def test_forms_of_times(form: str, tmp_path: Path) -> None:
    times = [stamp.strftime(form) for stamp in pd.date_range("2020-01-10", periods=STEPS, freq="h")]
    records = read(write(tmp_path / "air.csv", tidy_lines(times)))
    assert_same(records)
    assert records.calendar.words == "1 hour"
    assert records.calendar.label(0) == ("2020-01-09T23:00:00" if "+01" in form else "2020-01-10T00:00:00")


def test_dates_that_can_be_read_either_way(tmp_path: Path) -> None:
    times = [f"{1 + step // 12:02d}/{1 + step % 12:02d}/2020" for step in range(144)]
    path = write(tmp_path / "air.csv", tidy_lines(times))
    refused(path, "row 2, column datetime", "'01/01/2020'", "--dates")
    records = read(path, TIDY.model_copy(update={"dates": "day-first"}))
    assert (records.calendar.words, records.calendar.label(1)) == ("1 day", "2020-01-02")


def test_dates_of_both_orders(tmp_path: Path) -> None:
    times = [stamp.strftime("%d/%m/%Y") for stamp in pd.date_range("2020-01-01", periods=40, freq="D")]
    times[20] = "01/21/2020"
    refused(write(tmp_path / "air.csv", tidy_lines(times)), "row 22, column datetime", "'01/21/2020'", "order")
    times[20] = "21.1.20?"
    refused(write(tmp_path / "air.csv", tidy_lines(times)), "row 22, column datetime", "'21.1.20?'", "form")


def test_times_with_and_without_an_offset(tmp_path: Path) -> None:
    times = [f"{time}+01:00" for time in hours()]
    times[5] = times[5][:-6]
    refused(write(tmp_path / "air.csv", tidy_lines(times)), "row 7, column datetime", "offset from UTC")


@pytest.mark.parametrize(
    ("frequency", "form", "words"),
    [("MS", "%Y-%m", "1 month"), ("ME", "%Y-%m-%d", "1 month"), ("YS", "%Y-%m-%d", "1 year"),
     ("W", "%Y-%m-%d", "1 week"),
     ("QS", "%Y-%m-%d", "3 months"), ("28D", "%Y-%m-%d", "4 weeks"), ("10min", "%Y-%m-%d %H:%M", "10 minutes"),
     ("W-MON", "%G-W%V", "1 week"), ("D", "%Y%m%d", "1 day")],
)  # fmt: skip
def test_steps(frequency: str, form: str, words: str, tmp_path: Path) -> None:
    times = [stamp.strftime(form) for stamp in pd.date_range("2001-01-01", periods=60, freq=frequency)]
    records = read(write(tmp_path / "air.csv", tidy_lines(times)))
    assert (records.calendar.words, records.steps) == (words, 60)
    for step in (0, 17, 59):
        assert records.calendar.index(records.calendar.label(step), "here") == step


def test_times_in_several_columns(tmp_path: Path) -> None:
    lines = [line.replace(" ", ",").replace(":00:00", "").replace("-", ",") for line in tidy_lines()]
    lines[0] = "station,year,month,day,hour,ozone"
    settings = TIDY.model_copy(update={"time": ["year", "month", "day", "hour"]})
    path = write(tmp_path / "air.csv", lines)
    assert_same(read(path, settings))
    lines[3] = "north,2020,02,31,02,1"
    refused(write(path, lines), "row 4", "month 2, day 31", settings=settings)


def test_times_as_numbers(tmp_path: Path) -> None:
    days = [f"{41640 + step / 24:.5f}" for step in range(STEPS)]  # as a spreadsheet counts hours
    records = read(write(tmp_path / "air.csv", tidy_lines(days)))
    assert_same(records)
    assert records.calendar.step == pytest.approx(1 / 24, rel=1e-4)


def test_rows_in_any_order_and_rows_that_are_missing(tmp_path: Path) -> None:
    lines = tidy_lines()
    shuffled = [lines[0], *np.random.default_rng(0).permutation(lines[1:])]
    records = read(write(tmp_path / "air.csv", shuffled))
    assert "sorted" in " ".join(records.notes)
    np.testing.assert_array_equal(records.values[list(map(records.ids.index, PLACES)), :, 0], EXPECTED)
    del lines[6:9]
    records = read(write(tmp_path / "air.csv", lines))
    assert np.flatnonzero(np.isnan(records.values[0, :, 0])).tolist() == [5, 6, 7]
    assert records.notes == ()


def test_a_time_that_is_there_twice(tmp_path: Path) -> None:
    lines = tidy_lines()
    path = write(tmp_path / "air.csv", [*lines, lines[3]])
    assert "1 rows say the same" in " ".join(read(path).notes)
    refused(write(path, [*lines, "north,2020-01-01 02:00:00,99"]), f"row {len(lines) + 1}", "again", "row 4", "clock")


def test_times_between_steps(tmp_path: Path) -> None:
    times = hours()
    times[7] = times[7].replace(":00:00", ":20:00")
    refused(write(tmp_path / "air.csv", tidy_lines(times)), "row 9", "2020-01-01 07:20", "1 hour apart", "irregular")


def test_a_place_with_other_steps(tmp_path: Path) -> None:
    daily = [str(stamp) for stamp in pd.date_range("2020-01-01", periods=12, freq="D")]
    lines = [*tidy_lines(), *tidy_lines(daily, places=["daily"])[1:]]
    path = write(tmp_path / "air.csv", lines)
    refused(path, f"row {4 * STEPS + 3}", "1 day apart in daily", "expected 1 hour", "--leave-out")
    assert read(path, TIDY.model_copy(update={"left_out": ["daily"]})).ids == PLACES


def test_a_slip_in_a_year(tmp_path: Path) -> None:
    lines = tidy_lines()
    lines[9] = lines[9].replace("2020", "2220")
    refused(write(tmp_path / "air.csv", lines), "row 10", "2220-01-01", "holes")


# --- names of places


def test_names_of_places(tmp_path: Path) -> None:
    assert place_id("  São Paulo (centre) ") == "Sao-Paulo-centre"
    refused(write(tmp_path / "air.csv", tidy_lines(places=["Genève", "geneve"])), "'geneve'", "'Genève'", "accents")
    refused(write(tmp_path / "air.csv", tidy_lines(places=["a", "?"])), f"row {STEPS + 2}", "'?'")
    lines = tidy_lines()
    lines[7] = lines[7].removeprefix("north")
    refused(write(tmp_path / "air.csv", lines), "row 8, column station", "no place")


# --- other layouts and formats


def test_wide_tables(tmp_path: Path) -> None:
    dated = WIDE.model_copy(update={"time": ["date"]})
    assert_same(read(write(tmp_path / "flu.csv", wide_lines(times=hours())), dated))
    records = read(write(tmp_path / "flu.csv", wide_lines()), WIDE)
    assert_same(records)
    assert "even steps" in " ".join(records.notes)
    records = read(write(tmp_path / "flu.csv", wide_lines()[1:]), WIDE)  # a bare matrix
    assert records.ids == ("place-0", "place-1", "place-2", "place-3")
    np.testing.assert_array_equal(records.values[..., 0], EXPECTED)
    gap = ["10.3,,12.3,13.3", *wide_lines()[2:]]  # a value is missing in the very first row
    assert np.argwhere(np.isnan(read(write(tmp_path / "gap.csv", gap), WIDE).values[..., 0])).tolist() == [[1, 0]]
    lines = wide_lines()
    lines[8] = lines[8].replace(lines[8].split(",")[1], "many")
    refused(write(tmp_path / "flu.csv", lines), "row 9, column east", "'many'", settings=WIDE)


def test_a_header_that_counts_is_a_header(tmp_path: Path) -> None:
    records = read(write(tmp_path / "flu.csv", wide_lines(places=["0", "1", "2", "3"])), WIDE)
    assert (records.ids, records.steps) == (("0", "1", "2", "3"), STEPS)


def test_a_file_for_each_place(tmp_path: Path) -> None:
    for number, place in enumerate(PLACES):
        rows = [f"{time},{value}" for time, value in zip(hours(), series(number), strict=True)]
        write(tmp_path / f"{place}.csv", ["datetime,ozone", *rows])
    settings = RecordSettings(layout="file-each", time=["datetime"])
    files = [tmp_path / f"{place}.csv" for place in PLACES]
    assert_same(read_records(files, settings, ["ozone"]))
    assert sorted(read_records([tmp_path], settings, ["ozone"]).ids) == sorted(PLACES)
    with pytest.raises(InputError, match="found twice"):
        read_records([files[0], files[0]], settings, ["ozone"])


@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_in_json(turned: bool, tmp_path: Path) -> None:
    matrix = EXPECTED if turned else EXPECTED.T
    names = {place: number for number, place in enumerate(PLACES)}
    content = {"edges": [[0, 1], [1, 2]], "node_ids": names, "FX": matrix.tolist()}
    path = tmp_path / "pox.json"
    path.write_text(json.dumps(content))
    records = read(path, WIDE)
    assert_same(records)
    assert "'FX'" in records.notes[0] and "edges" in records.notes[0]


def test_rows_in_json(tmp_path: Path) -> None:
    rows = [dict(zip(("station", "datetime", "ozone"), line.split(","), strict=True)) for line in tidy_lines()[1:]]
    path = tmp_path / "air.json"
    path.write_text(json.dumps([row | {"ozone": float(row["ozone"])} for row in rows]))
    assert_same(read(path))
    path.write_text(json.dumps({"a": 1}))
    refused(path, "no table")
    path.write_text("{")
    refused(path, "cannot be read", "JSON")


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"station": np.repeat(PLACES, STEPS), "ozone": EXPECTED.ravel()})
    frame["datetime"] = pd.to_datetime(np.tile(hours(), len(PLACES)))
    frame.to_parquet(tmp_path / "air.parquet")
    assert_same(read(tmp_path / "air.parquet"))


def test_parquet_with_decimals_and_yes_and_no(tmp_path: Path) -> None:
    """As databases write them."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"station": ["a"] * 3 + ["b"] * 3, "time": [0, 1, 2] * 2, "open": [True, False, True] * 2})
    frame["ozone"] = [Decimal("1.50"), None, Decimal("3")] * 2
    frame.to_parquet(tmp_path / "air.parquet")
    settings = RecordSettings(environment="station", time=["time"])
    values = read_records([tmp_path / "air.parquet"], settings, ["ozone", "open"]).values
    np.testing.assert_array_equal(values[1], [[1.5, 1.0], [np.nan, 0.0], [3.0, 1.0]])


def test_a_row_a_line_in_json(tmp_path: Path) -> None:
    rows = [dict(zip(("station", "datetime", "ozone"), line.split(","), strict=True)) for line in tidy_lines()[1:]]
    path = write(
        tmp_path / "air.jsonl", [json.dumps(row | {"open": True, "ozone": float(row["ozone"])}) for row in rows]
    )
    assert_same(read(path))
    assert (read_records([path], TIDY, ["open"]).values == 1).all()
    refused(write(tmp_path / "bad.jsonl", ["{}", "{"]), "cannot be read", "JSON")


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "air.parquet").write_bytes(b"PAR1")
    refused(tmp_path / "air.parquet", "pyarrow", "pip install")


def stations(**attributes: object) -> xr.Dataset:
    values = EXPECTED.copy()
    return xr.Dataset(
        {"ozone": (("station", "time"), values, {"units": "ppb", **attributes})},
        {"station": list(PLACES), "time": ("time", np.arange(STEPS), {"units": "hours since 2020-01-01"})},
    )


def test_netcdf_with_stations(tmp_path: Path) -> None:
    settings = RecordSettings(environment="station", time=["time"])
    path = tmp_path / "air.nc"
    stations().transpose("time", "station").to_netcdf(path)
    records = read(path, settings)
    assert_same(records)
    assert (records.units, records.calendar.words) == ({"ozone": "ppb"}, "1 hour")
    assert records.calendar.label(0) == "2020-01-01T00:00:00"
    refused(path, "no variable 'PM'", settings=settings, channels=("PM",))
    refused(path, "no dimension 'site'", settings=RecordSettings(environment="site", time=["time"]))


def test_missing_values_of_netcdf(tmp_path: Path) -> None:
    settings = RecordSettings(environment="station", time=["time"])
    dataset = stations(valid_range=[-100.0, 100.0])
    dataset["ozone"][0, 3], dataset["ozone"][1, 4], dataset["ozone"][2, 5] = -999.0, 9.969209968386869e36, np.nan
    path = tmp_path / "air.nc"
    dataset.to_netcdf(path, encoding={"ozone": {"_FillValue": None}})
    records = read(path, settings)
    assert np.argwhere(np.isnan(records.values[..., 0])).tolist() == [[0, 3], [1, 4], [2, 5]]
    del dataset["ozone"].attrs["valid_range"]
    dataset["ozone"][3, 7] = -999.0
    dataset.to_netcdf(path, encoding={"ozone": {"_FillValue": None}})
    refused(path, "station north, time 3", "-999, 2 times", settings=settings)
    records = read(path, settings.model_copy(update={"missing": ["-999"]}))
    assert np.isnan(records.values).sum() == 4


# --- windows


def test_windows_go_around_missing_values() -> None:
    complete = np.ones(30, bool)
    assert window_starts(complete, (0, 30), 7) == [0, 7, 14, 21]
    complete[9] = False
    assert window_starts(complete, (0, 30), 7) == [0, 10, 17]
    assert window_starts(complete, (8, 30), 7) == [10, 17]
    assert window_starts(complete, (0, 9), 9) == [0]
    assert window_starts(~complete, (0, 30), 1) == [9]


def test_windows_share_what_is_only_remembered() -> None:
    complete = np.ones(30, bool)
    assert window_starts(complete, (0, 30), 7, history=3) == [0, 7, 14, 21]  # of nine steps each
    assert window_starts(complete, (0, 29), 7, history=3) == [0, 7, 14]
    complete[9] = False
    assert window_starts(complete, (0, 30), 7, history=3) == [0, 10, 17]  # none remembers across a gap
    assert window_starts(complete, (2, 30), 7, history=3) == [10, 17]  # nor what is before its part


def test_spread() -> None:
    assert spread(5, 5) == [0, 1, 2, 3, 4]
    assert spread(9, 3) == [0, 4, 8]
    assert spread(4, 1) == [0]
    assert spread(4, 0) == []
    assert np.bincount(spread(3, 8)).tolist() == [3, 3, 2] and spread(1, 3) == [0, 0, 0]  # more than there are


def test_parts_are_cut_in_time_with_a_gap(tmp_path: Path) -> None:
    settings = TIDY.model_copy(update={"gap": 5, "validation_from": "2020-01-08", "test_from": "2020-01-10T12:00:00"})
    lines = tidy_lines()
    lines[41] = lines[41].rpartition(",")[0] + ","
    records = read(write(tmp_path / "air.csv", lines), settings)
    parts = parts_of(records, settings, "my.yaml")
    assert parts == Parts((0, 163), (168, 223), (228, 300))
    cuts = cut(records, 0, parts, 20, (8, 2, 3), "air.csv")
    assert cuts.values.shape == (13, 20, 1, 1, 1)
    assert (cuts.environment, cuts.units["time"], cuts.time[1]) == ("north", "hours", 1.0)
    starts = [0, 20, 41, 61, 81, 101, 121, 141, 168, 188, 228, 248, 268]
    for window, start in zip(cuts.values[..., 0, 0, 0], starts, strict=True):
        np.testing.assert_array_equal(window, EXPECTED[0, start : start + 20].astype(np.float32))
    with pytest.raises(InputError, match=r"north: found 8 windows of 20 steps .* expected 9"):
        cut(records, 0, parts, 20, (9, 2, 3), "air.csv")
    remembering = cut(records, 0, parts, 18, (8, 2, 3), "air.csv", history=3)
    assert remembering.values.shape == (13, 20, 1, 1, 1) and len(remembering.time) == 20
    np.testing.assert_array_equal(remembering.values[1, :2], remembering.values[0, 18:])
    with pytest.raises(InputError, match=r"north: found \d+ windows of 22 steps"):
        cut(records, 0, parts, 20, (9, 2, 3), "air.csv", history=3)


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"validation_from": "2020-01-11"}, "in this order"), ({"test_from": "2021-01-01"}, "in this order"),
     ({"test_from": ""}, "found ''"), ({"validation_from": "17"}, "found '17'"), ({"gap": 300}, "a gap of 300")],
)  # fmt: skip
def test_parts_that_are_not_in_order(changed: dict[str, object], word: str, tmp_path: Path) -> None:
    given = {"gap": 5, "validation_from": "2020-01-08", "test_from": "2020-01-10"} | changed
    settings = TIDY.model_copy(update=given)
    records = read(write(tmp_path / "air.csv", tidy_lines()), settings)
    with pytest.raises(InputError, match=f"my.yaml: data.settings.*{word}"):
        parts_of(records, settings, "my.yaml")


def test_doubts(tmp_path: Path) -> None:
    lines = tidy_lines(cell=lambda value: f"{101325 + value / 1e3:.5f}")
    lines[1 : STEPS + 1] = [f"{line.rpartition(',')[0]},101325.012" for line in lines[1 : STEPS + 1]]
    warned = " | ".join(doubts(read(write(tmp_path / "air.csv", lines))))
    assert "ozone never changes in north" in warned
    assert "single precision" in warned
    assert doubts(read(write(tmp_path / "air.csv", tidy_lines()))) == []


def test_an_input_that_never_changes_is_told(tmp_path: Path) -> None:
    """A column of rain that somebody lost: 0 everywhere."""
    lines = tidy_lines()
    path = write(
        tmp_path / "air.csv", [f"{lines[0]},rain,wind", *(f"{line},0,{n % 5}" for n, line in enumerate(lines[1:]))]
    )
    records = read_records([path], TIDY, ["ozone", "rain", "wind"])
    assert doubts(records, 1) == ["rain is 0 in every row of every place: as an input it tells predictors nothing"]


def test_a_folder_of_arrays_is_no_table(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", ["what was measured"])
    assert is_table(tmp_path)
    (tmp_path / "a.nc").touch()
    assert not is_table(tmp_path)
    (tmp_path / "a.nc").unlink()
    (tmp_path / "re_1.0").mkdir()
    (tmp_path / "re_1.0" / "0.npy").touch()
    assert not is_table(tmp_path)
    assert is_table(tmp_path / "notes.txt") and not is_table(tmp_path / "a.npy")
