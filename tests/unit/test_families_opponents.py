"""Further opponents of inferred paths: the stage that scores them, on births and deaths."""

from __future__ import annotations

import pandas as pd
import pytest
from families_kit import birth_death_settings, trained_birth_death
from test_families_config import mini

from weightcast.core.run import Run
from weightcast.families.config.load import parse_family_study
from weightcast.families.jobs import EvaluateFamily, EvaluateOpponents, FamilyPlan, ResolveFamilyConfig
from weightcast.families.stages.evaluate_opponents import evaluate_opponents

EVALUATION = {"shown": {"two": {"times": [1.4, 2.8], "samples": 100}}, "samples": 400}
"""Shown are times of visible snapshots; scored are 3.5, at which there is none, and 4.2."""


@pytest.fixture(scope="module")
def trained():
    return trained_birth_death()


def scored(trained, **opponents) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of metrics.csv and seconds of these opponents, in the environment that nobody has seen."""
    _, snapshots, table = trained
    study = parse_family_study(
        mini(
            data=birth_death_settings().model_dump(mode="json"),
            evaluation=EVALUATION,
            logarithmic_parameters=[],
            opponents=opponents,
        )
    )
    found = evaluate_opponents(Run(), EvaluateOpponents.of(FamilyPlan(study), "0"), snapshots, table)
    return found["metrics"].frame, found["seconds"].frame


def test_whoever_knows_the_equations_is_near_the_exact_law(trained):
    """100 samples of two times say births to two percent: the mean is off by less than 0.1 of the spread."""
    rows, seconds = scored(trained, rate_fit={})
    assert set(rows.method) == {"rate-fit-shown-two"} == set(seconds.method)
    assert set(rows.environment) == {"new"} and set(rows.horizon) == {5, 6}
    found = rows.groupby("metric").value.mean()
    assert found["mean_error"] < 0.1
    assert found["wasserstein"] < 0.5  # two sets of 400 of the same law: 0.2
    law = trained[2]["new"]
    assert law.parameters == {"birth": 9.0}


def test_studies_without_opponents_are_told_as_before():
    plan = FamilyPlan(parse_family_study(mini(opponents={})))
    with_some = FamilyPlan(parse_family_study(mini(opponents={"rate_fit": {"starts": 1}})))
    assert not plan.study.has_opponents and with_some.study.has_opponents
    assert "opponents" not in ResolveFamilyConfig.of(plan).config
    assert EvaluateFamily.of(plan, "0").digest == EvaluateFamily.of(with_some, "0").digest
    assert EvaluateOpponents.of(with_some, "0").digest != EvaluateOpponents.of(with_some, "1").digest
