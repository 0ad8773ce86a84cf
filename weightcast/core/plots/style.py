"""One look for all figures: colours and markers by family, safe for colour-blind readers and in grey print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from weightcast.core.methods import SKILL_FLOOR, Family, method

# Okabe and Ito, "Color Universal Design" (2008). Families differ in marker as well, never in colour alone.
FAMILY_COLOURS: dict[Family, str] = {"baseline": "#0072b2", "reference": "#1a1a1a", "generator": "#d55e00"}
FAMILY_MARKERS: dict[Family, str] = {"baseline": "o", "reference": "D", "generator": "s"}
FAMILY_LABELS: dict[Family, str] = {
    "baseline": "baseline",
    "reference": "reference: trained on the very environment",
    "generator": "generated or evolved weights",
}
NO_NETWORK_COLOUR = "#8c8c8c"
FAINT_COLOUR = "#b9c9d6"

SPLIT_LABELS = {
    "visible": "Visible environments",
    "interpolation": "Unseen, inside the range",
    "extrapolation": "Unseen, outside the range",
    "observed": "Observed times",
    "unobserved": "Unobserved times",
    "held_out": "Held-out times",
}
ROLE_MARKERS = {"visible": "o", "interpolation": "s", "extrapolation": "^"}

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5a5a5a",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "xtick.color": "#3a3a3a",
    "ytick.color": "#3a3a3a",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",  # text as shapes: looks the same in every browser, asks for no font
    "svg.hashsalt": "weightcast",  # the same figure gives the same bytes
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the house style to figures made, and rendered, inside the block."""
    with mpl.rc_context(_SETTINGS):
        yield


def method_colour(name: str) -> str:
    """Colour of a method: its family's, or grey for a forecast without any network."""
    return NO_NETWORK_COLOUR if name in SKILL_FLOOR else FAMILY_COLOURS[method(name).family]


def split_label(split: str) -> str:
    """A split's name in print."""
    return SPLIT_LABELS.get(split, split)


def log_limits(values: ArrayLike) -> tuple[float, float]:
    """Ends of a logarithmic axis for errors, with room at both.

    An error that is finite but absurd, as of a rollout about to diverge, must not squeeze all others into a corner:
    what is more than fifty times the median of the values lies beyond the upper end.

    Args:
        values: errors, any shape; what is not finite or not positive does not count.
    """
    errors = np.asarray(values, dtype=float)
    errors = errors[np.isfinite(errors) & (errors > 0)]
    if not errors.size:
        return 0.1, 1.0
    shown = errors[errors <= 50 * np.median(errors)]
    return float(shown.min() / 1.25), float(shown.max() * 1.25)


def log_ticks(axes: Axes, which: str) -> None:
    """Plain decimal labels on a logarithmic axis, more of them the narrower its range, instead of powers of ten."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    if high / low < 4:
        axis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_minor_locator(mpl.ticker.NullLocator())
    else:
        within_decade = (1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)
        axis.set_major_locator(mpl.ticker.LogLocator(base=10, subs=within_decade, numticks=12))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())
