"""Verdicts and figures of studies across time, on made-up errors."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tiny_time_study import CONFIG, summary_of

from weightcast.core.plots.export import render
from weightcast.core.report.number_formats import MISSING
from weightcast.core.report.verdict import Verdict
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.plots.distributions import Landscape, plot_joints, plot_marginals
from weightcast.evolution.plots.errors import ErrorPanel, plot_time_errors
from weightcast.evolution.report.comparison import (
    Protagonists,
    choose_protagonists,
    error_ratio,
    interpolated_anchors,
)
from weightcast.evolution.report.published import published_words
from weightcast.evolution.report.tables import published_table, summary_tables
from weightcast.evolution.report.verdict import give_time_verdict
from weightcast.evolution.summary import summary_over_times


def made_up(typical: dict[str, float], splits: tuple[str, ...] = ("observed", "unobserved"), seeds: int = 3):
    """Metrics and summary: errors that scatter by 2 % around the typical ones, over twenty times."""
    random = np.random.default_rng(0)
    rows = [
        ("made-up", name, split, f"t={time}", seed, time, "wasserstein", error * random.normal(1, 0.02))
        for name, error in typical.items()
        for split in splits
        for time in range(20 if split != "held_out" else 1)
        for seed in range(seeds)
    ]
    columns = ["study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    metrics = pd.DataFrame(rows, columns=columns)
    return metrics, summary_of(metrics)


def verdict_of(typical: dict[str, float], **options) -> Verdict:
    metrics, summary = made_up({"sampling-floor": 0.5, "displacement": 1.5, **typical}, **options)
    return give_time_verdict(summary, metrics, parse_time_study(CONFIG), 3, draws=200)


def test_verdict_says_when_the_flow_beats_interpolation_and_when_it_loses():
    won = verdict_of({"flow-ode": 1.0, "pchip-bridged": 1.3, "linear-bridged": 1.6, "pchip-aligned": 0.9})
    assert won.headline == "The flow beats interpolation of its own anchors at unobserved times"
    assert "PCHIP (bridged) with 1.3" in won.paragraph
    assert "beyond the interval, so evolving the weights pays" in won.paragraph
    assert "The best of all baselines is PCHIP (aligned)" in won.paragraph
    assert "No arm of this study is trained as WeightFlow was published." in won.paragraph
    lost = verdict_of({"flow-ode": 1.4, "pchip-bridged": 1.3})
    assert lost.headline == "The flow loses to interpolation of its own anchors at unobserved times"
    assert "beyond the interval, so interpolation is better" in lost.paragraph


def test_verdict_does_not_call_noise_a_victory():
    verdict = verdict_of({"flow-ode": 1.0, "pchip-bridged": 1.0, "displacement": 0.8})
    assert verdict.headline == (
        "The flow equals interpolation of its own anchors, within the interval, at unobserved times; displacement "
        "interpolation, which has no model, comes closer still"
    )
    assert "the flow gains nothing over interpolation" in verdict.paragraph
    assert ": lower than the flow." in verdict.paragraph


def test_verdict_names_the_arm_that_was_chosen_at_observed_times():
    metrics, summary = made_up({"flow-ode": 1.0, "flow-published": 1.1, "pchip-bridged": 1.2})
    rows = (summary["method"] == "flow-published") & (summary["split"] == "unobserved")
    summary.loc[rows, "median"] = 0.7
    verdict = give_time_verdict(summary, metrics, parse_time_study(CONFIG), 3, draws=200)
    assert "(arm ode, chosen by its error at observed times)" in verdict.paragraph
    assert "The lowest error of any arm at unobserved times is that of published, 0.700." in verdict.paragraph
    assert "Trained as published, the flow reaches 0.700 (arm published: from rest" in verdict.paragraph


def test_verdict_falls_back_to_left_out_snapshots_and_says_when_there_is_no_interval():
    typical = {"flow-ode": 1.0, "pchip-bridged": 2.0}
    verdict = verdict_of(typical, splits=("observed", "held_out"), seeds=1)
    assert verdict.headline == (
        "The flow has a lower error than interpolation of its own anchors, without an interval to tell by, at "
        "left-out snapshots"
    )


def test_verdict_of_diverging_missing_and_lonely_flows():
    assert verdict_of({"flow-ode": np.inf, "pchip-bridged": 1.0}).headline.startswith("The flow diverges")
    assert verdict_of({"pchip-bridged": 1.0}).headline == "No flow was evaluated"
    assert "no interpolation of its own anchors" in verdict_of({"flow-ode": 1.0}).headline


def test_ratio_of_errors_pairs_times():
    metrics, _ = made_up({"flow-ode": 1.0, "pchip-bridged": 2.0})
    hardness = np.random.default_rng(1).lognormal(0, 1, 20)
    metrics["value"] *= hardness[metrics["horizon"]]
    compared = error_ratio(metrics, "flow-ode", "pchip-bridged", "unobserved", "wasserstein", 300)
    assert compared.low < compared.median < compared.high
    assert compared.median == pytest.approx(0.5, rel=0.05)
    assert compared.high < 0.6  # unpaired, the scatter of the times would drown the difference


def test_protagonists_are_on_the_same_anchors():
    _, summary = made_up({"flow-published": 1.0, "pchip-bridged": 0.5, "linear-aligned": 0.9, "pchip-aligned": 0.8})
    chosen = choose_protagonists(summary, parse_time_study(CONFIG), 3)
    assert (chosen.flow, chosen.interpolation, chosen.baseline) == ("flow-published", "pchip-aligned", "pchip-bridged")
    assert interpolated_anchors("flow-aligned") is None
    assert published_table(summary, "csv", chosen) == []


def test_figures_of_a_published_protocol_stand_beside_those_of_the_study():
    rows = [
        (name, "source", metric, value)
        for name, values in {
            "flow-ode": (0.0174, 0.0),
            "pchip-bridged": (0.016, 0.0),
            "sampling-floor": (0.0136,),
        }.items()
        for metric, value in zip(("wasserstein", "relative_mass_error"), values, strict=False)
    ]
    summary = pd.DataFrame(rows, columns=["method", "split", "metric", "median"])
    chosen = Protagonists("wasserstein", "source", "source", "flow-ode", "pchip-bridged", "pchip-bridged")
    table = published_table(summary, "gene-network", chosen)
    published = [row[:2] for row in table if not row[2]]
    assert published[-1] == ("WFR-FM", ("0.019", "0.001")) and published[0] == ("TIGON", ("0.045", MISSING))
    own = {row[0]: row[1] for row in table if row[2]}
    assert next(iter(own.values())) == ("0.017", "0.000") and list(own.values())[-1][0] == "0.014"
    assert published_words("gene-network").columns == ("W1", "Relative mass error")
    assert published_words("epidemic").columns == ("Paper W", "JSD")


def test_verdict_takes_the_summary_of_the_pipeline():
    """Medians, intervals and tests as the pipeline computes them say the same as the verdict's own ratio."""
    metrics, _ = made_up({"flow-ode": 1.0, "pchip-bridged": 1.3, "displacement": 1.5, "sampling-floor": 0.5})
    names = sorted(set(metrics["method"]))
    costs = pd.DataFrame({"method": names, "parameters": 10, "train_seconds": 1.0, "adapt_seconds": 0.0})
    summary = summary_over_times(metrics, costs, draws=200)
    verdict = give_time_verdict(summary, metrics, parse_time_study(CONFIG), 3, draws=200)
    assert verdict.headline.startswith("The flow beats")
    table = summary_tables(summary, metrics, choose_protagonists(summary, parse_time_study(CONFIG), 3), draws=200)[0]
    assert [heading for heading, _ in table.columns] == ["W", "p", "x floor", "Parameters", "Train, s"]
    # Flow and floor lie on the same truth: 1.0 / 0.5, and no ratio of the floor to itself.
    floors = {row.method.name: row.cells[2] for row in table.rows}
    assert floors["flow-ode"].value == pytest.approx(2.0, rel=0.1)
    assert floors["flow-ode"].note.startswith("[")
    assert math.isnan(floors["sampling-floor"].value)
    assert [row.method.name for row in table.rows] == ["sampling-floor", "flow-ode", "pchip-bridged", "displacement"]


# --- figures of other kinds of studies ---


def distributions(times: int, dimensions: int, counts: bool) -> xr.DataArray:
    """Samples that drift, the prediction slightly off; a few held-out samples are missing."""
    random = np.random.default_rng(0)
    values = random.normal(10 + np.arange(times)[None, :, None, None], 3.0, (2, times, 80, dimensions))
    values = np.round(values.clip(0)) if counts else values
    values[0, :, 70:] = np.nan
    return xr.DataArray(
        values,
        dims=("source", "time", "sample", "dimension"),
        coords={
            "source": ["truth", "flow-ode"],
            "time": np.arange(times) * 0.5,
            "dimension": [f"gene {number}" for number in range(dimensions)],
            "observed": ("time", np.arange(times) % 4 == 0),
        },
    )


@pytest.mark.parametrize(
    ("times", "dimensions", "counts"), [(3, 2, False), (20, 8, False), (20, 4, True), (5, 1, True)]
)
def test_marginals_of_any_state_are_drawn(times, dimensions, counts):
    figure = plot_marginals(distributions(times, dimensions, counts), counts)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible() and axes.get_title(loc="left")]
    assert titles == [f"gene {number}" for number in range(min(6, dimensions))]
    assert render(figure).content


@pytest.mark.parametrize("counts", [True, False])
def test_joints_are_drawn_at_unobserved_times_over_a_landscape(counts):
    axis = np.arange(0.0, 40.0)
    landscape = Landscape(axis, axis, axis[:, None] + axis[None], "height")
    figure = plot_joints(distributions(20, 3, counts), counts, landscape)
    titles = [title for axes in figure.axes if (title := axes.get_title(loc="left"))]
    assert len(titles) == 5 and all("(unobserved)" in title for title in titles)
    assert render(figure).content


def test_errors_against_time_survive_a_method_that_diverges():
    metrics, _ = made_up({"flow-ode": 1.0, "displacement": np.inf}, splits=("unobserved", "held_out"))
    errors = metrics.assign(time=metrics["horizon"].astype(float))
    panels = [ErrorPanel("wasserstein", "W"), ErrorPanel("jsd", "JSD")]
    figure = plot_time_errors(errors, ["flow-ode", "displacement"], panels, np.array([0.0, 10.0]))
    assert figure.axes[0].get_ylim()[1] < 2
    assert "snapshot left out" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert render(figure).suffix == "svg"
