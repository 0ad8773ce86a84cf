"""The picture of an unknown environment in the README: frames that were seen, the forecast with its band, the truth.

python docs/draw_unknown.py [results/lambda-omega]        writes docs/unknown.svg; docs/write_results.py does so as well

Drawn from what the report shows, results/<study>/report/observed.nc, of a study of fields.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from weightcast.core.files import written_whole
from weightcast.core.plots.export import render
from weightcast.core.plots.style import house_style
from weightcast.environments.plots.unknown import draw_band

ROOT = Path(__file__).parents[1]
COLUMNS = 5
"""Maps in a row."""


def draw(shown: xr.DataArray, forecast: xr.DataArray) -> Figure:
    """Maps of the first channel; beside them, through time, both ends of the channels at the point that varies most.

    Args:
        shown: frames that were seen, dims (frame, channel, y, x).
        forecast: dims (statistic, time, channel, y, x), statistics truth, mean, low and high.
    """
    forecast = forecast.transpose("statistic", "time", "channel", "y", "x")
    first = forecast.isel(channel=0)
    truth = first.sel(statistic="truth").values
    steps = np.linspace(0, len(truth) - 1, COLUMNS).round().astype(int)
    frames = np.unique(np.linspace(0, shown.sizes["frame"] - 1, min(COLUMNS, shown.sizes["frame"])).round().astype(int))
    rows = (
        ("frames seen", shown.isel(channel=0).values[frames], [f"frame {frame}" for frame in frames]),
        ("forecast", first.sel(statistic="mean").values[steps], [f"step {step + 1}" for step in steps]),
        ("truth", truth[steps], [""] * COLUMNS),
    )
    y, x = np.unravel_index(truth.std(0).argmax(), truth.shape[1:])
    channels = [str(name) for name in forecast["channel"].values[:2]]
    with house_style():
        figure = Figure(figsize=(10, 3.9), layout="constrained")
        maps, lines = figure.subfigures(1, 2, squeeze=False, width_ratios=(5, 4))[0]
        for row, (name, images, titles) in zip(maps.subplots(3, COLUMNS), rows, strict=True):
            for axes in row:
                axes.set_axis_off()
            for axes, image, title in zip(row, images, titles, strict=False):
                axes.set_axis_on()
                axes.set(xticks=[], yticks=[])
                axes.set_title(title, fontsize=8, fontweight="normal")
                axes.imshow(image, origin="lower", vmin=truth.min(), vmax=truth.max(), interpolation="none")
            row[0].set_ylabel(name)
        panels = lines.subplots(len(channels), 1, sharex=True, squeeze=False)[:, 0]
        for channel, axes in enumerate(panels):
            draw_band(axes, forecast.isel(channel=channel, y=int(y), x=int(x)))
            axes.set_ylabel(channels[channel])
        panels[0].set_title("Through time, at the point that varies most", fontweight="normal")
        panels[-1].set_xlabel("step")
        lines.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def write_picture(results: Path, output: Path) -> None:
    """Draw the last environment that the report of a study shows, which is outside of the range where any is."""
    with xr.open_dataset(results / "report" / "observed.nc") as observed:
        one = observed.isel(environment=-1)
        picture = render(draw(one["shown"].load(), one["forecast"].load()))
    with written_whole(output) as partial:
        partial.write_bytes(picture.content)


if __name__ == "__main__":
    write_picture(
        Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results" / "lambda-omega", ROOT / "docs/unknown.svg"
    )
