"""Tables as people have them: columns that are no dimensions, separators, marks of thousands, labels of times."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refusals import refused

from weightcast.evolution.commands.init import ordered_labels
from weightcast.samples.formats import recognise
from weightcast.samples.metadata_columns import metadata_among, numbers_trajectories, tells_the_time
from weightcast.samples.read import read_samples

TIMES = np.repeat([0.0, 1.0, 2.5], 40)
ROWS = len(TIMES)
RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(ROWS, 2)) + TIMES[:, None]
METADATA = {
    "batch": RANDOM.integers(0, 3, ROWS),
    "leiden": RANDOM.integers(0, 9, ROWS),
    "n_counts": RANDOM.uniform(900, 2000, ROWS),
    "number": np.arange(1, ROWS + 1),
    "hour": 24 * TIMES,
}


def table(**columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"day": TIMES, "x": VALUES[:, 0], "y": VALUES[:, 1], **columns})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("batch", "only label"),
        ("leiden", "only label"),
        ("n_counts", "a total or a measure of quality"),
        ("number", "counts the rows"),
        ("hour", "the same for all samples of a time"),
    ],
)
def test_metadata_are_no_dimensions_and_it_is_said(tmp_path: Path, name: str, why: str) -> None:
    table(**{name: METADATA[name]}).to_csv(tmp_path / "mine.csv", index=False)
    found = read_samples(tmp_path / "mine.csv", "csv", {})
    assert found.dimensions == ("x", "y")
    (note,) = found.notes
    assert name in note and why in note and "--dimensions" in note
    wanted = read_samples(tmp_path / "mine.csv", "csv", {}, ["x", name])
    assert wanted.dimensions == ("x", name)


def test_measured_columns_are_no_metadata() -> None:
    counts = RANDOM.poisson(60, (ROWS, 2)).astype(float)  # of many levels: few beside real numbers are labels
    columns = {"x": VALUES[:, 0], "S": counts[:, 0], "I": counts[:, 1], "decay": np.exp(-TIMES) * VALUES[:, 1] ** 2}
    assert metadata_among(columns, TIMES) == ({}, None)
    # A jump that all samples make at once is a time only if no sample differs.
    almost = TIMES + (np.arange(ROWS) == 7)
    assert tells_the_time(2 * TIMES, TIMES) and not tells_the_time(almost, TIMES)
    assert not tells_the_time(np.ones(ROWS), TIMES)  # refused elsewhere: it never varies


def test_the_sum_of_the_others_is_no_dimension() -> None:
    counts = RANDOM.poisson(4, (ROWS, 3)).astype(float)
    columns = {"S": counts[:, 0], "I": counts[:, 1], "R": counts[:, 2], "N": counts.sum(1)}
    assert metadata_among(columns, TIMES)[0] == {"N": "the sum of the others"}


def test_numbers_of_trajectories_pair_the_rows_of_a_long_table(tmp_path: Path) -> None:
    """Whole trajectories are held out then: rows of one on both sides would know each other."""
    numbers = np.concatenate([RANDOM.permutation(40) for _ in range(3)])
    table(cell=numbers).sample(frac=1, random_state=0).to_csv(tmp_path / "mine.csv", index=False)
    found = read_samples(tmp_path / "mine.csv", "csv", {})
    assert found.trajectories and found.dimensions == ("x", "y")
    assert found.settings == {"time_column": "day", "trajectory_column": "cell"}
    for time, samples in zip(found.times, found.samples, strict=True):
        at = np.flatnonzero(time == TIMES)
        np.testing.assert_allclose(samples, VALUES[at[np.argsort(numbers[at])]])
    again = read_samples(tmp_path / "mine.csv", "csv", found.settings, found.dimensions)
    np.testing.assert_array_equal(np.stack(again.samples), np.stack(found.samples))
    assert not numbers_trajectories(numbers, np.sort(RANDOM.uniform(size=ROWS)))
    numbers[0] = 99
    table(cell=numbers).to_csv(tmp_path / "odd.csv", index=False)
    with refused("odd.csv", "column cell", "each trajectory once at every time"):
        read_samples(tmp_path / "odd.csv", "csv", {"trajectory_column": "cell"})


def test_the_time_in_front_of_an_array_is_the_time(tmp_path: Path) -> None:
    times = np.array([0.0, 0.4, 1.0, 2.0])
    states = RANDOM.normal(size=(30, 4, 2))
    np.save(tmp_path / "mine.npy", np.concatenate([np.broadcast_to(times[:, None], (30, 4, 1)), states], axis=2))
    found = read_samples(tmp_path / "mine.npy", "npy", {})
    np.testing.assert_array_equal(found.times, times)
    assert found.dimensions == ("species_1", "species_2") and found.settings == {"time_species": 0}
    np.testing.assert_array_equal(np.stack(found.samples, axis=1), states)
    again = read_samples(tmp_path / "mine.npy", "npy", found.settings, ["a", "b"])
    np.testing.assert_array_equal(again.times, times)
    with refused("mine.npy", "time_species: found 1"):
        read_samples(tmp_path / "mine.npy", "npy", {"time_species": 1})


def test_the_time_inside_of_an_archive_is_no_dimension(tmp_path: Path) -> None:
    labels = np.array(["0h", "1h", "2.5h"])[np.searchsorted([0, 1, 2.5], TIMES)]
    np.savez(tmp_path / "mine.npz", X=np.column_stack([TIMES, VALUES]), ts=labels)
    found = read_samples(tmp_path / "mine.npz", "npz", {})
    np.testing.assert_array_equal(found.times, [0, 1, 2.5])
    assert found.dimensions == ("x_1", "x_2") and found.settings["columns"] == [1, 2]
    again = read_samples(tmp_path / "mine.npz", "npz", found.settings, ["a", "b"])
    np.testing.assert_array_equal(again.samples[1], VALUES[TIMES == 1])


# --- separators and numbers


@pytest.mark.parametrize(("name", "separator"), [("mine.csv", ";"), ("mine.csv", "\t"), ("mine.tsv", "\t")])
@pytest.mark.parametrize("compressed", [False, True])
def test_separators_and_compression(tmp_path: Path, name: str, separator: str, compressed: bool) -> None:
    text = table().to_csv(index=False, sep=separator)
    file = tmp_path / (name + ".gz" * compressed)
    file.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    assert recognise(file) == "csv"
    found = read_samples(file, "csv", {})
    np.testing.assert_allclose(np.concatenate(found.samples), VALUES)
    assert found.settings["separator"] in ("semicolon", "tab")


def test_a_file_that_is_not_compressed_is_not_read_as_if(tmp_path: Path) -> None:
    (tmp_path / "mine.csv.gz").write_text("day,x\n0,1\n", encoding="utf-8")
    with refused("mine.csv.gz", "found something else", "compressed by gzip"):
        recognise(tmp_path / "mine.csv.gz")


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,5", "2,25", "7", "-0,125"], [1.5, 2.25, 7, -0.125]),
        (["1,234.5", "2,000", "7", "12,345"], [1234.5, 2000, 7, 12345]),
        (["1 234", "12 345,5", "7", "3"], [1234, 12345.5, 7, 3]),
    ],
)
def test_decimal_commas_and_marks_of_thousands(tmp_path: Path, cells: list[str], numbers: list[float]) -> None:
    rows = [f"{row % 2};{cells[row % 4]}" for row in range(8)]
    (tmp_path / "mine.csv").write_text("\n".join(["day;x", *rows]), encoding="utf-8")
    found = read_samples(tmp_path / "mine.csv", "csv", {})
    assert found.dimensions == ("x",)
    assert sorted(np.concatenate(found.samples)[:, 0]) == pytest.approx(sorted(2 * numbers))


def test_commas_that_may_mean_either_are_refused_rather_than_dropped(tmp_path: Path) -> None:
    rows = [f"{row % 2};1,{100 + row}" for row in range(8)]
    (tmp_path / "mine.csv").write_text("\n".join(["day;x", *rows]), encoding="utf-8")
    with refused("mine.csv", "column x: found '1,100'", "for decimals or for thousands"):
        read_samples(tmp_path / "mine.csv", "csv", {})


# --- conditions and labels


def test_rows_of_one_batch(tmp_path: Path) -> None:
    batch = np.arange(ROWS) % 2
    table(batch=batch, kind=np.where(batch, "b", "a")).to_csv(tmp_path / "mine.csv", index=False)
    for condition in ({"batch": 1}, {"kind": "b"}):
        found = read_samples(tmp_path / "mine.csv", "csv", {"condition": condition})
        np.testing.assert_allclose(np.concatenate(found.samples), VALUES[batch == 1])
        assert found.settings["condition"] == condition
    with refused("mine.csv", "found no row with kind c", "a, b"):
        read_samples(tmp_path / "mine.csv", "csv", {"condition": {"kind": "c"}})
    with refused("mine.csv", "no column 'plate'"):
        read_samples(tmp_path / "mine.csv", "csv", {"condition": {"plate": 1}})


def test_labels_with_units_and_ranges_are_said_and_others_take_an_order(tmp_path: Path) -> None:
    names = np.array(["iPSC", "D2", "D5"])[np.searchsorted([0, 1, 2.5], TIMES)]
    table().assign(day=names).to_csv(tmp_path / "mine.csv", index=False)
    with refused("mine.csv", "found the labels D2, D5, iPSC", "--times-order"):
        read_samples(tmp_path / "mine.csv", "csv", {})
    found = read_samples(tmp_path / "mine.csv", "csv", {"time_labels": ordered_labels(["iPSC", "D2", "D5"])})
    np.testing.assert_array_equal(found.times, [0, 1, 2])
    table().assign(day=[f"Day 0{int(time)}-0{int(time) + 1}" for time in TIMES]).to_csv(tmp_path / "b.csv", index=False)
    found = read_samples(tmp_path / "b.csv", "csv", {})
    np.testing.assert_array_equal(found.times, [0.5, 1.5, 2.5])
    assert "Day 00-01 as 0.5" in found.notes[0]


@pytest.mark.parametrize("words", [["a", "a"], ["a=0", "b"], ["a=1", "b=0"], ["=3", "b=4"], ["a=x", "b=1"]])
def test_orders_that_are_none_are_refused(words: list[str]) -> None:
    with refused("--times-order", "LABEL=TIME"):
        ordered_labels(words)
    assert ordered_labels(["a=0", "b=4.5"]) == {"a": 0.0, "b": 4.5}
