"""Samples in NetCDF: trajectories along an axis of times, or the pipeline's own form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.samples import checks
from weightcast.samples.record import TimedSamples
from weightcast.samples.snapshots import read_snapshots
from weightcast.trajectories.netcdf import check_whole

EXPECTED = "a whole NetCDF file"
OWN_VARIABLES = {"x", "snapshot", "part", "observed", "time"}


class NetcdfSettings(Settings):
    variable: str | None = None
    """Name of the variable (trajectory, time, species); None: the only one with such dimensions."""


def read_netcdf(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read a variable with the dimensions trajectory, time and one more, in any order; or what `write_snapshots` wrote.

    Args:
        path: NetCDF, classic or version 4.
        settings: see :class:`NetcdfSettings`.
        dimensions: names; None: the coordinate of the third dimension if it holds text, else that dimension's name
            with numbers.

    Raises:
        InputError: the file cannot be read or is not as said, times are not increasing, or a value is not finite.
    """
    chosen = checks.read_settings(NetcdfSettings, settings, path)
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", decode_times=False, decode_timedelta=False, cache=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise checks.unreadable(path, error, EXPECTED) from None
    with dataset:
        check_whole(path)
        if set(map(str, dataset.variables)) >= OWN_VARIABLES:
            return _read_own(path, dimensions)
        variable = _choose_variable(path, dataset, chosen.variable)
        (last,) = (str(name) for name in dataset[variable].dims if name not in ("trajectory", "time"))
        checks.check_numeric(path, f"variable {variable}", dataset[variable].dtype)
        try:
            values = dataset[variable].transpose("trajectory", "time", last).to_numpy().astype(np.float64)
            times = dataset["time"].to_numpy()  # 0, 1, 2, ... where the file has no coordinate
            labels = dataset[last].to_numpy()
        except (OSError, RuntimeError, IndexError) as error:
            raise checks.unreadable(path, error, EXPECTED) from None
        unit = str(dataset["time"].attrs.get("units", ""))
    checks.check_axes(path, f"variable {variable}", values.shape, ("trajectory", "time", last))
    checks.check_numeric(path, "time", times.dtype)
    times = times.astype(np.float64)
    checks.check_increasing(path, times)
    named = labels.dtype.kind in "SUO"
    default = [str(label) for label in labels] if named else [f"{last}_{number}" for number in range(len(labels))]
    names = checks.name_dimensions(path, dimensions, default)
    checks.check_finite(path, values, ("trajectory", "time"), names)
    samples = tuple(np.ascontiguousarray(values[:, time]) for time in range(len(times)))
    return TimedSamples(times, samples, names, True, {"variable": variable}, unit)


def _read_own(path: Path, dimensions: Sequence[str] | None) -> TimedSamples:
    """Samples that this library split: together again, since they are split anew."""
    snapshots = read_snapshots(path)
    names = checks.name_dimensions(path, dimensions, snapshots.dimensions)
    samples = tuple(np.concatenate(parts) for parts in zip(snapshots.train, snapshots.held_out, strict=True))
    return TimedSamples(snapshots.times, samples, names, False, {}, snapshots.time_unit, masses=snapshots.masses)


def _choose_variable(path: Path, dataset: xr.Dataset, wanted: str | None) -> str:
    fitting = [
        str(name)
        for name, variable in dataset.data_vars.items()
        if len(variable.dims) == 3 and {"trajectory", "time"} < set(variable.dims)
    ]
    expected = "a variable with the dimensions trajectory, time and species"
    described = [f"{name}({', '.join(map(str, variable.dims))})" for name, variable in dataset.data_vars.items()]
    if wanted is not None:
        if wanted not in fitting:
            raise InputError(f"{path}: found {listed(described)}, expected {wanted}, {expected}")
        return wanted
    if len(fitting) > 1:
        raise InputError(
            f"{path}: found {listed(fitting)} with the dimensions trajectory, time and another, expected "
            "data.settings.variable to name one"
        )
    if not fitting:
        raise InputError(f"{path}: found {listed(described)}, expected {expected}")
    return fitting[0]
