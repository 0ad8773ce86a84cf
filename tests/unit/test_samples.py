"""None"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from refusals import refused
from sample_files import TIMES, check_rows, counts, rows, settings, shared, write_csv, write_h5ad, write_table

from weightcast.samples.formats import recognise
from weightcast.samples.read import import_snapshots, read_samples
from weightcast.samples.settings import SampleFormat
from weightcast.samples.snapshots import write_snapshots
from weightcast.samples.split import split_snapshots
from weightcast.samples.time_labels import times_of_labels

# --- npy


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_npy(tmp_path: Path, dtype: type) -> None:
    array = counts().astype(dtype)
    np.save(tmp_path / "mine.npy", array)
    assert recognise(tmp_path / "mine.npy") == "npy"
    found = read_samples(tmp_path / "mine.npy", "npy", {"time_step": 0.5})
    assert found.trajectories
    assert found.dimensions == ("species_0", "species_1")
    assert found.settings == {"time_step": 0.5}
    np.testing.assert_array_equal(found.times, [0, 0.5, 1])
    np.testing.assert_array_equal(np.stack(found.samples, axis=1), array)
    assert read_samples(tmp_path / "mine.npy", "npy", {}, ["S", "I"]).dimensions == ("S", "I")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((30, 3)), ("found 2 axes", "(trajectories, times, species)")),
        (np.zeros((30, 0, 2)), ("found no times in shape (30, 0, 2)",)),
        (np.full((30, 3, 2), "a"), ("values of type",)),
        (np.zeros((30, 3, 2), complex), ("values of type complex128",)),
        (np.where(counts() == 9, np.nan, counts()), ("trajectory 1, time 1, dimension species_1: found nan",)),
    ],
)
def test_unfit_arrays(tmp_path: Path, array: np.ndarray, words: tuple[str, ...]) -> None:
    np.save(tmp_path / "mine.npy", array)
    with refused(tmp_path / "mine.npy", *words):
        read_samples(tmp_path / "mine.npy", "npy", {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"step": 1.0}, ("data.settings.step", "unknown key", "time_step")),
        ({"time_step": 0}, ("data.settings.time_step", "greater than 0")),
        ({"time_step": "soon"}, ("data.settings.time_step", "'soon'")),
    ],
)
def test_unfit_settings(tmp_path: Path, given: dict[str, Any], words: tuple[str, ...]) -> None:
    np.save(tmp_path / "mine.npy", counts())
    with refused(tmp_path / "mine.npy", *words):
        read_samples(tmp_path / "mine.npy", "npy", given)


def test_names_that_are_too_few(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", counts())
    with refused("mine.npy", "found 2 dimensions, expected 1 as data.dimensions"):
        read_samples(tmp_path / "mine.npy", "npy", {}, ["S"])


# --- csv


def test_csv(tmp_path: Path) -> None:
    times, values = write_table(tmp_path / "mine.csv")
    assert recognise(tmp_path / "mine.csv") == "csv"
    found = read_samples(tmp_path / "mine.csv", "csv", {})
    check_rows(found, times, values)
    assert found.dimensions == ("x", "y")
    assert found.settings == {"time_column": "Day"}
    assert found.notes == (
        "1 column without a name (an index?) not used",
        "columns that are not numbers are not used: type",
    )
    chosen = read_samples(tmp_path / "mine.csv", "csv", {"time_column": "Day"}, ["y"])
    check_rows(chosen, times, values[:, 1:])
    assert chosen.notes == ()


def test_csv_with_labels_for_times(tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", "timepoint,x\nday_4,1\nday_2,2\nday_4,3\n")
    found = read_samples(tmp_path / "mine.csv", "csv", {})
    np.testing.assert_array_equal(found.times, [2, 4])
    np.testing.assert_array_equal(found.samples[1], [[1], [3]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("when,x\n0,1\n", ("found no column of times among when, x", "time, t, times", "--time-column")),
        ("time,day,x\n0,0,1\n", ("found time, day", "--time-column")),
        ("time,x\n0,1\n\n0,oops\n1,2\n1,3\n", ("line 4, column x: found 'oops'", "finite number")),
        ("time,x\n0,1\n0,\n1,2\n", ("line 3, column x: found no value",)),
        ("time,x\n0,1\n0,nan\n1,2\n", ("line 3, column x: found no value",)),
        ("time,x\n0,1\n0,1\n1,inf\n", ("line 4, column x: found inf",)),
        ("time,x\n0,1\nlate,2\n", ("column time: found the labels 0, late", "--times-order")),
        ("time,x\nday_1,1\nweek_2,2\n", ("column time: found the labels day_1, week_2", "data.settings.time_labels")),
        ("time,x\n0,1\n,2\n", ("line 3, column time: found no value",)),
        ("time,type\n0,a\n1,b\n", ("found no column of numbers besides time",)),
        ("time,x,x\n0,1,2\n", ("line 1: found column 'x' twice",)),
        ("time,x\n0,1,5\n1,2,6\n", ("more cells than the header",)),
        ("time,x\n0,1\n1,2,6\n", ("line 3",)),
        ("time,x\n", ("found no row",)),
        ("", ("cannot be read", "CSV table")),
    ],
)
def test_unfit_tables(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    with refused(tmp_path / "mine.csv", *words):
        read_samples(write_csv(tmp_path / "mine.csv", text), "csv", {})


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", "time,x\n0,1\n")
    with refused("mine.csv", "no column 'when'", "time, x"):
        read_samples(tmp_path / "mine.csv", "csv", {"time_column": "when"})
    with refused("mine.csv", "no column 'y'", "expected one of x"):
        read_samples(tmp_path / "mine.csv", "csv", {}, ["x", "y"])


@pytest.mark.parametrize(
    ("labels", "times"),
    [
        (["day_2", "day_10"], [2, 10]),
        (["E7.25", "E8"], [7.25, 8]),
        (["2", "-1.5", "1e2"], [2, -1.5, 100]),
        (["day-2", "day-4"], [2, 4]),
        (["0 h", "6 h"], [0, 6]),
        (["Day 00-03", "Day 06-09"], [1.5, 7.5]),
        (["Day 00-03", "Day 02-09"], None),
        (["0h", "12h", "1d"], [0, 12, 24]),
        (["30 min", "2 hours"], [30, 120]),
        (["iPSC", "day 4"], None),
        (["early", "late"], None),
        (["2", "3x"], None),
    ],
)
def test_times_of_labels(labels: list[str], times: list[float] | None) -> None:
    assert times_of_labels(labels) == (None if times is None else dict(zip(labels, times, strict=True)))


# --- npz


def test_npz(tmp_path: Path) -> None:
    times, values = rows()
    np.savez(tmp_path / "mine.npz", X=values, ts=times[:, None], v=values)
    assert recognise(tmp_path / "mine.npz") == "npz"
    found = read_samples(tmp_path / "mine.npz", "npz", {})
    check_rows(found, times, values)
    assert found.settings == {"samples": "X", "times": "ts"}
    assert found.notes == ("arrays v are not used",)
    first = read_samples(tmp_path / "mine.npz", "npz", {"first_dimensions": 1}, ["pc_1"])
    check_rows(first, times, values[:, :1])
    np.savez_compressed(tmp_path / "other.npz", cells=values, day=times)
    check_rows(read_samples(tmp_path / "other.npz", "npz", {"samples": "cells", "times": "day"}), times, values)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": np.zeros((3, 2)), "t": np.zeros(3)}, ("found arrays X, t", "ts [sample]")),
        ({"X": np.zeros((3, 2)), "ts": np.zeros(4)}, ("array ts: found 4 times, expected 3",)),
        ({"X": np.zeros(3), "ts": np.zeros(3)}, ("array X: found 1 axes",)),
        ({"X": np.zeros((3, 2)), "ts": np.array(["a", "b", "c"])}, ("array ts: found the labels a, b, c",)),
        ({"X": np.zeros((3, 2)), "ts": np.zeros(3, complex)}, ("array ts: found values of type",)),
        ({"X": np.zeros((2, 2)), "ts": np.array([0, np.nan])}, ("sample 1, dimension ts: found nan",)),
        ({"X": np.array([[0, np.inf]]), "ts": np.zeros(1)}, ("sample 0, dimension x_1: found inf",)),
        ({"X": np.array([[{}]]), "ts": np.zeros(1)}, ("cannot be read", "allow_pickle")),
    ],
)
def test_unfit_archives(tmp_path: Path, arrays: dict[str, np.ndarray], words: tuple[str, ...]) -> None:
    np.savez(tmp_path / "mine.npz", **arrays)
    with refused(tmp_path / "mine.npz", *words):
        read_samples(tmp_path / "mine.npz", "npz", {})


def test_dimensions_of_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", X=np.zeros((3, 2)), ts=np.zeros(3))
    with refused("first_dimensions: found 3, expected at most 2"):
        read_samples(tmp_path / "mine.npz", "npz", {"first_dimensions": 3})
    with refused("found 2 dimensions, expected 1", "first_dimensions: 1 uses the first 1"):
        read_samples(tmp_path / "mine.npz", "npz", {}, ["pc_1"])


# --- NetCDF


def write_netcdf(path: Path, times: Any = TIMES, format: Any = "NETCDF4", **changes: Any) -> Path:
    dataset = xr.Dataset(
        {"counts": (("time", "species", "trajectory"), counts().transpose(1, 2, 0).astype(np.int32))},
        {"time": ("time", times, {"units": "h"}), "species": ["S", "I"]},
    )
    dataset.assign(changes).to_netcdf(path, format=format, engine="netcdf4")
    return path


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_netcdf(tmp_path: Path, format: str) -> None:
    assert recognise(write_netcdf(tmp_path / "mine.nc", format=format)) == "netcdf"
    found = read_samples(tmp_path / "mine.nc", "netcdf", {})
    assert found.trajectories
    assert found.dimensions == ("S", "I")
    assert found.time_unit == "h"
    assert found.settings == {"variable": "counts"}
    np.testing.assert_array_equal(found.times, TIMES)
    np.testing.assert_array_equal(np.stack(found.samples, axis=1), counts())


def test_netcdf_without_coordinates(tmp_path: Path) -> None:
    xr.Dataset({"x": (("trajectory", "time", "gene"), counts())}).to_netcdf(tmp_path / "mine.nc")
    found = read_samples(tmp_path / "mine.nc", "netcdf", {})
    np.testing.assert_array_equal(found.times, [0, 1, 2])
    assert found.dimensions == ("gene_0", "gene_1")


@pytest.mark.parametrize("times", [[0, 2, 1], [0, 1, 1]])
def test_netcdf_with_times_out_of_order(tmp_path: Path, times: list[float]) -> None:
    with refused("mine.nc", "time: found", "followed by 1", "increasing times without duplicates"):
        read_samples(write_netcdf(tmp_path / "mine.nc", times), "netcdf", {})


def test_variables_of_netcdf(tmp_path: Path) -> None:
    other = ("trajectory", "time", "gene"), counts()
    write_netcdf(tmp_path / "two.nc", other=other)
    with refused("two.nc", "found counts, other", "data.settings.variable"):
        read_samples(tmp_path / "two.nc", "netcdf", {})
    assert read_samples(tmp_path / "two.nc", "netcdf", {"variable": "other"}).dimensions == ("gene_0", "gene_1")
    with refused("two.nc", "counts(time, species, trajectory)", "expected third"):
        read_samples(tmp_path / "two.nc", "netcdf", {"variable": "third"})
    xr.Dataset({"x": (("sample", "time"), np.zeros((2, 2)))}).to_netcdf(tmp_path / "none.nc")
    with refused("none.nc", "found x(sample, time)", "trajectory, time and species"):
        read_samples(tmp_path / "none.nc", "netcdf", {})


def test_missing_value_in_netcdf(tmp_path: Path) -> None:
    values = np.where(counts() == 9, np.nan, counts())
    xr.Dataset({"x": (("trajectory", "time", "gene"), values)}).to_netcdf(tmp_path / "mine.nc")
    with refused("mine.nc", "trajectory 1, time 1, dimension gene_1: found nan"):
        read_samples(tmp_path / "mine.nc", "netcdf", {})


def test_own_form(tmp_path: Path) -> None:
    samples = read_samples(write_netcdf(tmp_path / "mine.nc"), "netcdf", {})
    write_snapshots(tmp_path / "snapshots.nc", split_snapshots(samples, settings(), 0))
    found = read_samples(tmp_path / "snapshots.nc", "netcdf", {})
    np.testing.assert_array_equal(found.times, TIMES)
    assert (found.time_unit, found.dimensions, found.settings) == ("h", ("S", "I"), {})
    for ours, theirs in zip(found.samples, samples.samples, strict=True):
        np.testing.assert_array_equal(ours[np.argsort(ours[:, 0])], theirs)


# --- files that are not what they seem


def write_any(folder: Path, format: str) -> Path:
    file = folder / f"mine.{'nc' if format == 'netcdf' else format}"
    if format == "npy":
        np.save(file, counts())
    elif format == "npz":
        np.savez_compressed(file, X=rows()[1], ts=rows()[0])
    elif format == "h5ad":
        write_h5ad(file)
    else:
        write_netcdf(file)
    return file


@pytest.mark.parametrize("format", ["npy", "npz", "h5ad", "netcdf"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_truncated_files(tmp_path: Path, format: SampleFormat, part: float) -> None:
    file = write_any(tmp_path, format)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(part * len(whole))])
    with refused(file, "cannot be read"):
        read_samples(file, format, {})


def test_truncated_classic_netcdf(tmp_path: Path) -> None:
    file = write_netcdf(tmp_path / "mine.nc", format="NETCDF3_CLASSIC")
    file.write_bytes(file.read_bytes()[:-100])
    with refused(file, "cannot be read"):
        read_samples(file, "netcdf", {})


@pytest.mark.parametrize("format", ["csv", "npy", "npz", "h5ad", "netcdf"])
def test_foreign_files(tmp_path: Path, format: SampleFormat) -> None:
    if format == "h5ad":
        pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    file = tmp_path / "mine"
    file.write_bytes(b"\x00\xff no such thing\n" * 9)
    with refused(file, "expected"):
        read_samples(file, format, {})


def test_damaged_header(tmp_path: Path) -> None:
    file = write_any(tmp_path, "npy")
    file.write_bytes(file.read_bytes().replace(b"}", b"{", 1))
    with refused(file, "cannot be read"):
        read_samples(file, "npy", {})


def test_pickled_arrays_stay_closed(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.array([{}]))
    with refused("mine.npy", "cannot be read", "Python objects"):
        read_samples(tmp_path / "mine.npy", "npy", {})


@pytest.mark.parametrize("format", ["csv", "npy", "npz", "h5ad", "netcdf"])
def test_missing_files(tmp_path: Path, format: SampleFormat) -> None:
    with refused("nothing", "found no such file"):
        read_samples(tmp_path / "nothing", format, {})
    with refused(tmp_path, "found a folder"):
        recognise(tmp_path)


def test_recognition_by_content(tmp_path: Path) -> None:
    for format in ("npy", "npz"):
        file = write_any(tmp_path, format)
        file.rename(tmp_path / "data")
        assert recognise(tmp_path / "data") == format
    write_netcdf(tmp_path / "data.h5")
    with refused("data.h5", "found an HDF5 file", ".h5ad or .nc"):
        recognise(tmp_path / "data.h5")
    write_csv(tmp_path / "data.txt", "time,x\n")
    with refused("data.txt", "found something else", ".npy, .csv"):
        recognise(tmp_path / "data.txt")
    np.save(tmp_path / "array.npy", counts())
    (tmp_path / "array.npy").rename(tmp_path / "mine.csv")
    with refused("mine.csv", "found a NumPy array inside", "expected csv"):
        recognise(tmp_path / "mine.csv")
    write_csv(tmp_path / "mine.npz", "time,x\n")
    with refused("mine.npz", "found something else inside", "expected npz"):
        recognise(tmp_path / "mine.npz")


# --- into the pipeline


def test_import(tmp_path: Path) -> None:
    file = write_netcdf(tmp_path / "mine.nc")
    found = import_snapshots(settings(source="netcdf", file=str(file), dimensions=["a", "b"]), seed=0)
    assert found.dimensions == ("a", "b")
    assert [len(part) for part in found.train] == [24, 24, 24]


# --- real files


def test_whitened_samples(tmp_path: Path) -> None:
    """Of all times together; what is written is in these units."""
    values = np.random.default_rng(0).normal([3.0, -1.0], [2.0, 0.1], (120, 2))
    times = np.repeat([0.0, 1.0, 2.0], 40)
    np.savez(tmp_path / "mine.npz", X=values, ts=times)
    file = str(tmp_path / "mine.npz")
    data = settings(source="npz", file=file, dimensions=["a", "b"], state="real", states=None, whitened=True)
    found = import_snapshots(data, seed=0)
    every = np.concatenate([*found.train, *found.held_out])
    np.testing.assert_allclose((every.mean(0), every.std(0)), ((0, 0), (1, 1)), atol=1e-12)
    plain = import_snapshots(data.model_copy(update={"whitened": False}), seed=0)
    np.testing.assert_allclose(found.train[1] * values.std(0) + values.mean(0), plain.train[1])


def test_mouse_hematopoiesis() -> None:
    found = read_samples(shared("mouse_hematopoiesis.csv"), "csv", {})
    assert found.settings == {"time_column": "samples"}
    assert found.dimensions == ("x1", "x2")
    np.testing.assert_array_equal(found.times, [0, 1, 2])
    assert [len(part) for part in found.samples] == [1429, 3781, 5788]


def test_embryoid_body() -> None:
    found = read_samples(shared("embryoid_body_pcs.npz"), "npz", {"first_dimensions": 5})
    np.testing.assert_array_equal(found.times, [0, 1, 2, 3, 4])
    assert {part.shape for part in found.samples} == {(350, 5)}


def test_gridded_weather_is_no_sample() -> None:
    with refused("wind_speed", "trajectory, time and species"):
        read_samples(shared("wind_speed_10m_hourly.nc"), "netcdf", {})
