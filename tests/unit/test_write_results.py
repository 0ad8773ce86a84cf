"""The README and the pages whose numbers docs/write_results.py copies from finished studies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from docs_scripts import docs_script
from tiny_study import ROOT

from weightcast.core.errors import InputError
from weightcast.environments.config.evaluation import ObservedCase

LONGEST_README = 150
LARGEST_PICTURE = 200_000
CASES = [ObservedCase(frames=10), ObservedCase(frames=2, noise=0.05)]
MEDIANS = {
    "context": 0.06,
    "context-ensemble": 0.05,
    "film-matched-observed": 0.07,
    "hypernetwork-observed": 0.3,
    "code-adaptation": 0.065,
    "one-per-env-conditioned": 0.04,
}


@pytest.fixture
def seeds_writer() -> Iterator[ModuleType]:
    with docs_script("write_seeds") as script:
        yield script


@pytest.fixture
def writer() -> Iterator[ModuleType]:
    with docs_script("write_results") as script:
        yield script


def observed_summary() -> pd.DataFrame:
    """As report/observed_summary.csv: outside twice as far off as inside, the second case ten times the first."""
    rows = []
    for times, case in zip((1.0, 10.0), CASES, strict=True):
        for name, median in MEDIANS.items():
            for split, factor in (("interpolation", 1.0), ("extrapolation", 2.0)):
                values = {"rmse": times * factor * median, "crps": 0.5 * times * factor * median, "coverage_90": 0.88}
                values["spread_skill"] = 0.9 if name == "context-ensemble" else 0.0
                rows += [
                    (case.name, name, split, metric, value, 0.9 * value, 1.1 * value, 6)
                    for metric, value in values.items()
                ]
    return pd.DataFrame(rows, columns=["case", "method", "split", "metric", "median", "ci_low", "ci_high", "n"])


def summary() -> pd.DataFrame:
    """As summary.csv: methods that are told, and those of the first case."""
    medians = MEDIANS | {"film-matched": 0.02, "erm": 1.0, "generator-paper": 0.5, "gaussian-process-erm": 0.4}
    rows = [
        (name, split, "rmse", median, 0.9 * median, 1.1 * median, 120.4 + (name == "context"), 0.31, 28512)
        for name, median in medians.items()
        for split in ("interpolation", "extrapolation")
    ]
    columns = ["method", "split", "metric", "median", "ci_low", "ci_high", "train_seconds", "adapt_seconds"]
    columns.append("parameters")
    return pd.DataFrame(rows, columns=columns)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_pictures_of_the_readme_are_small() -> None:
    pictures = [ROOT / "docs" / name for name in ("unknown.svg", "epidemic.svg", "pipeline.svg")]
    assert all(picture.stat().st_size < LARGEST_PICTURE for picture in pictures)


def test_table_from_frames_has_each_case_the_best_first(writer: ModuleType) -> None:
    lines = writer.frames_table(observed_summary(), CASES, summary()).splitlines()
    assert lines[0] == "| method | 10 frames | 2 frames, 5 % noise | seconds |"
    assert lines[2] == "| One-per-Env (conditioned) (reference) | 0.040 / 0.080 |  |  |"
    assert lines[3] == "| **From frames: ensemble** | 0.050 / 0.100 | 0.500 / 1.000 | 0.3 |"
    assert [line.split("|")[1].strip() for line in lines[4:6]] == [
        "**From frames: most probable**",
        "FiLM, matched compute, from frames",
    ]  # hypernetwork and code adaptation are for the long table
    assert lines[6] == "| held by the ensemble's 90 % interval | 88 % / 88 % | 88 % / 88 % | |"


def test_a_single_forecast_has_no_intervals(writer: ModuleType) -> None:
    lines = writer.cases_tables(observed_summary(), CASES).splitlines()
    assert lines[0] == "| 10 frames | RMSE, inside | RMSE, outside | CRPS | in the 90 % interval | spread over error |"
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[4:7]] for line in lines[2:8]}
    assert cells["**From frames: ensemble**"] == ["0.025 / 0.050", "0.880 / 0.880", "0.900 / 0.900"]
    assert cells["**From frames: most probable**"] == ["0.030 / 0.060", "", ""]


def test_costs_stand_beside_the_tables_the_cheapest_first(writer: ModuleType) -> None:
    lines = writer.costs_table(summary(), ["context", "film-matched-observed", "unknown"]).splitlines()
    assert lines[2] == "| FiLM, matched compute, from frames | 28,512 | 120 | 0.31 |"
    assert lines[3] == "| **From frames: most probable** | 28,512 | 121 | 0.31 |"
    assert len(lines) == 4


def test_a_finished_study_fills_readme_and_docs(
    writer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, results = tmp_path / "root", tmp_path / "results" / "lambda-omega"
    for folder in (root / "docs", results / "report", results / "figures"):
        folder.mkdir(parents=True)
    for page in ("README.md", "docs/across-environments.md"):
        (root / page).write_text((ROOT / page).read_text(encoding="utf-8"), encoding="utf-8")
    summary().to_csv(results / "summary.csv", index=False)
    observed_summary().to_csv(results / "report" / "observed_summary.csv", index=False)
    (results / "figures" / writer.PICTURE).write_text("<svg/>")
    grid = ("channel", "y", "x")
    random = np.random.default_rng(0)
    xr.Dataset(
        {
            "shown": (("environment", "frame", *grid), random.standard_normal((2, 3, 1, 8, 8))),
            "forecast": (
                ("environment", "statistic", "time", *grid),
                np.sort(random.standard_normal((2, 4, 6, 1, 8, 8)), axis=1),
            ),
        },
        coords={"statistic": ["low", "mean", "truth", "high"], "channel": ["u"], "time": np.arange(1, 7)},
    ).to_netcdf(results / "report" / "observed.nc")

    writer.write_environments(results, CASES, horizon=6, root=root)

    readme, page = ((root / name).read_text(encoding="utf-8") for name in ("README.md", "docs/across-environments.md"))
    assert "| **From frames: ensemble** | 0.050 / 0.100 | 0.500 / 1.000 | 0.3 |" in readme
    assert "of 6-frame forecasts" in readme
    assert "| ERM | 1.000 / 1.000 | 120 |" in readme and "Gaussian process" not in readme
    assert "| Gaussian process (ERM) | 0.400 [0.360, 0.440] | 0.400 [0.360, 0.440] | 120 |" in page
    told = page.split("<!-- lambda-omega:begin -->")[1].split("<!-- lambda-omega:end -->")[0]
    assert "From frames" not in told and "from frames" not in told  # these stand in the tables of the cases
    assert "| Code adaptation alone | 0.065 [0.059, 0.072] | 0.130 [0.117, 0.143] | 0.033 / 0.065 |" in page
    assert (root / "docs" / "unknown.svg").stat().st_size < LARGEST_PICTURE
    writer.write_environments(results, CASES, horizon=6, root=root)
    assert readme == (root / "README.md").read_text(encoding="utf-8")


def test_a_study_that_was_not_run_is_one_line(writer: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"summary\.csv: no such file, expected a finished study"):
        writer.write_time(tmp_path)


def test_seeds_stand_below_each_other_and_the_worst_beside_the_experts_of_the_environment(
    seeds_writer: ModuleType,
) -> None:
    """Four environments; errors of 1 to 4, of the second seed twice as large, experts' 2; outside ten times all."""
    rows = []
    for split, scale in (("interpolation", 1.0), ("extrapolation", 10.0)):
        for number in range(4):
            of = {"case": CASES[0].name, "split": split, "environment": f"{split}-{number}"}
            for seed, factor in ((0, 1.0), (7, 2.0)):
                of_seed = of | {"seed": seed, "metric": "rmse"}
                rows.append(of_seed | {"method": "context", "value": scale * factor * (1 + number)})
                rows.append(of_seed | {"method": "context-ensemble", "metric": "coverage_90", "value": 0.9})
            rows.append(of | {"seed": 0, "metric": "rmse", "method": "one-per-env-erm", "value": 2 * scale})
    table = seeds_writer.SeedTable(pd.DataFrame(rows), CASES[:1], {0: "linear", 7: "film"}).lines()
    assert table[0] == "| seed | map | 10 frames |"
    assert table[2:4] == ["| 0 | linear | 2.500 / 25.000 |", "| 7 | film | 5.000 / 50.000 |"]
    assert table[4].startswith("| all |  | 3.750 [") and " / 37.500 [" in table[4]
    assert table[5] == "| largest, over One-per-Env |  | 2.50 / 2.50 |"
    assert table[6].endswith("| 90 % / 90 % |")
