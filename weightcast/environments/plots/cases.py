"""Errors against what is shown of an environment: the number of frames, or the noise on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weightcast.core.methods import method
from weightcast.core.plots.style import FAINT_COLOUR, house_style, log_limits, log_ticks, method_colour, split_label


def plot_cases(rows: pd.DataFrame, places: Mapping[str, float], label: str, featured: Sequence[str]) -> Figure:
    """A panel a split, a line a method.

    Args:
        rows: medians of one metric: case, method, split, median, ci_low, ci_high.
        places: on the horizontal axis, by case.
        label: of the horizontal axis.
        featured: methods in colour; the others are faint.
    """
    splits = list(dict.fromkeys(rows["split"]))
    with house_style():
        figure = Figure(figsize=(10, 3.8), layout="constrained")
        panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
        for axes, split in zip(panels, splits, strict=True):
            here = rows[rows["split"] == split].assign(place=lambda table: table["case"].map(places))
            for name, line in here.groupby("method", sort=False):
                line = line.sort_values("place")
                shown = name in featured
                colour = method_colour(str(name)) if shown else FAINT_COLOUR
                style = ("-", "--", "-.", ":")[list(featured).index(str(name)) % 4] if shown else "-"
                label_of = method(str(name)).label if shown else None
                axes.plot(line["place"], line["median"], "o", ls=style, color=colour, ms=3.5, lw=1.5, label=label_of)
                if shown:
                    ends = [np.where(np.isfinite(line[end]), line[end], np.nan) for end in ("ci_low", "ci_high")]
                    axes.fill_between(line["place"], *ends, color=colour, alpha=0.12, lw=0)
            axes.set_yscale("log")
            axes.set_title(split_label(str(split)))
            axes.set_xlabel(label)
            axes.set_xticks(sorted(set(places.values())))
            axes.grid(axis="y")
        panels[0].set_ylim(*log_limits(rows["median"]))
        panels[0].set_ylabel("median RMSE")
        log_ticks(panels[0], "y")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure
