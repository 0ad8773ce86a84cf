from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from command_line import refused, run

from weightcast.core.report.number_formats import MISSING
from weightcast.core.tables import SUMMARY_COLUMNS


def write_summary(folder: Path, *rows: tuple[str, str, str, float]) -> Path:
    """A summary with rows (method, split, metric, median), the interval 10 % around it."""
    folder.mkdir()
    table = pd.DataFrame(0.0, index=range(len(rows)), columns=list(SUMMARY_COLUMNS)).astype(object)
    for place, (method, split, metric, median) in enumerate(rows):
        table.loc[place, ["method", "split", "metric"]] = [method, split, metric]
        table.loc[place, ["median", "ci_low", "ci_high"]] = [median, 0.9 * median, 1.1 * median]
    table.to_csv(folder / "summary.csv", index=False)
    return folder


@pytest.fixture
def studies(tmp_path: Path) -> tuple[Path, Path]:
    first = write_summary(
        tmp_path / "narrow",
        ("floor", "source", "jsd", 0.1),
        ("flow-cde", "source", "jsd", 0.2),
        ("flow-cde", "source", "wasserstein", 2.0),
        ("flow-cde", "observed", "jsd", 0.3),
    )
    second = write_summary(tmp_path / "wide", ("flow-ode", "source", "jsd", 0.4), ("flow-cde", "source", "jsd", 0.5))
    return first, second


def test_methods_of_both_studies_stand_in_one_table_for_each_split(studies, capsys) -> None:
    printed, _ = run(capsys, "compare", *studies)
    source, observed = printed.split("\nobserved\n")
    assert source.splitlines() == [
        "source",
        "",
        "| study | method | jsd | wasserstein |",
        "|---|---|---|---|",
        f"| narrow | floor | 0.100 [0.0900, 0.110] | {MISSING} |",
        "| narrow | flow-cde | 0.200 [0.180, 0.220] | 2.00 [1.80, 2.20] |",
        f"| wide | flow-ode | 0.400 [0.360, 0.440] | {MISSING} |",
        f"| wide | flow-cde | 0.500 [0.450, 0.550] | {MISSING} |",
    ]
    assert "| narrow | flow-cde | 0.300 [0.270, 0.330] |" in observed


def test_split_metrics_and_methods_choose_and_order(studies, capsys) -> None:
    words = ["--split", "source", "--metrics", "wasserstein,jsd", "--methods", "flow-cde,flow-*", "--csv"]
    printed, _ = run(capsys, "compare", *studies, *words)
    table = pd.read_csv(io.StringIO(printed))
    assert list(table.columns) == ["study", *SUMMARY_COLUMNS]
    assert list(zip(table["study"], table["method"], table["metric"], strict=True)) == [
        ("narrow", "flow-cde", "wasserstein"),
        ("narrow", "flow-cde", "jsd"),
        ("wide", "flow-cde", "jsd"),
        ("wide", "flow-ode", "jsd"),
    ]
    assert list(table["median"]) == [2.0, 0.2, 0.5, 0.4]


@pytest.mark.parametrize(
    ("option", "known"), [("--split", "observed"), ("--metrics", "wasserstein"), ("--methods", "flow-ode")]
)
def test_a_name_that_is_in_no_study_is_refused_with_those_that_are(studies, option, known, capsys) -> None:
    refused(capsys, "compare", *studies, option, "nothing", words=["'nothing'", known])


def test_a_study_that_is_not_finished_is_refused(studies, tmp_path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    refused(capsys, "compare", *studies, tmp_path / "empty", words=[tmp_path / "empty" / "summary.csv"])
