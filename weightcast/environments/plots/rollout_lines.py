"""Rollouts of a state without a grid: lines over time, the truth and forecasts of it, and how far each is off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from weightcast.core.plots.style import house_style, method_colour

TRUTH_COLOUR = "#b4b4b4"


def plot_rollout_lines(fields: xr.DataArray, labels: Mapping[str, str], unit: str = "") -> Figure:
    """Above, the values; below, the absolute difference of each forecast from the truth.

    A line ends with a cross where a forecast stops being finite. The axes are those of the truth with half of its range
    to spare on either side: a forecast that runs away leaves the picture rather than flattening it.

    Args:
        fields: one channel in one environment on a single point, dims (method, time, y, x), methods ``truth`` and
            those of ``labels``.
        labels: of the forecasts to draw, by method.
        unit: of the channel, for the axes.
    """
    values = fields.isel(y=0, x=0).transpose("method", "time")
    time = values["time"].values
    # sel() has an argument called method of its own, hence the dictionaries.
    truth = values.sel({"method": "truth"}).values
    reach = float(np.nanmax(truth) - np.nanmin(truth)) or 1.0
    suffix = f" ({unit})" if unit else ""
    with house_style():
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        above, below = figure.subplots(2, sharex=True, height_ratios=(2, 1))
        above.set_ylim(float(np.nanmin(truth)) - 0.5 * reach, float(np.nanmax(truth)) + 0.5 * reach)
        above.plot(time, truth, color=TRUTH_COLOUR, lw=4.5, solid_capstyle="round", label="truth")
        worst = 0.0
        for index, (name, label) in enumerate(labels.items()):
            forecast = values.sel({"method": name}).values
            difference = np.abs(forecast - truth)
            style = ("-", (0, (5, 2)), "-.", ":")[index % 4]
            for axes, line in ((above, forecast), (below, difference)):
                axes.plot(time, _finite(line), color=method_colour(name), lw=1.6, ls=style, label=label)
            worst = max(worst, float(_finite(difference).max(initial=0.0, where=np.isfinite(difference))))
            _mark_divergence(above, time, forecast, method_colour(name))
        below.set_ylim(0.0, 1.05 * min(worst, reach) or 1.0)
        above.set_ylabel(f"{fields.name}{suffix}")
        below.set_ylabel(f"|difference|{suffix}")
        below.set_xlabel("frame" if np.issubdtype(time.dtype, np.integer) else "t")
        below.set_xlim(float(time[0]), float(time[-1]))
        for axes in (above, below):
            axes.grid(axis="y")
        figure.legend(*above.get_legend_handles_labels(), loc="outside upper left", ncols=1 + len(labels))
    return figure


def _finite(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """What is not finite becomes a gap in a line."""
    return np.where(np.isfinite(values), values, np.nan)


def _mark_divergence(axes: Axes, time: NDArray[np.generic], forecast: NDArray[np.floating], colour: str) -> None:
    """A cross and a word at the value before the first one that is not finite."""
    if np.isfinite(forecast).all():
        return
    end = int(np.argmin(np.isfinite(forecast)))
    if not end:
        axes.text(0.5, 0.02, "diverged at once", color=colour, transform=axes.transAxes, ha="center", fontsize=8)
        return
    place = (time[end - 1], np.clip(forecast[end - 1], *axes.get_ylim()))  # at the edge if it lies beyond
    axes.plot(*place, marker="X", ms=7, color=colour, clip_on=False)
    axes.annotate("diverged", place, (8, -3), textcoords="offset points", color=colour, fontsize=8)
