"""Figures of the report: what they draw, also of little, of much and of what has diverged."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic_study import (
    TRAINED_HORIZON,
    environment_table,
    method_costs,
    metrics,
    rollouts,
    training_curves,
    weight_map,
)

from weightcast.core.methods import method
from weightcast.core.plots.export import render
from weightcast.core.plots.labels import Label, place_labels
from weightcast.core.plots.style import SPLIT_LABELS, log_limits
from weightcast.core.plots.summary import plot_summary
from weightcast.core.plots.training_curves import plot_training_curves
from weightcast.core.significance import environment_errors, summarise
from weightcast.environments.plots.plane import plot_plane
from weightcast.environments.plots.rollouts import plot_rollouts
from weightcast.environments.plots.weight_map import plot_weight_map


def test_weight_map_without_parameters_joins_the_members_of_an_environment():
    environments = environment_table()[["id", "role"]]
    figure = plot_weight_map(weight_map(environment_table()), environments, [])
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in shown] == ["Weights (conditioned)", "Latents (conditioned)"]
    visible = (environments["role"] == "visible").sum()
    assert all(len(axes.lines) == visible and len(axes.collections) == 1 for axes in shown)


def test_plane_without_parameters_has_every_environment():
    environments = environment_table()[["id", "role"]]
    errors = environment_errors(metrics(), TRAINED_HORIZON)
    methods = ["erm", "film", "generator-end-to-end"]
    (axes,) = plot_plane(errors, environments, [], methods).axes
    markers = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(markers) == [method(name).label for name in methods]
    erm = errors[errors["method"] == "erm"].set_index("environment")["value"]
    by_role = environments.set_index("id").loc[erm.index].assign(value=erm)
    visible = (environments["role"] == "visible").sum()
    line = markers["ERM"]
    first = np.sort(np.asarray(line.get_ydata())[np.asarray(line.get_xdata()) < visible])
    np.testing.assert_array_equal(first, np.sort(by_role[by_role["role"] == "visible"]["value"]))
    assert [text.get_text() for text in axes.texts] == list(SPLIT_LABELS.values())[:3]


@pytest.mark.parametrize("parameters", [["beta"], ["beta", "D"], ["beta", "D", "k"]])
def test_plane_takes_any_number_of_parameters(parameters):
    environments = environment_table().assign(k=1.0)
    errors = environment_errors(metrics(), TRAINED_HORIZON)
    errors.loc[errors.index[::7], "value"] = np.inf
    figure = plot_plane(errors, environments, parameters, ["erm", "film", "generator-end-to-end"])
    assert render(figure).suffix == "svg"


def test_summary_figure_shows_diverged_methods():
    errors = metrics().query("metric == 'rmse'")
    errors.loc[errors["method"] == "generator-paper", "value"] = np.inf
    figure = plot_summary(summarise(errors, method_costs(), TRAINED_HORIZON, draws=200))
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts.count("diverged") == 3


def test_absurd_errors_do_not_squeeze_the_others():
    assert log_limits([0.1, 0.2, 0.4, 3e7, np.inf, np.nan, 0.0]) == pytest.approx((0.08, 0.5))
    assert log_limits([]) == (0.1, 1.0)
    errors = metrics().query("metric == 'rmse'")
    errors.loc[errors["method"] == "generator-paper", "value"] *= 1e6
    figure = plot_summary(summarise(errors, method_costs(), TRAINED_HORIZON, draws=200))
    assert all(axes.get_xlim()[1] < 10 for axes in figure.axes)


def test_training_curves_have_a_panel_a_stage_and_a_scale_that_fits():
    curves = training_curves()
    negative = curves[curves["stage"] == "vae"].assign(stage="anchors", value=lambda rows: rows["value"] - 0.5)
    figure = plot_training_curves(pd.concat([curves, negative]))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "base: 2 trainings", "vae: 1 training", "anchors: 1 training",
    ]  # fmt: skip
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear"]
    assert [len(axes.lines) for axes in figure.axes] == [4, 1, 1]
    assert render(figure).suffix == "svg"


def test_training_curves_of_many_stages_leave_no_empty_axes():
    curves = pd.concat([training_curves().assign(stage=f"stage {number}") for number in range(4)])
    curves.loc[curves.index[::3], "value"] = np.nan
    figure = plot_training_curves(curves)
    assert sum(axes.axison for axes in figure.axes) == 4
    render(figure)


def test_labels_of_crowded_dots_stay_apart():
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    dots = np.random.default_rng(4).uniform(0.3, 0.7, size=(14, 2))
    place_labels(axes, [Label(x, y, f"method {i}", "black") for i, (x, y) in enumerate(dots)])
    figure.draw_without_rendering()  # settles where annotations stand
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]
    assert len(boxes) == 14
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].padded(-1).overlaps(pair[1].padded(-1))]


def test_rollouts_of_a_diverged_forecast_are_drawn():
    fields = rollouts(environment_table())["u"].isel(environment=0).copy()
    fields.loc[{"method": "generator-end-to-end", "time": slice(30, None)}] = np.nan
    figure = plot_rollouts(fields, "generator-end-to-end", "one-per-env-conditioned")
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts.count("diverged") == 6
    fields.loc[{"method": "generator-end-to-end"}] = np.inf
    render(plot_rollouts(fields, "generator-end-to-end", None))


def state_rollouts(**changes) -> xr.DataArray:
    """A state on a single point: what swings, and two forecasts of it that drift apart from it."""
    time = np.arange(1, 41)
    lines = {"truth": 0.0, "one-per-env-conditioned": 0.01, "generator-end-to-end": 0.05}
    values = np.stack([2 + np.sin(0.3 * time * (1 + drift)) for drift in lines.values()])[..., None, None]
    fields = xr.DataArray(
        values, dims=("method", "time", "y", "x"), coords={"method": list(lines), "time": time}, name="prey"
    )
    for name, (first, value) in changes.items():
        fields.loc[{"method": name.replace("_", "-"), "time": slice(first, None)}] = value
    return fields


def test_rollouts_of_a_state_are_lines_over_time():
    fields = state_rollouts()
    figure = plot_rollouts(fields, "generator-end-to-end", "one-per-env-conditioned", "g")
    above, below = figure.axes

    assert [line.get_label() for line in above.lines] == ["truth", "generated", "One-per-Env"]
    for line, name in zip(above.lines, ("truth", "generator-end-to-end", "one-per-env-conditioned"), strict=True):
        np.testing.assert_array_equal(line.get_xydata()[:, 0], np.arange(1, 41))
        np.testing.assert_array_equal(line.get_xydata()[:, 1], fields.sel({"method": name}).values[:, 0, 0])
    drift = np.abs(above.lines[1].get_ydata() - above.lines[0].get_ydata())
    np.testing.assert_array_equal(below.lines[0].get_ydata(), drift)
    assert below.get_ylim()[1] == pytest.approx(1.05 * drift.max())
    assert (above.get_ylabel(), below.get_xlabel()) == ("prey (g)", "frame")
    assert not above.texts
    assert render(plot_rollouts(fields, "generator-end-to-end", None)).suffix == "svg"


def test_a_state_that_runs_away_does_not_flatten_the_truth():
    fields = state_rollouts(generator_end_to_end=(20, 1e30))
    fields.loc[{"method": "generator-end-to-end", "time": slice(23, None)}] = np.nan
    figure = plot_rollouts(fields, "generator-end-to-end", "one-per-env-conditioned")
    above, below = figure.axes

    assert above.get_ylim() == pytest.approx((0.0, 4.0), abs=0.05)
    assert below.get_ylim()[1] == pytest.approx(2.1, abs=0.05)
    assert [text.get_text() for text in above.texts] == ["diverged"]
    assert above.texts[0].xy == (22, above.get_ylim()[1])
    render(figure)
    at_once = plot_rollouts(state_rollouts(generator_end_to_end=(1, np.inf)), "generator-end-to-end", None)
    assert [text.get_text() for text in at_once.axes[0].texts] == ["diverged at once"]
    render(at_once)
    constant = state_rollouts(truth=(1, 3.0), generator_end_to_end=(1, 3.0))
    render(plot_rollouts(constant, "generator-end-to-end", None))


def test_large_figures_become_png():
    random = np.random.default_rng(0)
    fields = xr.DataArray(
        random.normal(size=(2, 6, 256, 256)),
        dims=("method", "time", "y", "x"),
        coords={"method": ["truth", "generator-a"], "time": np.arange(6)},
        name="u",
    )
    image = render(plot_rollouts(fields, "generator-a", None))
    assert image.suffix == "png"
    assert image.content.startswith(b"\x89PNG")
