"""Side-by-side rollouts in one environment: the truth, two forecasts of it, and how far each is off."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from weightcast.core.methods import method
from weightcast.core.plots.style import house_style
from weightcast.environments.plots.rollout_lines import plot_rollout_lines
from weightcast.environments.plots.space_time import is_line, plot_space_time

COLUMNS = 6
"""Frames shown, evenly spaced from the first to the last."""


def plot_rollouts(fields: xr.DataArray, generator: str, reference: str | None, unit: str = "") -> Figure:
    """Rows: truth, generated, One-per-Env, and the absolute difference of each forecast from the truth.

    Fields share one colour scale, that of the truth; differences share another. A frame that is not finite is grey. A
    state on a single point is drawn as lines over time instead, a field along a line as a picture of place and time.

    Args:
        fields: one channel in one environment, dims (method, time, y, x), methods ``truth`` and those named below.
        generator: the generator's arm to show.
        reference: the One-per-Env to show beside it, if any.
        unit: of the channel, for the colour bars.
    """
    names = [name for name in (generator, reference) if name is not None]
    if fields.sizes["y"] == fields.sizes["x"] == 1:
        return plot_rollout_lines(fields, {name: _short(name) for name in names}, unit)
    if is_line(fields.sizes):
        return _along_line(fields, names, unit)
    steps = np.unique(np.linspace(0, fields.sizes["time"] - 1, COLUMNS).round().astype(int))
    shown = fields.isel(time=steps).transpose("method", "time", "y", "x")
    # sel() has an argument called method of its own, hence the dictionaries.
    truth = shown.sel({"method": "truth"}).values
    forecasts = {name: shown.sel({"method": name}).values for name in names}
    rows = [("truth", truth, False)]
    rows += [(_short(name), values, False) for name, values in forecasts.items()]
    rows += [
        (f"|{_short(name)}\n\N{MINUS SIGN} truth|", np.abs(values - truth), True) for name, values in forecasts.items()
    ]

    scale = field_scale(truth)
    errors = np.concatenate([values[np.isfinite(values)] for _, values, is_error in rows if is_error])
    worst = min(float(errors.max(initial=0)), float(np.ptp(truth))) or 1.0
    error_scale = {"cmap": "magma_r", "vmin": 0.0, "vmax": worst}
    height, width = fields.sizes["y"], fields.sizes["x"]
    cell = 8.1 / COLUMNS
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    with house_style():
        figure = Figure(figsize=(10, 0.45 + len(rows) * (cell * height / width + 0.07)), layout=layout)
        panels = figure.subplots(len(rows), len(steps), squeeze=False)
        for line, (label, values, is_error) in zip(panels, rows, strict=True):
            for axes, frame in zip(line, values, strict=True):
                draw_frame(axes, frame, error_scale if is_error else scale)
            line[0].set_ylabel(label)
        for axes, time in zip(panels[0], shown["time"].values, strict=True):
            axes.set_title(f"frame {time}" if np.issubdtype(type(time), np.integer) else f"t = {time:g}")
        fields_rows, error_rows = 1 + len(forecasts), len(forecasts)
        for lines, label in (
            (panels[:fields_rows], f"{fields.name}{f' ({unit})' if unit else ''}"),
            (panels[-error_rows:], "|difference|"),
        ):
            bar = figure.colorbar(lines[0, 0].images[0], ax=lines, aspect=22, pad=0.012)
            bar.set_label(label)
            bar.outline.set_visible(False)
    return figure


def _along_line(fields: xr.DataArray, names: list[str], unit: str) -> Figure:
    """Above, the truth and forecasts of it; below, how far each is off."""
    shown = fields.isel(y=0).transpose("method", "time", "x")
    values = {name: shown.sel({"method": name}).values for name in ("truth", *names)}
    truth = values["truth"]
    errors = {name: np.abs(values[name] - truth) for name in names}
    finite = np.concatenate([error[np.isfinite(error)] for error in errors.values()])
    worst = min(float(finite.max(initial=0)), float(np.ptp(truth))) or 1.0
    forecasts = [("truth", truth), *((_short(name), values[name]) for name in names)]
    differences = [(f"{_short(name)} \N{MINUS SIGN} truth", errors[name]) for name in names]
    rows = [
        ("", forecasts, field_scale(truth)),
        ("|difference|", differences, {"cmap": "magma_r", "vmin": 0.0, "vmax": worst}),
    ]
    return plot_space_time(rows, shown["time"].values, f"{fields.name}{f' ({unit})' if unit else ''}")


def _short(name: str) -> str:
    """Row label: what kind of forecast it is, without the arm's or base's name."""
    return {"generator": "generated", "reference": "One-per-Env", "baseline": method(name).label}[method(name).family]


def field_scale(truth: np.ndarray) -> dict[str, Any]:
    """Diverging around zero for fields of both signs, sequential for others."""
    low, high = float(np.nanmin(truth)), float(np.nanmax(truth))
    if low < 0 < high and min(-low, high) > 0.2 * max(-low, high):
        reach = max(-low, high)
        return {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
    return {"cmap": "cividis", "vmin": low, "vmax": high}


def draw_frame(axes: Axes, frame: np.ndarray, scale: dict[str, Any]) -> None:
    """One frame [y, x] as a picture without ticks; what is not finite is grey."""
    axes.set_facecolor("#d0d0d0")
    axes.imshow(np.ma.masked_invalid(frame), origin="lower", interpolation="none", **scale)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if not np.isfinite(frame).all():
        axes.text(0.5, 0.5, "diverged", transform=axes.transAxes, ha="center", va="center", fontsize=8)
