"""Learned codes: of visible environments, what frames leave open of others', and what a code does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from weightcast.core.plots.style import house_style
from weightcast.environments.plots.space_time import is_line

SPREAD = 2.1460
"""Radius of the ellipse that holds 90 % of a normal distribution of two numbers, in standard deviations."""
POSTERIOR_COLOURS = ("#d55e00", "#cc79a7")


def plot_codes(observed: xr.Dataset, environments: pd.DataFrame, parameters: list[str]) -> Figure:
    """Codes of the visible environments, a panel a parameter, with the inferred ones of those that were shown.

    Args:
        observed: as the stage ``show_observed`` writes it.
        environments: the table, for colours alone.
        parameters: names; one grey panel without any.
    """
    codes = observed["code"].values
    place = _plane(codes)
    points = place(codes)
    values = environments.set_index("id").loc[[str(name) for name in observed["visible"].values]]
    with house_style():
        panels: list[str | None] = [*parameters] or [None]
        figure = Figure(figsize=(4.6 * max(2, len(panels)), 4.2), layout="constrained")
        for axes, parameter in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            if parameter is None:
                axes.scatter(*points.T, c="#8c8c8c", s=34, edgecolors="#3a3a3a", lw=0.5)
            else:
                colours = values[parameter]
                dots = axes.scatter(*points.T, c=colours, s=34, cmap="viridis", edgecolors="#3a3a3a", lw=0.5)
                figure.colorbar(dots, ax=axes, label=parameter)
            for number, environment in enumerate(observed["environment"].values):
                drawn = place(observed["inferred"].sel(environment=environment).values)
                colour = POSTERIOR_COLOURS[number % len(POSTERIOR_COLOURS)]
                axes.plot(*drawn.T, "+", color=colour, ms=5, alpha=0.7, label=f"{environment}, from its frames")
                axes.add_patch(_ellipse(drawn, colour))
            axes.set_xlabel("first principal direction of the codes")
            axes.set_ylabel("second" if codes.shape[1] > 1 else "codes have one number")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def plot_traversal(observed: xr.Dataset) -> Figure:
    """What a step along each principal direction of the codes does to a forecast: of the first channel."""
    forecasts = observed["traversal"].isel(channel=0)
    axes_count, deviations = forecasts.sizes["axis"], forecasts["deviation"].values
    gridless, along_line = forecasts.sizes["y"] == forecasts.sizes["x"] == 1, is_line(forecasts.sizes)
    with house_style():
        if gridless:
            figure = Figure(figsize=(10, 1.0 + 2.2 * axes_count), layout="constrained")
            for axis, axes in enumerate(figure.subplots(axes_count, 1, squeeze=False)[:, 0]):
                for step, deviation in enumerate(deviations):
                    line = forecasts.isel(axis=axis, deviation=step, y=0, x=0).values
                    colour = f"C{step}" if deviation else "#1a1a1a"
                    axes.plot(forecasts["time"].values, line, color=colour, lw=1.5, label=f"{deviation:+g}")
                axes.set_ylabel(f"{forecasts['channel'].values}, direction {axis + 1}")
            axes.set_xlabel("frame")
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=len(deviations))
            return figure
        figure = Figure(figsize=(10, 0.6 + 2.1 * axes_count), layout="constrained")
        values = forecasts.isel(time=-1).transpose("axis", "deviation", "y", "x").values
        finite = values[np.isfinite(values)]
        limits = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
        for axis, row in enumerate(figure.subplots(axes_count, len(deviations), squeeze=False)):
            for axes, deviation, image in zip(row, deviations, values[axis], strict=True):
                if along_line:
                    axes.plot(image[0], color="#1a1a1a", lw=1.2)
                    axes.set_ylim(limits[0] - 0.1 * np.ptp(limits), limits[1] + 0.1 * np.ptp(limits))
                    axes.set_title(f"{deviation:+g} s.d.", fontsize=8)
                    continue
                axes.imshow(image, origin="lower", cmap="viridis", vmin=limits[0], vmax=limits[1])
                axes.set_title(f"{deviation:+g} s.d.", fontsize=8)
                axes.set_xticks([])
                axes.set_yticks([])
            row[0].set_ylabel(f"direction {axis + 1}")
    return figure


def explained_parameters(observed: xr.Dataset, environments: pd.DataFrame, parameters: list[str]) -> dict[str, float]:
    """Share of each parameter's variance over the visible environments that a linear regression on their codes explains
    (R squared, of the same environments); parameters that do not vary are left out."""
    codes = observed["code"].values
    rows = environments.set_index("id").loc[[str(name) for name in observed["visible"].values]]
    design = np.concatenate([np.ones((len(codes), 1)), codes], 1)
    found = {}
    for name in parameters:
        values = rows[name].to_numpy(dtype=float)
        total = float(((values - values.mean()) ** 2).sum())
        if total > 0 and len(values) > design.shape[1]:
            solution = np.linalg.lstsq(design, values, rcond=None)[0]
            found[name] = 1.0 - float(((values - design @ solution) ** 2).sum()) / total
    return found


def _plane(codes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Codes [..., number] -> their first two principal coordinates [..., 2]; the second is 0 of a single number."""
    mean = codes.mean(0)
    directions = np.linalg.svd(codes - mean, full_matrices=False)[2][:2]
    missing = 2 - len(directions)
    return lambda other: np.pad((other - mean) @ directions.T, [(0, 0)] * (other.ndim - 1) + [(0, missing)])


def _ellipse(points: np.ndarray, colour: str) -> Ellipse:
    """Where 90 % of a normal distribution of these points' mean and covariance lie."""
    values, vectors = np.linalg.eigh(np.cov(points.T))
    width, height = 2 * SPREAD * np.sqrt(np.clip(values[::-1], 0, None))
    angle = np.degrees(np.arctan2(vectors[1, -1], vectors[0, -1]))
    return Ellipse(points.mean(0), width, height, angle=angle, fill=False, color=colour, lw=1.3)
