"""Numbers that stand for missing values and are not declared: found wherever they are repeated and apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from record_files import STEPS, tidy_lines, write

from weightcast.core.errors import InputError
from weightcast.records.read import read_records
from weightcast.records.settings import RecordSettings
from weightcast.trajectories.checks import check_marks
from weightcast.trajectories.fill_values import USUAL, usual_mark

TIDY = RecordSettings(environment="station", time=["datetime"])


def values(low: float = 0.0, high: float = 40.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, (3, 5, 1, 6, 7)).astype(np.float32)


@pytest.mark.parametrize("mark", USUAL)
def test_every_usual_mark_is_found_in_fields(mark: float) -> None:
    field = values()
    field[:, :, 0, 2, 3] = mark
    with pytest.raises(
        InputError, match=r"a.nc: u: found .* at trajectory 0, time 0, y 2, x 3 .*15 times.*attribute missing_value = "
    ):
        check_marks(Path("a.nc"), field, ["u"])
    found = usual_mark(field)
    assert found is not None and found.value == np.float32(mark) and found.count == 15


def test_several_marks_do_not_hide_each_other() -> None:
    """Nor does a range that is as large as the mark, where all else is positive."""
    field = values()
    field[0, 0, 0, 0, :3], field[1, 1, 0, 0, :3] = -999, 99999
    assert usual_mark(field) is not None
    wide = values(0, 5000)
    wide[0, 0, 0, 0, :2] = -999
    found = usual_mark(wide)
    assert found is not None and found.value == -999


@pytest.mark.parametrize("others", [(-5000.0, 5000.0), (0.0, 2000.0)])
def test_numbers_among_others_are_numbers(others: tuple[float, float]) -> None:
    field = values(*others)
    field[0, 0, 0, 0, :4] = -999 if others[0] < 0 else 999
    check_marks(Path("a.nc"), field, ["u"])
    assert usual_mark(np.full(5, 999.0)) is None and usual_mark(np.array([])) is None
    once = values()
    once[0, 0, 0, 0, 0] = 99  # which is none of them, and there once
    check_marks(Path("a.nc"), once, ["u"])


def test_a_second_mark_of_a_table_is_found_when_the_first_is_named(tmp_path: Path) -> None:
    lines = tidy_lines()
    for row, mark in ((5, "-999"), (9, "-999"), (STEPS, "-9999"), (STEPS + 7, "-9999")):
        lines[row] = lines[row].rpartition(",")[0] + f",{mark}"
    path = write(tmp_path / "air.csv", lines)
    with pytest.raises(InputError, match=r"column ozone: found -9999, 2 times.*--missing -9999 if"):
        read_records([path], TIDY, ["ozone"])
    one = TIDY.model_copy(update={"missing": ["-9999"]})
    with pytest.raises(InputError, match=r"row 6, column ozone: found -999, 2 times.*--missing -9999 -999 if"):
        read_records([path], one, ["ozone"])
    both = read_records([path], TIDY.model_copy(update={"missing": ["-9999", "-999"]}), ["ozone"])
    assert np.isnan(both.values).sum() == 4
    assert np.isnan(read_records([path], TIDY.model_copy(update={"missing": []}), ["ozone"]).values).sum() == 0
