"""config/observed and the page that is made of it: docs/how-many-frames.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml
from docs_scripts import docs_script
from tiny_study import ROOT

from weightcast.core.config.overlay import overlaid
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.study import Study


def studies() -> tuple[Study, Study]:
    default = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    above = yaml.safe_load((ROOT / "config/observed/cases.yaml").read_text(encoding="utf-8"))
    return parse_study(default), parse_study(overlaid(default, above))


@pytest.fixture
def page() -> Iterator[ModuleType]:
    with docs_script("write_cases") as script:
        yield script


def made_up() -> pd.DataFrame:
    """Errors that fall with frames, and grow with noise, masked part and horizon."""
    rows = []
    for case in studies()[1].evaluation.observed:
        spoilt = (1 + 10 * case.noise) * (1 + 2 * case.masked) * case.every**0.2 / case.frames
        for name, factor in (("context", 1.0), ("context-ensemble", 0.9), ("weighted-experts-ensemble", 3.0),
                             ("film-matched-observed", 2.0), ("one-per-env-conditioned", 0.5)):  # fmt: skip
            for split, harder in (("interpolation", 1.0), ("extrapolation", 2.0)):
                for environment in range(3):
                    for horizon in (1, 30, 60):
                        rmse = 0.01 * spoilt * factor * harder * horizon * (1 + 0.1 * (environment - 1))
                        cell = {"study": "made-up", "case": case.name, **case.model_dump(), "method": name}
                        cell |= {"split": split, "environment": f"{split}-{environment}", "seed": 0, "horizon": horizon}
                        rows.append(cell | {"metric": "rmse", "value": rmse})
                        if name.endswith("ensemble"):
                            rows.append(cell | {"metric": "crps", "value": 0.5 * rmse})
                            rows.append(cell | {"metric": "coverage_90", "value": 0.9})
    return pd.DataFrame(rows)


def test_the_cases_lie_over_the_default_study_and_keep_what_it_has() -> None:
    default, cases = studies()
    assert cases.evaluation.observed[: len(default.evaluation.observed)] == default.evaluation.observed
    same = cases.evaluation.model_copy(update={"observed": default.evaluation.observed})
    assert cases.model_copy(update={"evaluation": same}) == default
    assert max(cases.evaluation.horizons) == 2 * cases.trained_horizon


def test_every_sweep_varies_one_thing_alone(page: ModuleType) -> None:
    _, study = studies()
    found = {sweep.column: set(sweep.rows(made_up())[sweep.column]) for sweep in page.SWEEPS}
    assert found["frames"] == {1, 2, 5, 10} and found["noise"] == {0, 0.01, 0.05, 0.1, 0.2}
    assert found["masked"] == {0, 0.25, 0.5, 0.75} and found["horizon"] == {1, 30, 60}
    assert study.trained_horizon == page.TRAINED_HORIZON


def test_the_page_has_medians_inside_and_outside(page: ModuleType, tmp_path: Path, monkeypatch) -> None:
    text = "\n".join(page.tables(made_up()))
    assert (
        "| From frames: most probable, RMSE | 0.300 / 0.600 | 0.150 / 0.300 | 0.0600 / 0.120 | 0.0300 / 0.0600 |"
        in text
    )
    assert "| From frames: ensemble, CRPS |" in text and "coverage of 90 % | 0.900 / 0.900 |" in text
    lines = [line for line in text.splitlines() if line.startswith("| ") and "RMSE" in line][:5]
    assert "One-per-Env" in lines[-1] and "From frames" in lines[0]
    np.testing.assert_equal(page.shown_methods(page.medians(page.SWEEPS[0].rows(made_up()), "frames"))[-2:],
                            ["film-matched-observed", "one-per-env-conditioned"])  # fmt: skip
    made_up().to_csv(tmp_path / "observed.csv", index=False)
    (tmp_path / "page.md").write_text("before <!-- cases:begin -->\n<!-- cases:end --> after")
    for name, value in (("PAGE", tmp_path / "page.md"), ("PICTURE", tmp_path / "picture.svg")):
        monkeypatch.setattr(page, name, value)
    monkeypatch.setattr(sys, "argv", ["write_cases.py", str(tmp_path)])
    page.main()
    written = (tmp_path / "page.md").read_text()
    assert text.strip() in written and written.startswith("before") and written.endswith("after")
    assert (tmp_path / "picture.svg").stat().st_size > 10_000
