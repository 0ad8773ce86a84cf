"""Coefficients of distilled equations against the environment parameters that they should follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from weightcast.core.plots.style import ROLE_MARKERS, SPLIT_LABELS, house_style
from weightcast.environments.explain.term_names import CONSTANT, printed_term

ROW = "environment, by its row in the table"
"""What coefficients are drawn against where no parameters are known."""
_COLUMNS = 4
_TRUTH_COLOUR = "#1a1a1a"
_RANGE_COLOUR = "#f2f2f2"


def plot_coefficients(
    coefficients: pd.DataFrame, environments: pd.DataFrame, parameters: Sequence[str], colour: str
) -> Figure:
    """A panel a term; a marker an environment, the truth as a line.

    Panels are the terms of the true equations and, where nobody knows these, the terms that most environments have.
    Each has the parameter that its coefficient follows best, by rank; one that follows none has the first. Where the
    truth depends on other parameters too, it is a dash at each environment. Without any parameter, coefficients stand
    in the order of the table.

    Args:
        coefficients: of one method, as returned by ``weightcast.environments.explain.comparison.median_coefficients``.
        environments: columns id, role and the parameters.
        parameters: columns of ``environments``; may be none.
        colour: of the markers.
    """
    if not parameters:
        environments, parameters = environments.assign(**{ROW: np.arange(1, len(environments) + 1)}), [ROW]
    placed = coefficients.merge(environments, left_on="environment", right_on="id")
    panels = [
        (str(equation), str(term), rows)
        for (equation, term), rows in placed.groupby(["equation", "term"], sort=False)
        if _is_shown(rows)
    ]
    columns = min(_COLUMNS, max(1, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    with house_style():
        figure = Figure(figsize=(10, 0.5 + 2.7 * lines), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes, (equation, term, rows) in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, rows, _followed(rows, parameters), colour)
            axes.set_title(f"d{equation}/dt\n{'constant' if term == CONSTANT else printed_term(term)}")
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel("coefficient")
        figure.legend(handles=_handles(placed, colour), loc="outside lower center", ncols=4)
    return figure


def _is_shown(rows: pd.DataFrame) -> bool:
    """Whether a term deserves a panel."""
    if rows["truth"].notna().any():
        return bool((rows["truth"].fillna(0) != 0).any())
    return bool((rows["coefficient"] != 0).mean() > 0.5)


def _followed(rows: pd.DataFrame, parameters: Sequence[str]) -> str:
    """The parameter with the strongest rank correlation with a term's coefficient: the true one where it is known."""
    values = (rows["truth"] if rows["truth"].notna().all() else rows["coefficient"]).rank()
    ranks = {name: rows[name].rank() for name in parameters}
    spread = {name: values.std() * ranks[name].std() for name in parameters}
    strength = {name: abs(values.cov(ranks[name])) / spread[name] if spread[name] > 0 else 0.0 for name in parameters}
    return max(parameters, key=lambda name: (round(strength[name], 9), -list(parameters).index(name)))


def _draw_panel(axes: Axes, rows: pd.DataFrame, parameter: str, colour: str) -> None:
    visible = rows.loc[rows["role"] == "visible", parameter]
    if not visible.empty and parameter != ROW:
        axes.axvspan(visible.min(), visible.max(), color=_RANGE_COLOUR, lw=0, zorder=0)
    known = rows[rows["truth"].notna()].sort_values(parameter)
    if (known.groupby(parameter)["truth"].nunique() <= 1).all():
        axes.plot(known[parameter], known["truth"], color=_TRUTH_COLOUR, lw=1, zorder=1)
    else:
        axes.plot(known[parameter], known["truth"], color=_TRUTH_COLOUR, ls="", marker="_", ms=9, zorder=1)
    for role, marker in ROLE_MARKERS.items():
        of_role = rows[rows["role"] == role]
        axes.errorbar(
            of_role[parameter],
            of_role["coefficient"],
            yerr=None if of_role["spread"].isna().all() else of_role["spread"].fillna(0.0),
            ls="",
            marker=marker,
            ms=5,
            color=colour,
            mfc=_face(role, colour),
            mew=0.8,
            elinewidth=0.8,
            zorder=2,
        )
    axes.set_xlabel(parameter)
    # A constant coefficient must not be shown as noise over the whole height: no less than a fifth of its size.
    spread = rows["spread"].fillna(0.0)
    values = np.concatenate([rows["coefficient"] - spread, rows["coefficient"] + spread, known["truth"]])
    low, high = float(values.min()), float(values.max())
    height = max(1.2 * (high - low), 0.2 * float(np.abs(values).max()), 1e-9)
    axes.set_ylim((low + high - height) / 2, (low + high + height) / 2)


def _face(role: str, colour: str) -> str:
    """Markers of visible environments are open: an unseen one often lies on them."""
    return "white" if role == "visible" else colour


def _handles(placed: pd.DataFrame, colour: str) -> list[Line2D]:
    handles = [
        Line2D([], [], ls="", marker=marker, color=colour, mfc=_face(role, colour), label=SPLIT_LABELS[role])
        for role, marker in ROLE_MARKERS.items()
        if role in set(placed["role"])
    ]
    if placed["truth"].notna().any():
        handles.append(Line2D([], [], color=_TRUTH_COLOUR, lw=1, label="truth"))
    return handles
