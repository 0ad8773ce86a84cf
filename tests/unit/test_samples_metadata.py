"""Columns of numbers that are no dimensions are told from those that are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weightcast.samples.table import read_table

RANDOM = np.random.default_rng(0)
ROWS = 240


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("cellno", RANDOM.permutation(ROWS), "numbers the rows, in another order (--dimensions uses it)"),
        ("barcode_no", RANDOM.permutation(ROWS) + 1, "numbers the rows, in another order (--dimensions uses it)"),
        ("nUMI", RANDOM.integers(500, 3000, ROWS), "by its name a total or a measure of quality"),
        ("louvain_r05", RANDOM.integers(0, 9, ROWS), "(--condition louvain_r05=VALUE takes rows of one, --dimensions"),
        ("donor_code", RANDOM.choice([11, 14, 27], ROWS), "few whole numbers beside real ones, as labels are"),
        ("stim", RANDOM.integers(0, 2, ROWS), "few whole numbers beside real ones, as labels are"),
        ("batch", RANDOM.integers(0, 3, ROWS), "(--condition batch=VALUE takes rows of one"),
        ("count", RANDOM.poisson(300, ROWS), None),
        ("protein", RANDOM.normal(size=ROWS), None),
    ],
)
def test_what_only_labels_is_left_out_beside_real_numbers(
    name: str, values: np.ndarray, words: str | None, tmp_path: Path
) -> None:
    table = pd.DataFrame({"time": np.repeat(np.arange(4), ROWS // 4), name: values, "x": RANDOM.normal(size=ROWS)})
    table["y"] = RANDOM.normal(size=ROWS)
    table.to_csv(tmp_path / "cells.csv", index=False)

    read = read_table(tmp_path / "cells.csv", {}, None)
    assert read.dimensions == (("x", "y") if words else (name, "x", "y"))
    notes = [note for note in read.notes if note.startswith(f"column {name} is not used: ")]
    assert (words is None and not notes) or (words is not None and words in notes[0])
    assert read_table(tmp_path / "cells.csv", {}, [name, "x"]).dimensions == (name, "x")


def test_counts_beside_counts_stay(tmp_path: Path) -> None:
    """Of whole numbers alone nothing says which of them label."""
    table = pd.DataFrame({"time": np.repeat(np.arange(4), 60), "S": RANDOM.integers(0, 9, 240)})
    table["I"] = RANDOM.poisson(40, 240)
    table.to_csv(tmp_path / "counts.csv", index=False)
    assert read_table(tmp_path / "counts.csv", {}, None).dimensions == ("S", "I")
