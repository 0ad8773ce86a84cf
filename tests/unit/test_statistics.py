"""Medians, their intervals and the paired test, against known distributions and scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from scipy.stats import wilcoxon

from weightcast.core.methods import METHODS, method
from weightcast.core.significance import (
    SUMMARY_COLUMNS,
    best_arm,
    best_method,
    bootstrap_median,
    environment_errors,
    error_by_horizon,
    paired_p,
    summarise,
)

NO_COSTS = pd.DataFrame({"method": [], "parameters": [], "train_seconds": [], "adapt_seconds": []})


def rows(method: str, values: np.ndarray, split: str = "interpolation", metric: str = "rmse", horizon: int = 30):
    """Rows of metrics.csv for values [environment, seed]."""
    return pd.DataFrame(
        [
            ("study", method, split, f"e{environment:02d}", seed, horizon, metric, value)
            for (environment, seed), value in np.ndenumerate(values)
        ],
        columns=["study", "method", "split", "environment", "seed", "horizon", "metric", "value"],
    )


def row_of(summary: pd.DataFrame, method: str, metric: str = "rmse") -> pd.Series:
    return summary[(summary["method"] == method) & (summary["metric"] == metric)].iloc[0]


# --- the interval ---


@pytest.mark.parametrize("environments", [12, 24])
def test_interval_covers_the_true_median(environments):
    """Nominal 95 %; a percentile bootstrap of a median comes short of it by a few percent at this size."""
    random = np.random.default_rng(5)
    intervals = [bootstrap_median(random.lognormal(size=(environments, 1)), draws=500) for _ in range(500)]
    coverage = np.mean([low <= 1.0 <= high for _, low, high in intervals])
    assert 0.90 <= coverage <= 0.98


def test_interval_covers_also_what_differs_between_seeds():
    """A seed shifts all environments together; intervals over environments alone would be far too narrow."""
    random = np.random.default_rng(6)
    covered, covered_by_environments_alone = [], []
    for _ in range(300):
        values = random.normal(size=(1, 6)) + 0.05 * random.normal(size=(20, 1))
        _, low, high = bootstrap_median(values, draws=400)
        covered.append(low <= 0 <= high)
        _, low, high = bootstrap_median(values.mean(axis=1, keepdims=True), draws=400)
        covered_by_environments_alone.append(low <= 0 <= high)
    assert np.mean(covered) > 0.8
    assert np.mean(covered_by_environments_alone) < 0.3


def test_interval_is_deterministic_and_holds_the_median():
    values = np.random.default_rng(0).lognormal(size=(9, 3))
    first, second = bootstrap_median(values), bootstrap_median(values)
    assert first == second
    assert first.low <= first.median <= first.high
    assert first.median == np.median(values.mean(axis=1))


def test_single_environment_has_a_degenerate_interval():
    assert bootstrap_median(np.array([[0.5]])) == (0.5, 0.5, 0.5)


def test_infinite_errors_never_become_nan():
    inf = np.inf
    assert bootstrap_median(np.full((7, 2), inf)) == (inf, inf, inf)
    median, low, high = bootstrap_median(np.array([[1.0], [2.0], [3.0], [inf], [inf]]))
    assert (median, high) == (3.0, inf)
    assert 1.0 <= low <= 3.0


# --- the test ---


@pytest.mark.parametrize("pairs", [6, 9, 13, 30])
def test_p_is_that_of_scipy(pairs):
    random = np.random.default_rng(pairs)
    first, second = random.lognormal(size=(2, pairs))
    assert paired_p(first, second) == wilcoxon(first, second, alternative="two-sided").pvalue


def test_p_is_exact_by_enumeration_of_all_signs():
    difference = np.array([0.3, -0.1, 0.7, 0.5, -0.2, 0.9, 1.1])
    ranks = np.argsort(np.argsort(np.abs(difference))) + 1
    found = ranks[difference > 0].sum()
    sums = [ranks[np.array(signs)].sum() for signs in itertools.product([False, True], repeat=len(ranks))]
    tail = min(np.mean(np.array(sums) >= found), np.mean(np.array(sums) <= found))
    assert paired_p(difference, np.zeros(7)) == pytest.approx(2 * tail)


def test_p_holds_its_level_when_nothing_differs():
    random = np.random.default_rng(8)
    p = [paired_p(*random.lognormal(size=(2, 12))) for _ in range(1000)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)


def test_fewer_than_six_pairs_have_no_p():
    assert np.isnan(paired_p(np.arange(5.0), np.arange(5.0) + 1))
    assert paired_p(np.arange(6.0), np.arange(6.0) + np.arange(1, 7)) == pytest.approx(2 / 2**6)


def test_ties_and_infinities_have_a_p():
    inf = np.inf
    assert paired_p(np.ones(8), np.ones(8)) == 1.0
    assert paired_p(np.full(8, inf), np.full(8, inf)) == 1.0
    assert paired_p(np.full(8, inf), np.arange(8.0)) < 0.05
    assert 0 < paired_p(np.array([inf, inf, 1, 2, 3, 4, 5]), np.array([inf, 1, 2, 1, 4, 3, 7])) <= 1


# --- the summary ---


def test_summary_has_its_columns_and_costs():
    errors = np.linspace(0.1, 0.2, 8)[:, None]
    metrics = pd.concat([rows("film", errors), rows("erm", 10 * errors)])
    costs = pd.DataFrame({"method": ["film"], "parameters": [5], "train_seconds": [2.5], "adapt_seconds": [0.1]})
    summary = summarise(metrics, costs, 30)
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert list(row_of(summary, "film")[["n", "parameters", "train_seconds", "adapt_seconds"]]) == [8, 5, 2.5, 0.1]
    assert np.isnan(row_of(summary, "erm")["train_seconds"])


def test_pairs_are_matched_by_environment_not_by_row():
    random = np.random.default_rng(1)
    baseline, generated = random.lognormal(size=(10, 1)), random.lognormal(-0.3, 1, size=(10, 3))
    shuffled = rows("generator-a", generated).sample(frac=1, random_state=2)
    summary = summarise(pd.concat([shuffled, rows("film", baseline)]), NO_COSTS, 30)
    expected = wilcoxon(generated.mean(axis=1), baseline[:, 0]).pvalue
    assert row_of(summary, "generator-a")["p_vs_best_baseline"] == expected


def test_only_environments_of_both_methods_are_paired():
    baseline, generated = np.arange(1.0, 11)[:, None], np.arange(1.0, 9)[:, None] ** 1.5
    summary = summarise(pd.concat([rows("generator-a", generated), rows("film", baseline)]), NO_COSTS, 30)
    assert row_of(summary, "generator-a")["p_vs_best_baseline"] == wilcoxon(generated[:, 0], baseline[:8, 0]).pvalue


def test_best_baseline_is_lowest_by_error_and_highest_by_ssim_and_never_a_reference():
    base = np.linspace(0.1, 0.2, 7)[:, None]
    metrics = pd.concat(
        rows(name, factor * base, metric=metric)
        for name, factor in (("one-per-env-erm", 0.5), ("film", 1.0), ("erm", 3.0), ("generator-a", 0.7))
        for metric in ("rmse", "ssim")
    )
    summary = summarise(metrics, NO_COSTS, 30)
    assert np.isnan(row_of(summary, "film", "rmse")["p_vs_best_baseline"])
    assert np.isnan(row_of(summary, "erm", "ssim")["p_vs_best_baseline"])
    tested = summary[summary["p_vs_best_baseline"].notna()]
    assert len(tested) == len(summary) - 2


def test_coverage_and_spread_are_best_where_they_are_what_they_should_be():
    medians = {"wide": 1.0, "fine": 0.88, "narrow": 0.2}
    assert best_method(medians, "coverage_90") == "fine"
    assert best_method({"a": 0.4, "b": 1.5, "c": math.inf}, "spread_skill") == "b"
    assert best_method(medians, "crps") == "narrow"


def test_twice_the_trained_horizon_is_summarised_where_present():
    values = np.ones((6, 1))
    metrics = pd.concat([rows("film", values), rows("film", 2 * values, horizon=60), rows("film", values, horizon=45)])
    summary = summarise(metrics, NO_COSTS, 30)
    assert dict(zip(summary["metric"], summary["median"], strict=True)) == {"rmse": 1.0, "rmse_2x": 2.0}


def test_diverged_rollouts_are_the_worst_by_every_metric():
    values = np.array([[1.0], [np.inf], [np.nan]])
    metrics = pd.concat([rows("film", values), rows("film", values, metric="ssim")])
    summary = summarise(metrics, NO_COSTS, 30)
    assert row_of(summary, "film", "rmse")["median"] == np.inf
    assert row_of(summary, "film", "ssim")["median"] == -np.inf
    assert summary[["median", "ci_low", "ci_high"]].notna().all(axis=None)


def test_refuses_what_cannot_be_summarised():
    good = rows("film", np.ones((6, 2)))
    with refused("horizon", "[30]", "20"):
        summarise(good, NO_COSTS, 20)
    with refused("e00", "twice"):
        summarise(pd.concat([good, good.head(1)]), NO_COSTS, 30)
    with refused("film", "e05", "seed 1"):
        summarise(good.iloc[:-1], NO_COSTS, 30)
    with refused("fillm"):
        summarise(good.replace("film", "fillm"), NO_COSTS, 30)
    with refused("film", "twice"):
        summarise(good, pd.DataFrame({"method": ["film", "film"]}).reindex(columns=NO_COSTS.columns), 30)


# --- beside the summary ---


def test_best_arm_is_chosen_on_visible_environments_alone():
    base = np.linspace(0.1, 0.2, 7)[:, None]
    metrics = pd.concat(
        [
            rows("generator-a", base, "visible"),
            rows("generator-b", 2 * base, "visible"),
            rows("generator-a", 9 * base),
            rows("generator-b", base),
            rows("film", base / 2, "visible"),
        ]
    )
    summary = summarise(metrics, NO_COSTS, 30)
    assert best_arm(summary) == "generator-a"
    assert best_arm(summary[summary["split"] == "interpolation"]) == "generator-b"
    assert best_arm(summary[summary["method"] == "film"]) is None


def test_error_by_horizon_and_by_environment():
    values = np.arange(12.0).reshape(6, 2)
    metrics = pd.concat([rows("film", values), rows("film", values + 1, horizon=5)])
    assert list(error_by_horizon(metrics)["horizon"]) == [5, 30]
    assert list(error_by_horizon(metrics)["median"]) == [6.5, 5.5]
    assert list(environment_errors(metrics, 30)["value"]) == list(values.mean(axis=1))


def test_methods_have_families():
    assert method("generator-paper").family == "generator"
    assert method("generator-paper-weights-only").label == "Generated: paper, weights only"
    assert {known.family for known in METHODS.values()} == {"baseline", "reference"}
    with refused("generator-<arm>"):
        method("generator-")
