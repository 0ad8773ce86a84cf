"""Distributions over time, the truth beside a prediction: marginals of each dimension, joints of two of them.

Both functions take samples as one array with the dims (source, time, sample, dimension). ``source`` is ``truth`` and
the name of a method; ``observed`` (bool, along time) is a further coordinate; NaN stands where there are fewer samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from weightcast.core.methods import method
from weightcast.core.plots.style import FAMILY_COLOURS, house_style

MOST_DIMENSIONS = 6
"""Dimensions whose marginals are drawn."""
MOST_JOINTS = 5
"""Times at which joints are drawn."""
FEW_TIMES = 12
"""Up to so many times, real-valued marginals are drawn as bars side by side: a band would pretend to know between."""
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROW = 3  # dimensions beside each other
_MOST_BINS = 60
_DENSITY = 192  # dots an inch of the fields of colour, which are pictures inside of an otherwise scalable figure
_TRUTH = FAMILY_COLOURS["reference"]
_PREDICTION = FAMILY_COLOURS["generator"]


class Landscape(NamedTuple):
    """A height over the plane of the first two dimensions, for contours.

    Attributes:
        first: values of the first dimension [a].
        second: values of the second dimension [b].
        height: [a, b].
        meaning: what the height is, in a word or two.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    height: NDArray[np.float64]
    meaning: str


def plot_marginals(samples: xr.DataArray, counts: bool, time_label: str = "time") -> Figure:
    """Marginals over time of the first six dimensions.

    Counts: probabilities as colours over time and count, the truth above the prediction, observed times ticked on top.
    Real values: the 5, 25, 50, 75 and 95 % quantiles, the truth as grey bands and the prediction as lines over them.

    Args:
        samples: see above.
        counts: whether the state is made of whole numbers.
        time_label: with the unit of time.
    """
    names = [str(name) for name in samples["dimension"].values[:MOST_DIMENSIONS]]
    groups = [names[start : start + _ROW] for start in range(0, len(names), _ROW)]
    columns = max(2, len(groups[0]))
    rows = 2 if counts else 1
    with house_style():
        figure = Figure(
            figsize=(10, 0.5 + (1.85 * rows if counts else 2.7) * len(groups)), layout="constrained", dpi=_DENSITY
        )
        panels = figure.subplots(rows * len(groups), columns, squeeze=False, sharex=True)
        for axes in panels.flat:
            axes.set_visible(False)
        for number, group in enumerate(groups):
            lines = panels[rows * number : rows * (number + 1)]
            for column, name in enumerate(group):
                of_dimension = samples.sel(dimension=name)
                if counts:
                    _draw_heat(figure, lines[0, column], lines[1, column], of_dimension)
                else:
                    _draw_quantiles(lines[0, column], of_dimension)
                lines[0, column].set_title(name, pad=8)
            for axes, label in zip(lines[:, 0], ("truth", _prediction_label(samples)), strict=False):
                axes.set_ylabel(f"{label}\ncount" if counts else "value")
        for axes in panels[-rows if len(groups[-1]) == columns else 0 :].flat:
            axes.tick_params(labelbottom=True)
        for axes in panels[-1]:
            axes.set_xlabel(time_label)
        figure.legend(handles=_handles(samples, counts), loc="outside lower center", ncols=4)
    return figure


def plot_joints(samples: xr.DataArray, counts: bool, landscape: Landscape | None = None) -> Figure:
    """Joint distributions of the first two dimensions at a few times: the truth above the prediction.

    Unobserved times are chosen where there are enough of them, since nothing was fitted there. Colours are shared by
    the truth and the prediction of a time, not by times.

    Args:
        samples: see above, with two dimensions or more.
        counts: whether the state is made of whole numbers.
        landscape: drawn below as contours, or None.
    """
    pair = samples.isel(dimension=[0, 1])
    first, second = (str(name) for name in pair["dimension"].values)
    positions = _joint_times(pair)
    bins = int(np.clip(1.5 * np.sqrt(pair.sizes["sample"]), 12, _MOST_BINS))  # fewer samples, larger cells
    edges = [_edges(pair.isel(dimension=axis).values, counts, bins) for axis in (0, 1)]
    with house_style():
        figure = Figure(figsize=(10, 4.9), layout="constrained", dpi=_DENSITY)
        panels = figure.subplots(2, len(positions), squeeze=False, sharex=True, sharey=True)
        for column, position in enumerate(positions):
            truth, prediction = (
                np.histogramdd(_present(part), bins=edges, density=True)[0]
                for part in pair.isel(time=position).transpose("source", "sample", "dimension").values
            )
            top = float(np.quantile(truth[truth > 0], 0.98)) if (truth > 0).any() else 1.0
            for axes, density in zip(panels[:, column], (truth, prediction), strict=True):
                if landscape is not None:
                    _draw_landscape(axes, landscape)
                shown = np.ma.masked_equal(density.T, 0)
                axes.pcolormesh(*edges, shown, norm=PowerNorm(0.5, 0, top), cmap="viridis_r", rasterized=True)
            seen = "observed" if bool(pair["observed"].values[position]) else "unobserved"
            panels[0, column].set_title(f"t = {float(pair['time'].values[position]):g} ({seen})", fontsize=8.5)
            panels[1, column].set_xlabel(first)
        for axes, label in zip(panels[:, 0], ("truth", _prediction_label(samples)), strict=True):
            axes.set_ylabel(f"{label}\n{second}")
        panels[0, 0].set_xlim(edges[0][0], edges[0][-1])
        panels[0, 0].set_ylim(edges[1][0], edges[1][-1])
    return figure


def _prediction_label(samples: xr.DataArray) -> str:
    return method(str(samples["source"].values[1])).label


def _handles(samples: xr.DataArray, counts: bool) -> list[Artist]:
    """Legend of the marginals."""
    if counts:
        return [Line2D([], [], ls="", marker="v", color=_TRUTH, ms=4, label="observed times")]
    few, label = samples.sizes["time"] <= FEW_TIMES, f"{_prediction_label(samples)}: the same quantiles"
    truth = "truth: median, 25\N{EN DASH}75 %, 5\N{EN DASH}95 %"
    spreads: list[Artist] = [
        Patch(color=_TRUTH, alpha=1.0 if few else 0.25, lw=0, label=truth),
        Patch(color=_PREDICTION, lw=0, label=label) if few else Line2D([], [], color=_PREDICTION, label=label),
    ]
    return [*spreads, Line2D([], [], ls="", marker="v", color=_TRUTH, ms=4, label="observed times")]


def _draw_heat(figure: Figure, above: Axes, below: Axes, samples: xr.DataArray) -> None:
    """Probabilities of one dimension over time: truth above, prediction below, on one scale."""
    times = samples["time"].values
    truth, prediction = samples.transpose("source", "time", "sample").values
    counts = _edges(samples.values, counts=True, most=_MOST_BINS)
    found = [
        np.stack([np.histogram(_present(row), bins=counts, density=True)[0] for row in part])
        for part in (truth, prediction)
    ]
    # A start from a single point must not pale everything after it.
    norm = PowerNorm(0.5, 0, float(np.quantile(found[0].max(axis=1), 0.85)))
    meshes = []
    for axes, probability in zip((above, below), found, strict=True):
        axes.set_visible(True)
        shown = np.ma.masked_equal(probability.T, 0)  # white: never drawn
        mesh = axes.pcolormesh(_time_edges(times), counts, shown, norm=norm, cmap="viridis_r", rasterized=True)
        meshes.append(mesh)
        _mark_observed(axes, samples)
    bar = figure.colorbar(meshes[0], ax=[above, below], aspect=34, pad=0.012, extend="max")
    bar.set_label("probability", fontsize=7.5)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def _draw_quantiles(axes: Axes, samples: xr.DataArray) -> None:
    """Quantiles of one dimension over time: bars at few times, bands at many."""
    axes.set_visible(True)
    axes.grid(axis="y")
    times = samples["time"].values
    truth, prediction = (
        np.stack([np.quantile(_present(row), _LEVELS) for row in part])
        for part in samples.transpose("source", "time", "sample").values
    )
    if len(times) <= FEW_TIMES:
        axes.set_xticks(times)
        step = 0.12 * float(np.diff(times).min())
        for found, colour, shift in ((truth, _TRUTH, -step), (prediction, _PREDICTION, step)):
            axes.vlines(times + shift, found[:, 0], found[:, 4], color=colour, lw=1.2)
            axes.vlines(times + shift, found[:, 1], found[:, 3], color=colour, lw=5.5)
            axes.plot(times + shift, found[:, 2], ls="", marker="o", ms=3.6, mfc="white", mec=colour)
    else:
        for low, high in ((0, 4), (1, 3)):
            axes.fill_between(times, truth[:, low], truth[:, high], color=_TRUTH, alpha=0.16, lw=0)
        axes.plot(times, truth[:, 2], color=_TRUTH, lw=1.1)
        for level, style in enumerate((":", "--", "-", "--", ":")):
            axes.plot(times, prediction[:, level], color=_PREDICTION, lw=1.2, ls=style)
    _mark_observed(axes, samples)


def _mark_observed(axes: Axes, samples: xr.DataArray) -> None:
    """Small triangles on the upper edge, at the times that training has seen."""
    seen = samples["time"].values[samples["observed"].values.astype(bool)]
    axes.plot(
        seen,
        np.full(len(seen), 1.03),
        ls="",
        marker="v",
        ms=3.2,
        color=_TRUTH,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )


def _draw_landscape(axes: Axes, landscape: Landscape) -> None:
    style: dict[str, Any] = {"colors": "#8a8a8a", "linewidths": 0.6, "levels": 9}
    axes.contour(landscape.first, landscape.second, landscape.height.T, zorder=3, **style)


def _joint_times(samples: xr.DataArray) -> list[int]:
    """Positions of evenly spaced times, unobserved ones if there are enough."""
    observed = samples["observed"].values.astype(bool)
    unobserved = np.flatnonzero(~observed)
    # The first time is often a single point, in which there is nothing to see.
    chosen = unobserved if len(unobserved) >= MOST_JOINTS else np.arange(min(1, len(observed) - 1), len(observed))
    if len(chosen) <= MOST_JOINTS:
        return [int(position) for position in chosen]
    middles = (np.arange(MOST_JOINTS) + 0.5) / MOST_JOINTS * len(chosen)
    return [int(position) for position in chosen[middles.astype(int)]]


def _present(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without missing samples: [sample] or [sample, dimension]."""
    missing = np.isnan(values)
    return values[~(missing if values.ndim == 1 else missing.any(axis=1))]


def _edges(values: NDArray[np.float64], counts: bool, most: int) -> NDArray[np.float64]:
    """Edges of at most so many bins for one dimension, [source, time, sample]; far outliers of the prediction lie
    beyond."""
    truth, every = values[0][np.isfinite(values[0])], values[np.isfinite(values)]
    if not counts:
        low, high = np.quantile(truth, [0.001, 0.999])
        margin = 0.05 * (high - low) or 1.0
        return np.linspace(low - margin, high + margin, most + 1)
    low, high = min(truth.min(), np.quantile(every, 0.001)), max(truth.max(), np.quantile(every, 0.999))
    width = max(1, int(np.ceil((high - low + 1) / most)))  # whole counts in a bin, as many in each
    return np.arange(np.floor(low), high + width + 0.5, width) - 0.5


def _time_edges(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Midpoints between times, and as far beyond the ends."""
    middle = (times[1:] + times[:-1]) / 2
    return np.concatenate([[2 * times[0] - middle[0]], middle, [2 * times[-1] - middle[-1]]])
