"""What the shown samples of an environment alone say of later times."""

from __future__ import annotations

import numpy as np
import pytest
from families_kit import birth_death_settings, trained_birth_death
from test_families_config import mini

from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.families.baselines.trend import NARROWEST, TrendLaw, choose_damping
from weightcast.families.cases import cases_of
from weightcast.families.config.load import parse_family_study
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.jobs import EvaluateFamily, EvaluateOpponents, FamilyPlan, ResolveFamilyConfig
from weightcast.families.stages.evaluate_opponents import evaluate_opponents


def normal(mean: float, deviation: float, count: int, seed: int, dimensions: int = 1) -> np.ndarray:
    return mean + deviation * np.random.default_rng(seed).standard_normal((count, dimensions))


def two(damping: float, states: int | None = None) -> TrendLaw:
    """Means 10 and 12, deviations 1 and 2, at times 1 and 3."""
    shown = []
    for mean, deviation, seed in ((10.0, 1.0, 0), (12.0, 2.0, 1)):
        drawn = normal(0.0, 1.0, 400, seed)
        shown.append(mean + deviation * (drawn - drawn.mean()) / drawn.std(ddof=1))
    return TrendLaw.fit([1.0, 3.0], shown, damping, states)


@pytest.mark.parametrize(
    ("damping", "mean", "deviation"),
    [
        (0.0, 12.0, 2.0),  # the last law is kept
        (np.inf, 16.0, 8.0),  # two gaps on: twice the step of the mean, and of the logarithm of the deviation
        (1.0, 12.0 + 2.0 * (1 - np.exp(-2.0)), 2.0 * 2.0 ** (1 - np.exp(-2.0))),
    ],
)
def test_moments_go_on_along_the_damped_trend(damping, mean, deviation):
    found = two(damping).moments(7.0)
    assert found[0] == pytest.approx(mean, rel=1e-6) and found[1] == pytest.approx(deviation, rel=1e-6)
    drawn = two(damping).sample(7.0, 20_000, 0)
    assert drawn.mean() == pytest.approx(mean, rel=0.02)
    assert drawn.std() == pytest.approx(deviation, rel=0.02)


def test_between_snapshots_moments_are_interpolated():
    mean, deviation = two(1.0).moments(2.0)
    assert mean == pytest.approx(11.0, rel=1e-6) and deviation == pytest.approx(np.sqrt(2.0), rel=1e-6)


def test_densities_and_probabilities_have_a_sum_of_one():
    grid = np.linspace(-30, 60, 20_001)[:, None]
    assert np.exp(two(1.0).log_prob(grid, 5.0)).sum() * (grid[1, 0] - grid[0, 0]) == pytest.approx(1.0, abs=1e-3)
    shown = [np.random.default_rng(seed).poisson(rate, (50, 1)).astype(float) for seed, rate in enumerate((2.0, 3.0))]
    counts = TrendLaw.fit([1.0, 2.0], shown, 1.0, 30)
    assert np.exp(counts.log_prob(np.arange(30.0)[:, None], 4.0)).sum() == pytest.approx(1.0, abs=1e-9)


def test_kernels_are_wide_for_a_normal_law_and_narrow_for_one_of_two_peaks():
    wide = TrendLaw.fit([0.0], [normal(0.0, 1.0, 60, 4)], 1.0, None)
    random = np.random.default_rng(5)
    peaks = normal(0.0, 0.1, 60, 4) + 3.0 * random.choice([-1.0, 1.0], (60, 1))
    narrow = TrendLaw.fit([0.0], [peaks], 1.0, None)
    assert wide.width >= 0.55 > 0.2 >= narrow.width
    assert narrow.log_prob(np.array([[3.0]]), 0.0) > narrow.log_prob(np.array([[0.0]]), 0.0) + 2


def test_counts_are_whole_and_in_range_and_a_single_sample_is_enough():
    law = TrendLaw.fit([1.0, 2.0], [np.array([[3.0, 0.0]]), np.array([[9.0, 0.0]])], np.inf, 12)
    drawn = law.sample(20.0, 50, 0)
    assert ((drawn >= 0) & (drawn <= 11) & (drawn == drawn.round())).all()
    assert np.isfinite(law.log_prob(drawn, 20.0)).all()
    assert (law.moments(20.0)[1] >= NARROWEST - 1e-12).all()
    with pytest.raises(InputError, match="samples: found none"):
        TrendLaw.fit([1.0], [np.zeros((0, 2))], 1.0, None)


EVALUATION = {"shown": {"two": {"times": [1.4, 2.8], "samples": 100}}, "samples": 200}


def test_the_stage_scores_it_and_visible_environments_say_how_long_trends_go_on():
    codes, snapshots, table = trained_birth_death()
    study = parse_family_study(
        mini(
            data=birth_death_settings().model_dump(mode="json"),
            evaluation=EVALUATION,
            logarithmic_parameters=[],
            opponents={"trend": {}},
        )
    )
    settings = EvaluateOpponents.of(FamilyPlan(study), "0")
    found = evaluate_opponents(Run(), settings, snapshots, table, codes, None)
    rows = found["metrics"].frame
    assert set(rows.method) == {"alone-trend-shown-two"} == set(found["seconds"].frame.method)
    distance = rows[rows.metric == "wasserstein"].value.mean()
    assert distance < 1.5  # the means at 2.8 and 4.2 are 1.2 apart; a trend that goes on for ever is at 3
    assert "nll" in set(rows.metric)


def test_the_least_distance_chooses():
    """Births and deaths run into a steady state: what goes on for ever is wrong, and a law that is kept is better."""
    _, snapshots, table = trained_birth_death()
    study = parse_family_study(
        mini(data=birth_death_settings().model_dump(mode="json"), evaluation=EVALUATION, logarithmic_parameters=[])
    )
    settings = EvaluateFamily.of(FamilyPlan(study), "0")
    ids = [one.id for one in table.visible]
    (case,) = cases_of(snapshots, ids, study.evaluation.shown, 0)
    tests = TestEnvironment.each(snapshots, table, ids, [case], settings)
    assert choose_damping([50.0, 0.0], tests, case, 40, 0) == 0.0


def test_studies_without_it_are_told_as_before():
    without, following = (FamilyPlan(parse_family_study(mini(opponents=one))) for one in ({}, {"trend": {}}))
    assert "opponents" not in ResolveFamilyConfig.of(without).config
    assert following.study.has_opponents
    some = FamilyPlan(parse_family_study(mini(opponents={"rate_fit": {"starts": 1}})))
    assert "trend" not in EvaluateOpponents.of(some, "0").model_dump()["opponents"]
