"""What scores across time say together: medians, intervals, tests against the best baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from scipy.stats import wilcoxon

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.outputs import Table
from weightcast.core.tables import SUMMARY_COLUMNS, read_artifact_costs
from weightcast.evolution.evaluation import MOMENT_ERRORS
from weightcast.evolution.stages.summarise_times import artifact_cost
from weightcast.evolution.summary import METRICS, bootstrap_mean, summary_over_times

NO_COSTS = pd.DataFrame({"method": [], "parameters": [], "train_seconds": [], "adapt_seconds": []})
DISTANCES = {"wasserstein", "sliced_wasserstein", "mmd", "jsd", *MOMENT_ERRORS, "tail_error"}


# --- the interval ---


def test_the_interval_covers_the_true_mean():
    """Nominal 95 %; a percentile bootstrap of a skewed mean of 24 comes short of it by a few percent. Seed 5."""
    random = np.random.default_rng(5)
    intervals = [bootstrap_mean(random.exponential(2.0, (24, 1)), draws=400) for _ in range(400)]
    assert 0.87 <= np.mean([low <= 2.0 <= high for _, low, high in intervals]) <= 0.97
    widths = [high - low for _, low, high in intervals]
    assert np.median(widths) == pytest.approx(2 * 1.96 * 2 / np.sqrt(24), rel=0.12)


def test_the_interval_covers_also_what_differs_between_seeds():
    random = np.random.default_rng(6)
    values = random.normal(size=(1, 6)) + 0.01 * random.normal(size=(30, 1))
    wide, narrow = bootstrap_mean(values), bootstrap_mean(values.mean(1, keepdims=True))
    assert wide.high - wide.low > 10 * (narrow.high - narrow.low)


def test_the_value_is_the_median_over_seeds_of_the_mean_over_times():
    values = np.array([[1.0, 10.0, 3.0], [2.0, 30.0, 5.0]])
    first, again = bootstrap_mean(values), bootstrap_mean(values)
    assert first == again
    assert first.median == 4.0
    assert first.low <= 4.0 <= first.high
    assert bootstrap_mean(np.array([[0.5]])) == (0.5, 0.5, 0.5)


def test_infinite_errors_never_become_nan():
    inf = np.inf
    assert bootstrap_mean(np.full((5, 2), inf)) == (inf, inf, inf)
    median, low, high = bootstrap_mean(np.array([[1.0, inf, 1.0], [2.0, 1.0, 2.0]]))
    assert (median, high) == (1.5, inf)
    assert low >= 1


# --- the summary ---


def rows(method: str, values: np.ndarray, split: str = "unobserved", metric: str = "jsd") -> pd.DataFrame:
    """Rows of metrics.csv for values [time, seed]."""
    return pd.DataFrame(
        [
            {"study": "s", "method": method, "split": split, "environment": f"t={time}", "seed": seed, "horizon": time,
             "metric": metric, "value": value}
            for (time, seed), value in np.ndenumerate(values)
        ]
    )  # fmt: skip


def test_summary_has_its_columns_costs_and_order():
    errors = np.linspace(0.1, 0.2, 8)[:, None]
    metrics = pd.concat(
        [
            rows("flow-a", errors / 2),
            rows("linear-joint", errors),
            rows("flow-a", errors / 2, "observed", "wasserstein"),
            rows("flow-a", errors / 2, "observed", "nll"),
            rows("flow-a", errors, "source", "paper_w"),
        ]
    )
    costs = pd.DataFrame({"method": ["flow-a"], "parameters": [5], "train_seconds": [2.5], "adapt_seconds": [0.0]})
    summary = summary_over_times(metrics, costs, draws=200)
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert list(zip(summary["split"], summary["metric"], summary["method"], strict=True)) == [
        ("observed", "wasserstein", "flow-a"),
        ("observed", "nll", "flow-a"),
        ("unobserved", "jsd", "flow-a"),
        ("unobserved", "jsd", "linear-joint"),
        ("source", "paper_w", "flow-a"),
    ]
    flow, linear = (
        summary[(summary["metric"] == "jsd") & (summary["method"] == name)].iloc[0]
        for name in ("flow-a", "linear-joint")
    )
    assert list(flow[["n", "parameters", "train_seconds"]]) == [8, 5, 2.5]
    assert flow["median"] == pytest.approx(0.075)
    assert flow["ci_low"] <= flow["median"] <= flow["ci_high"]
    assert flow["p_vs_best_baseline"] == pytest.approx(2 / 2**8)
    assert np.isnan(linear["p_vs_best_baseline"])
    assert np.isnan(linear["train_seconds"])
    assert {"wasserstein", "paper_w", "nll", "train_nll", "relative_mass_error", *DISTANCES} == set(METRICS)


def test_the_best_baseline_is_the_lowest_and_pairs_are_matched_by_time():
    random = np.random.default_rng(1)
    good, bad, flow = random.lognormal(size=(10, 1)), 9 + random.lognormal(size=(10, 1)), random.lognormal(size=(10, 3))
    metrics = pd.concat(
        [
            rows("flow-a", flow).sample(frac=1, random_state=2),
            rows("displacement", bad),
            rows("cubic-joint", good),
            rows("sampling-floor", good / 100),
        ]
    )
    summary = summary_over_times(metrics, NO_COSTS, draws=100).set_index("method")["p_vs_best_baseline"]
    assert np.isnan(summary["cubic-joint"])
    assert summary["flow-a"] == wilcoxon(flow.mean(1), good[:, 0]).pvalue
    assert summary["displacement"] == wilcoxon(bad[:, 0], good[:, 0]).pvalue


def test_refuses_what_cannot_be_summarised():
    good = rows("flow-a", np.ones((6, 2)))
    with refused("t=0", "twice"):
        summary_over_times(pd.concat([good, good.head(1)]), NO_COSTS)
    with refused("flow-a", "t=5", "seed 1"):
        summary_over_times(good.iloc[:-1], NO_COSTS)
    with refused("flaw-a"):
        summary_over_times(good.replace("flow-a", "flaw-a"), NO_COSTS)


# --- what reports read again ---


def test_costs_across_time_are_read_with_what_was_kept(tmp_path):
    def cost(name: str, **metadata: object) -> dict[str, object]:
        return artifact_cost(ArtifactHeader(tmp_path / "flow" / f"{name}.safetensors", {"seconds": 1.5, **metadata}))

    rows = [cost("cde-0", numbers=7, kept="spline", validation={}), cost("paper-0", numbers=8)]
    Table.of_rows(rows).save(tmp_path / "costs.csv")
    found = read_artifact_costs(tmp_path / "costs.csv")
    assert list(found.kept) == ["spline", ""] and list(found.parameters) == [7, 8]
    found.drop(columns="kept").to_csv(tmp_path / "costs.csv", index=False)  # as across environments
    assert "kept" not in read_artifact_costs(tmp_path / "costs.csv")
    found.rename(columns={"kept": "left"}).to_csv(tmp_path / "costs.csv", index=False)
    with refused("columns: found"):
        read_artifact_costs(tmp_path / "costs.csv")
