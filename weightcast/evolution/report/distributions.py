"""Samples of an evolved distribution beside those of the truth, time by time: what a report shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.methods import FLOW_PREFIX
from weightcast.samples.snapshots import Snapshots

if TYPE_CHECKING:
    from weightcast.evolution.weight_path import WeightPath

TRUTH = "truth"
DIMS = ("source", "time", "sample", "dimension")


def sample_distributions(snapshots: Snapshots, path: WeightPath, count: int, seed: int) -> xr.DataArray:
    """Held-out samples (all, where none are held out) and as many of the flow, at all of the data's times that its
    snapshots span.

    Args:
        snapshots: with the truth.
        path: of weights, from a flow whose metadata name its arm.
        count: samples at each time; at most as many held-out ones.
        seed: of the draws.

    Returns:
        [source, time, sample, dimension]: ``truth``, then ``flow-<arm>``. NaN where there are fewer held-out samples.
    """
    inside = [i for i, time in enumerate(snapshots.times) if path.first <= time <= path.last]
    times = snapshots.times[inside]
    evolved = path.sample(times, count, seed).numpy()
    truth = np.full_like(evolved, np.nan)
    for row, position in enumerate(inside):
        true = (snapshots.train if snapshots.all_train else snapshots.held_out)[position][:count]
        truth[row, : len(true)] = true
    return xr.DataArray(
        np.stack([truth, evolved]).astype(np.float32),
        dims=DIMS,
        coords={
            "source": [TRUTH, f"{FLOW_PREFIX}{path.metadata['arm']}"],
            "time": times,
            "dimension": list(snapshots.dimensions),
            "observed": ("time", snapshots.observed[inside].astype(np.int8)),
        },
        name="x",
    )


def read_distributions(path: str | Path) -> xr.DataArray:
    """Read what :mod:`weightcast.evolution.stages.show_distributions` wrote; no evolved sample is missing or infinite.

    Raises:
        InputError: the file is damaged or not of this form, or an evolved sample is no finite number.
    """
    try:
        samples = xr.load_dataset(path, engine="netcdf4", decode_times=False)["x"]
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}), expected NetCDF with x") from None
    if samples.dims != DIMS or "observed" not in samples.coords:
        raise InputError(f"{path}: x: found dims {samples.dims}, expected {DIMS} and observed along time")
    sources = [str(name) for name in samples["source"].values]
    if len(sources) != 2 or sources[0] != TRUTH:
        raise InputError(f"{path}: source: found {sources}, expected '{TRUTH}' and one method")
    if not np.isfinite(samples.values[1]).all():
        raise InputError(f"{path}: {sources[1]}: found samples that are not finite, expected numbers")
    return samples


def moments_at(samples: xr.DataArray, position: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations at one time: each [source, dimension]."""
    values = samples.isel(time=position).transpose("source", "sample", "dimension").values.astype(np.float64)
    return np.nanmean(values, axis=1), np.nanstd(values, axis=1)
