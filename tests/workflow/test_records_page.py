"""The page docs/from-records.md: from a table to a forecast for a place never seen, run on a small cut."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
from checkout import REPOSITORY, Checkout

PAGE = REPOSITORY / "docs" / "from-records.md"


def test_from_a_table_to_a_forecast(tmp_path: Path) -> None:
    script, work = str(REPOSITORY / "docs" / "from_records.py"), tmp_path / "work"
    Checkout(REPOSITORY).run(sys.executable, script, "--quick", "--output", str(tmp_path), "--work", str(work))
    page = (tmp_path / "from-records.md").read_text(encoding="utf-8")
    assert "weightcast: error" not in page
    assert "8 places, 720 steps of 1 hour" in page
    assert (work / "results" / "rooms" / "report.html").is_file()
    forecast = pd.read_csv(work / "forecast.csv")
    assert len(forecast) == 24
    assert (forecast["temperature_q05"] < forecast["temperature_q95"]).all()
    # The rooms differ, and twelve readings tell how: the last reading, kept, is several times as far off.
    off, kept = map(float, re.findall(r"(?:off by|kept, by) ([\d.]+)", page))
    assert off < 0.5 * kept


def test_the_committed_page_is_whole() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for step in ("weightcast init", "weightcast run", "weightcast generate", "weightcast forecast", "20 further new"):
        assert step in page
    assert "weightcast: error" not in page
    for picture in re.findall(r"\]\((\w+\.(?:svg|png))\)", page):
        assert (PAGE.parent / picture).is_file()
