"""An environment that nobody can name: frames that were seen, the forecast with its band, and the truth."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weightcast.core.methods import CONTEXT
from weightcast.core.plots.style import house_style, method_colour
from weightcast.environments.plots.rollout_lines import TRUTH_COLOUR
from weightcast.environments.plots.space_time import is_line, plot_space_time

COLUMNS = 5
"""Maps in a row."""


def plot_unknown(shown: xr.DataArray, forecast: xr.DataArray) -> Figure:
    """One environment; states as lines, fields as maps and one point through time, those along a line as pictures of
    place and time.

    Args:
        shown: frames that were seen, dims (frame, channel, y, x), NaN where nothing was.
        forecast: dims (statistic, time, channel, y, x), statistics truth, mean, low and high.
    """
    if is_line(shown.sizes):
        return _line(shown, forecast)
    with house_style():
        return _states(shown, forecast) if shown.sizes["y"] == shown.sizes["x"] == 1 else _field(shown, forecast)


def _states(shown: xr.DataArray, forecast: xr.DataArray) -> Figure:
    channels = [str(name) for name in forecast["channel"].values]
    figure = Figure(figsize=(10, 1.2 + 1.7 * len(channels)), layout="constrained")
    for number, (row, channel) in enumerate(
        zip(figure.subplots(len(channels), 2, squeeze=False), channels, strict=True)
    ):
        seen, ahead = row
        frames = shown.isel(channel=number, y=0, x=0).values
        seen.plot(np.arange(len(frames)), frames, "o", ms=4, color="#1a1a1a")
        seen.set_xlim(-0.5, len(frames) - 0.5)
        seen.set_ylabel(channel)
        draw_band(ahead, forecast.isel(channel=number, y=0, x=0))
        for axes in row:
            axes.grid(axis="y")
    first, second = figure.axes[:2]
    first.set_title("Seen: frames of one trajectory")
    second.set_title("Forecast of another trajectory")
    figure.axes[-2].set_xlabel("frame")
    figure.axes[-1].set_xlabel("frame")
    figure.legend(*second.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure


def _line(shown: xr.DataArray, forecast: xr.DataArray) -> Figure:
    """Frames seen and the width of the band; below, truth and mean."""
    shown, forecast = shown.isel(channel=0, y=0), forecast.isel(channel=0, y=0).transpose("statistic", "time", "x")
    truth, mean, low, high = (forecast.sel(statistic=name).values for name in ("truth", "mean", "low", "high"))
    fields = {"cmap": "viridis", "vmin": float(np.nanmin(truth)), "vmax": float(np.nanmax(truth))}
    widest = max(float(np.nan_to_num(high - low).max()), 1e-12)
    rows = [
        ("", [("seen", shown.transpose("frame", "x").values), ("truth", truth), ("forecast", mean)], fields),
        ("90 % band", [("its width", high - low)], {"cmap": "magma", "vmin": 0.0, "vmax": widest}),
    ]
    return plot_space_time(rows, forecast["time"].values, str(shown["channel"].values))


def _field(shown: xr.DataArray, forecast: xr.DataArray) -> Figure:
    """Rows: frames seen, truth, mean, width of the band; below, the point at which the truth varies most."""
    shown, forecast = shown.isel(channel=0), forecast.isel(channel=0).transpose("statistic", "time", "y", "x")
    truth = forecast.sel(statistic="truth").values
    limits = (float(np.nanmin(truth)), float(np.nanmax(truth)))
    steps = np.linspace(0, len(truth) - 1, COLUMNS).round().astype(int)
    frames = np.unique(np.linspace(0, shown.sizes["frame"] - 1, min(COLUMNS, shown.sizes["frame"])).round().astype(int))
    width = (forecast.sel(statistic="high") - forecast.sel(statistic="low")).values
    figure = Figure(figsize=(10, 9), layout="constrained")
    grid = figure.add_gridspec(5, COLUMNS, height_ratios=(1, 1, 1, 1, 1.3))
    rows = (
        ("seen", shown.values[frames], frames, limits),
        ("truth", truth[steps], steps + 1, limits),
        ("forecast", forecast.sel(statistic="mean").values[steps], steps + 1, limits),
        (
            "90 % band",
            width[steps],
            steps + 1,
            (0.0, max(float(np.nan_to_num(width[steps]).max()), 1e-12)),
        ),
    )
    for position, (name, images, numbers, (lowest, highest)) in enumerate(rows):
        palette = "magma" if name == "90 % band" else "viridis"
        drawn, image = [], None
        for column in range(len(images)):
            axes = figure.add_subplot(grid[position, column])
            axes.set_facecolor("#d0d0d0")
            image = axes.imshow(images[column], origin="lower", cmap=palette, vmin=lowest, vmax=highest)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(f"frame {numbers[column]}", fontsize=8)
            drawn.append(axes)
        drawn[0].set_ylabel(name)
        if image is not None:
            figure.colorbar(image, ax=drawn, shrink=0.8)
    y, x = np.unravel_index(np.nanstd(truth, axis=0).argmax(), truth.shape[1:])
    axes = figure.add_subplot(grid[4, :])
    draw_band(axes, forecast.isel(y=int(y), x=int(x)))
    axes.set_title(f"Through time, at the point (y {y}, x {x}), where the truth varies most")
    axes.set_xlabel("frame")
    axes.legend(loc="upper left", ncols=3)
    return figure


def draw_band(axes: Axes, forecast: xr.DataArray) -> None:
    """Truth, mean and band of a forecast at one point, dims (statistic, time)."""
    time, colour = forecast["time"].values, method_colour(CONTEXT)
    truth, mean, low, high = (forecast.sel(statistic=name).values for name in ("truth", "mean", "low", "high"))
    axes.plot(time, truth, color=TRUTH_COLOUR, lw=4.0, label="truth")
    axes.fill_between(time, low, high, color=colour, alpha=0.22, lw=0, label="90 % of the forecast")
    axes.plot(time, mean, color=colour, lw=1.5, label="mean of the forecast")
    reach = float(np.nanmax(truth) - np.nanmin(truth)) or 1.0
    axes.set_ylim(float(np.nanmin(truth)) - 0.5 * reach, float(np.nanmax(truth)) + 0.5 * reach)
    axes.set_xlim(float(time[0]), float(time[-1]))
