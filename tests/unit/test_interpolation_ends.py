"""The page of where interpolation of weights ends: what its tables say of known errors; that its cases can be run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from docs_scripts import docs_script


@pytest.fixture(scope="module")
def script():
    with docs_script("where_interpolation_ends") as found:
        yield found


def made_up(script) -> pd.DataFrame:
    """W1 of each method by its place, and every set of samples a hundredth more than the one before."""
    rows = []
    for system in script.SYSTEMS:
        for figure, cases in script.CASES.items():
            for case in cases:
                for repeat in range(3):
                    for place, method in enumerate(script.METHODS):
                        error = place + 0.01 * repeat * (place % 2)
                        nll = np.nan if method in (script.MOVED, script.FLOOR) else error
                        told = {"system": system, "figure": figure, "case": case, "repeat": repeat, "time": 1.0}
                        rows.append(told | {"method": method, "w1": error, "nll": nll})
    return pd.DataFrame(rows)


def test_gains_are_paired_by_the_samples_that_methods_were_shown(script) -> None:
    rows = made_up(script)
    own = rows[(rows["system"] == "birth-death") & (rows["case"] == "25 samples")]
    mean, half = script.gain(own, script.BRIDGED, script.MOVED, "w1")
    assert (mean, half) == (pytest.approx(-2.0), pytest.approx(0.0, abs=1e-9))
    mean, half = script.gain(own, script.FLOW, script.PCHIP, "nll")
    assert mean == pytest.approx(-1.01)
    assert half == pytest.approx(4.303 * 0.01 / np.sqrt(3), rel=1e-3)  # Student's t of two degrees of freedom


def test_tables_and_pictures_have_every_case(script) -> None:
    rows = made_up(script)
    for figure, cases in script.CASES.items():
        of_figure = rows[rows["figure"] == figure]
        lines = script.table(of_figure, figure).splitlines()
        assert len(lines) == 2 + len(script.SYSTEMS) * len(cases)
        assert all(line.count("|") == lines[0].count("|") for line in lines)
        assert len(script.draw(of_figure, figure).axes) == 2 * len(script.SYSTEMS)


def test_a_case_is_run_with_short_trainings(script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen at four uneven times, scored between them; the law's own samples are nearest."""
    short = {"training": {"steps": 30, "learning_rate": 0.02, "batch": 32}}
    config, law = script.law_of("birth-death")
    config["anchors"] |= short
    for name in ("anchor_training", "likelihood_training"):
        config["flow"][name] |= {"steps": 2}
    monkeypatch.setattr(script, "law_of", lambda system: (config, law))
    monkeypatch.setattr(script, "DRAWN", 200)
    rows = pd.DataFrame(script.rows_of("birth-death", "snapshots", "5, uneven", 0))
    assert sorted(rows["time"].unique()) == pytest.approx([0.2, 0.6, 1.0, 3.1])
    assert set(rows["method"]) == set(script.METHODS)
    assert rows.groupby("method")["w1"].mean().idxmin() == script.FLOOR
    assert rows[rows["method"] == script.MOVED]["nll"].isna().all()
    ahead = pd.DataFrame(script.rows_of("birth-death", "forecasts", "seen to 60%", 0))
    assert sorted(ahead["time"].unique()) == pytest.approx([4.0, 5.0])
