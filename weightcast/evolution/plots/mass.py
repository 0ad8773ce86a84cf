"""The size of a population against time: what the data say, the path through it, and paths that did without a
snapshot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from weightcast.core.plots.style import FAMILY_COLOURS, house_style
from weightcast.evolution.mass import MassPath

POINTS = 201
_TRUTH = FAMILY_COLOURS["reference"]
_PATH = FAMILY_COLOURS["generator"]


def plot_mass(
    times: NDArray[np.float64],
    masses: NDArray[np.float64],
    observed: NDArray[np.bool_],
    left_out: Sequence[int],
    time_label: str = "time",
) -> Figure:
    """Mass relative to the first snapshot's, and below it the growth rate of the whole population.

    Args:
        times: of the data [time].
        masses: at them [time], in any unit.
        observed: which of them are snapshots [time].
        left_out: positions of snapshots that a fold did without; the path of each is dashed, and an open marker is what
            it says there.
        time_label: with the unit of time.
    """
    relative = masses / masses[0]
    shown = np.linspace(times[0], times[-1], POINTS)
    path = MassPath(times[observed], masses[observed])
    with house_style():
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        size, rate = figure.subplots(1, 2)
        size.plot(shown, path.relative(shown), color=_PATH, lw=1.7, label="path through the snapshots")
        rate.plot(shown, path.rate(shown), color=_PATH, lw=1.7)
        for number, position in enumerate(left_out):
            seen = observed.copy()
            seen[position] = False
            without = MassPath(times[seen], masses[seen])
            size.plot(
                shown,
                without.relative(shown),
                color=_PATH,
                lw=0.9,
                ls="--",
                label="without a snapshot, and what it says there" if number == 0 else None,
            )
            found = without.relative(times[[position]])
            size.plot(times[[position]], found, ls="", marker="s", ms=6, mfc="white", mec=_PATH, mew=1.3)
        size.plot(times[observed], relative[observed], ls="", marker="D", ms=4, color=_TRUTH, label="data")
        size.plot(times[~observed], relative[~observed], ls="", marker="D", ms=4, mfc="white", mec=_TRUTH)
        size.set_ylabel("mass, first snapshot = 1")
        size.set_ylim(bottom=0)
        rate.set_ylabel("growth rate, a unit of time")
        for axes in (size, rate):
            axes.grid(axis="y")
            axes.set_xlabel(time_label)
        rate.axhline(0, color="#8a8a8a", lw=0.8)
        size.legend()
    return figure
