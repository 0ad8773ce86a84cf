"""Where encoders look: attention between the layers of a predictor, over what even attention would give."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from weightcast.core.plots.style import house_style

MOST_ARMS = 3
"""Arms that are drawn; the table has them all."""


def plot_attention(attention: pd.DataFrame) -> Figure:
    """A row an arm, a panel for each block of its encoder: from the layer of a row to the layer of a column.

    Args:
        attention: as the stage ``show_attention`` writes it, of layers.
    """
    arms = list(attention["arm"].unique())[:MOST_ARMS]
    blocks = int(attention["block"].max())
    with house_style():
        figure = Figure(figsize=(1.2 + 4.4 * blocks, 0.6 + 3.6 * len(arms)), layout="constrained")
        panels = figure.subplots(len(arms), blocks, squeeze=False)
        for line, arm in zip(panels, arms, strict=True):
            for block, axes in enumerate(line, 1):
                rows = attention[(attention["arm"] == arm) & (attention["block"] == block)]
                if rows.empty:  # another arm's encoder has more blocks
                    axes.set_visible(False)
                    continue
                names = list(rows["layer"].unique())
                shares = rows.pivot(index="layer", columns="attended", values="share").loc[names, names].to_numpy()
                even = rows.drop_duplicates("attended").set_index("attended")["even"].loc[names].to_numpy()
                ratio = np.log2(np.maximum(shares / even, 1e-6))
                image = axes.imshow(ratio, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -3.0, 3.0))
                for row, column in np.ndindex(*shares.shape):
                    dark = abs(ratio[row, column]) > 2
                    text = f"{100 * shares[row, column]:.0f}"
                    axes.text(
                        column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "#1a1a1a"
                    )
                axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
                axes.set_yticks(range(len(names)), names if block == 1 else [""] * len(names), fontsize=7)
                axes.set_title(f"{arm}, block {block}")
        bar = figure.colorbar(image, ax=panels, aspect=30, pad=0.015, ticks=[-3, -2, -1, 0, 1, 2, 3])
        bar.ax.set_yticklabels(["1/8", "1/4", "1/2", "even", "2", "4", "8"])
        bar.outline.set_visible(False)
    return figure
