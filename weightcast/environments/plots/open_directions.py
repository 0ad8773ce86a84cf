"""What frames leave open: spread by direction of the codes and by parameter, against what was seen."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from weightcast.core.plots.style import ROLE_MARKERS, house_style, log_limits, log_ticks, split_label

_COLOURS = {"interpolation": "#0072b2", "extrapolation": "#d55e00"}


def plot_open_directions(openness: pd.DataFrame, cases: Mapping[str, str]) -> Figure:
    """A panel for each quantity: a dot an environment, a line through the medians.

    Args:
        openness: as the stage ``describe_posteriors`` writes it, of the quantities that are to be drawn.
        cases: words for each, by name, in the order of drawing.
    """
    quantities = list(openness["quantity"].unique())
    places = {name: place for place, name in enumerate(cases)}
    with house_style():
        figure = Figure(figsize=(1.0 + 2.6 * max(2, len(quantities)), 3.9), layout="constrained")
        panels = figure.subplots(1, len(quantities), sharey=True, squeeze=False)[0]
        for axes, quantity in zip(panels, quantities, strict=True):
            for side, (split, rows) in enumerate(openness[openness["quantity"] == quantity].groupby("split")):
                shift = 0.16 * side - 0.08
                colour, marker = _COLOURS[str(split)], ROLE_MARKERS[str(split)]
                axes.plot(rows["case"].map(places) + shift, rows["spread"], marker, color=colour, ms=3, alpha=0.45)
                medians = rows.groupby("case")["spread"].median().reindex(list(cases))
                axes.plot(
                    [places[name] + shift for name in medians.index], medians, color=colour, lw=1.5,
                    label=split_label(str(split)),
                )  # fmt: skip
            axes.axhline(1.0, color="#5a5a5a", lw=0.8, ls=":")
            axes.set_title(quantity)
            axes.set_xticks(range(len(cases)), list(cases.values()), rotation=40, ha="right", fontsize=7)
            axes.grid(axis="y")
            axes.set_yscale("log")
        panels[0].set_ylim(*log_limits([*openness["spread"], 1.0]))
        panels[0].set_ylabel("spread that is left open")
        log_ticks(panels[0], "y")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure
