"""Known inputs of a user's files: beside observed frames, and over the horizon of a forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.dimensions import DIMENSIONS
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.commands.frames_table import MONTHS, FileReading, is_frames_table, read_frames_table
from weightcast.records.calendar_columns import calendar_columns
from weightcast.records.calendar_inputs import angles_of
from weightcast.records.settings import DATED_INPUTS, CalendarInput
from weightcast.trajectories import checks
from weightcast.trajectories.land import declared_land, filled_land
from weightcast.trajectories.netcdf import check_whole, unreadable

TIME_TOLERANCE = 1e-3
"""Of a step, by which two files' times of the same frame may be off."""


@dataclass(frozen=True, eq=False)
class KnownInputs:
    """Columns of inputs of one file.

    Attributes:
        file: that they come from.
        columns: float32 [trajectory, frame, y, x] by name, of those that there are; sides along which the file has
            none are of length 1.
        time: of the frames [frame], as in the file; None where it says nothing.
        frames: how many there are.
        timeless: columns that say the same of all of several frames.
        units: of the times, as in the file.
    """

    file: Path
    columns: dict[str, NDArray[np.float32]]
    time: NDArray[np.float64] | None
    frames: int
    timeless: frozenset[str] = frozenset()
    units: object = None

    @classmethod
    def read(cls, file: Path, layout: InputLayout, reading: FileReading | None = None, ahead: int = 0) -> KnownInputs:
        """Those of a NetCDF file, or a table, that a predictor is shown. What the calendar says follows from its times,
        where these are dates ("hours since 2020-01-01") and the file has no such variable; also of so many steps ahead
        of the last time, where they are even. Where an input never has a value, and the study declares a number for
        that, it is this number, as in trainings.

        Raises:
            InputError: the file cannot be read, or a variable has other dimensions.
        """
        reading = reading or FileReading()
        if is_frames_table(file):
            return cls._of_dataset(file, read_frames_table(file, layout.columns, reading), layout, ahead)
        if not file.is_file():
            raise InputError(f"{file}: found no such file, expected inputs (NetCDF, or a table)")
        if file.suffix == ".npy":
            return cls(file, {}, None, 0)
        check_whole(file)
        try:
            with xr.open_dataset(
                file, engine="netcdf4", decode_times=False, decode_timedelta=False, cache=False
            ) as opened:
                return cls._of_dataset(file, reading.named(opened, file), layout, ahead).with_land(reading.land)
        except InputError:
            raise
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise unreadable(file, error) from None

    @classmethod
    def _of_dataset(cls, file: Path, dataset: xr.Dataset, layout: InputLayout, ahead: int) -> KnownInputs:
        columns = {name: _column(file, dataset, name) for name in layout.columns if name in dataset.data_vars}
        time = dataset["time"].to_numpy().astype(np.float64).ravel() if "time" in dataset.coords else None
        frames = dataset.sizes.get("time", 1)
        timeless = frozenset(name for name in columns if frames > 1 and "time" not in dataset[name].dims)
        columns |= _of_calendar(dataset, [name for name in layout.columns if name not in columns], ahead)
        units = dataset["time"].attrs.get("units") if "time" in dataset.coords else None
        return cls(file, columns, time, frames, timeless, units)

    def with_land(self, land: Mapping[str, float]) -> KnownInputs:
        """The same with the study's number (``data.land``) wherever one of its inputs never has a value."""
        columns = dict(self.columns)
        for name in columns.keys() & land.keys():
            values = columns[name][:, :, None]
            nowhere = declared_land(values, [name], land)
            columns[name] = filled_land(values, [name], land, nowhere)[:, :, 0]
        return replace(self, columns=columns)

    def frame_at(self, time: float | None, units: object) -> int | None:
        """Which frame is that of a time in some units, which may count from another date; None where times are not
        known, or there is no such frame."""
        if self.time is None or time is None:
            return None
        own, wanted = _dates(self.time, self.units), _dates(np.array([time]), units)
        if own is None or wanted is None:
            own, wanted = self.time, np.array([time])
        away = np.abs(own - wanted)
        step = float(np.abs(np.diff(own)).min()) if len(own) > 1 else max(1.0, abs(float(wanted[0])) * 1e-6)
        nearest = int(away.argmin())
        return nearest if away[nearest] <= TIME_TOLERANCE * step else None


def inputs_beside(
    file: Path, layout: InputLayout, shape: Sequence[int], reading: FileReading | None = None
) -> NDArray[np.float32]:
    """All columns of inputs of frames that were observed, from the file that these are in.

    Args:
        file: NetCDF, or a table, which may go on behind the last frame.
        layout: of the inputs.
        shape: of the frames: trajectory, frame, y, x.
        reading: how files of the study's kind are read.

    Returns:
        [trajectory, frame, column, y, x].

    Raises:
        InputError: a column is missing, has other frames, or a value that is no number.
    """
    known = KnownInputs.read(file, layout, reading)
    if is_frames_table(file):
        seen = {name: values[:, : shape[1]] for name, values in known.columns.items()}
        known = replace(known, columns=seen, frames=shape[1])
    for name in layout.columns:
        if name not in known.columns:
            raise InputError(
                f"{file}: found no variable {name}, expected one beside the observed frames: the predictors of this "
                f"study are shown {listed(layout.columns)}"
            )
    return np.stack([_fitted(known, name, shape) for name in layout.columns], axis=2)


def inputs_ahead(
    sources: Sequence[KnownInputs], begins: Sequence[int], layout: InputLayout, steps: int, grid: Sequence[int]
) -> NDArray[np.float32]:
    """All columns of inputs over the horizon of a forecast.

    Args:
        sources: files, of which the first one that has a column is believed.
        begins: which frame of each is the one that the forecast begins with.
        layout: of the inputs.
        steps: of the forecast.
        grid: points (y, x).

    Returns:
        [trajectory, frame, column, y, x], the first frame that of the beginning; one trajectory where all have the
        same.

    Raises:
        InputError: a column is missing, or known for too few frames, or a value is no number.
    """
    needed = layout.needed(steps)
    columns = []
    for place, name in enumerate(layout.columns):
        found = next(((one, begin) for one, begin in zip(sources, begins, strict=True) if name in one.columns), None)
        if found is None:
            raise InputError(
                f"{sources[0].file}: found no variable {name}, expected it known over {steps} steps: the predictors "
                f"are shown {listed(layout.columns)} (--inputs FILE)"
            )
        source, begin = found
        values = source.columns[name]
        own = values[:, begin:] if values.shape[1] > 1 else values
        if place in (*layout.past, *layout.constant) or name in source.timeless:  # unchanged, as far as is known
            own = np.repeat(own[:, :1], needed, axis=1)
        last = needed if place in layout.ahead else steps
        if own.shape[1] < min(last, needed):
            raise InputError(
                f"{source.file}: {name}: found {own.shape[1]} frames from the one on that the forecast begins with, "
                f"expected {last}, over its whole horizon (--inputs FILE)"
            )
        own = own[:, :needed]
        own = np.concatenate([own, np.repeat(own[:, -1:], needed - own.shape[1], axis=1)], axis=1)
        _check_numbers(source.file, name, own)
        columns.append(np.broadcast_to(own, (*own.shape[:2], *grid)))
    trajectories = max(column.shape[0] for column in columns)
    return np.stack([np.broadcast_to(column, (trajectories, *column.shape[1:])) for column in columns], axis=2)


def _fitted(known: KnownInputs, name: str, shape: Sequence[int]) -> NDArray[np.float32]:
    values = known.columns[name]
    try:
        whole = np.broadcast_to(values, tuple(shape))
    except ValueError:
        raise InputError(
            f"{known.file}: {name}: found {' x '.join(map(str, values.shape))} values (trajectory, time, y, x), "
            f"expected {' x '.join(map(str, shape))} as the frames have"
        ) from None
    _check_numbers(known.file, name, whole)
    return whole


def _check_numbers(file: Path, name: str, values: NDArray[np.float32]) -> None:
    wrong = np.argwhere(~np.isfinite(values).all(axis=(0, 2, 3)))
    for (frame,) in wrong[:1]:
        raise InputError(
            f"{file}: {name}: found no number at frame {frame} of those that are shown (indices from 0), expected an "
            "input that is known"
        )


def _column(file: Path, dataset: xr.Dataset, name: str) -> NDArray[np.float32]:
    variable = dataset[name]
    if not set(map(str, variable.dims)) <= set(DIMENSIONS) or variable.dtype.kind not in checks.NUMERIC_KINDS:
        raise InputError(
            f"{file}: {name}: found {variable.dtype} with the dimensions ({', '.join(map(str, variable.dims))}), "
            f"expected numbers with some of ({', '.join(DIMENSIONS)})"
        )
    missing = {dimension: 1 for dimension in DIMENSIONS if dimension not in variable.dims}
    return variable.expand_dims(missing).transpose(*DIMENSIONS).to_numpy().astype(np.float32)


def _dates(time: NDArray[np.float64], units: object) -> NDArray[np.float64] | None:
    """Seconds since 1970 of times that are dates; None of others."""
    if "since" not in str(units):
        return None
    coded = xr.Dataset({"time": ("time", time, {"units": str(units)})})
    try:
        dates = xr.decode_cf(coded, decode_timedelta=False)["time"].to_numpy()
    except ValueError:
        return None
    return dates.astype("datetime64[ns]").astype(np.int64) / 1e9 if dates.dtype.kind == "M" else None


def _of_calendar(dataset: xr.Dataset, wanted: Sequence[str], ahead: int) -> dict[str, NDArray[np.float32]]:
    """What the calendar says at the file's times, and so many even steps ahead, as far as these are dates."""
    if not wanted or "time" not in dataset.coords:
        return {}
    units = str(dataset["time"].attrs.get("units", ""))
    time = np.atleast_1d(dataset["time"].to_numpy().astype(np.float64))
    steps = np.diff(time)
    if len(steps) and np.allclose(steps, steps[0], rtol=TIME_TOLERANCE, atol=0.0):
        time = np.concatenate([time, time[-1] + steps[0] * np.arange(1, ahead + 1)])
    found: dict[CalendarInput, NDArray[np.float64]] = {}
    if units == MONTHS:  # which have nothing but a season
        angle = 2 * np.pi * (np.rint(time) % 12) / 12
        found = {"season": np.stack([np.sin(angle), np.cos(angle)], axis=-1)}
    elif (seconds := _dates(time, units)) is not None:
        nanoseconds = np.rint(seconds * 1e3).astype(np.int64) * 1_000_000
        found = {name: angles_of(nanoseconds, name) for name in DATED_INPUTS}
    return {
        column: numbers.astype(np.float32)[None, :, None, None]
        for name, values in found.items()
        for column, numbers in zip(calendar_columns([name]), values.T, strict=True)
        if column in wanted
    }
