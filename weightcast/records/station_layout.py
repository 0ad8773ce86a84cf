"""How NetCDF files lay out records of places: CF's discrete sampling geometries, and one file a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.records.settings import RecordSettings
from weightcast.trajectories import checks

PLACE_DIMENSIONS = (
    "station",
    "stations",
    "place",
    "site",
    "location",
    "environment",
    "patient",
    "machine",
    "region",
    "id",
    "timeseries",
)
TIME_NAMES = ("time", "t", "date", "datetime", "valid_time")


@dataclass(frozen=True)
class StationLayout:
    """Where a file says which sample is of which place and time.

    Attributes:
        place: dimension of places; None: the file is one place.
        samples: dimensions of a quantity: (place, time), or one of all samples in a row.
        time: dimension and variable of times, or the variable alone.
        counts: variable that says how many samples each place has, one place after the other (CF: contiguous ragged
            arrays); None: they lie otherwise.
        index: variable that says which place each sample is of (CF: indexed ragged arrays); None: they lie otherwise.
    """

    place: str | None
    samples: tuple[str, ...]
    time: str
    counts: str | None = None
    index: str | None = None

    @classmethod
    def of(cls, file: Path, dataset: xr.Dataset, settings: RecordSettings) -> StationLayout:
        """Recognise the layout, by what CF conventions say, and by names of dimensions.

        Args:
            file: for messages.
            dataset: as it was opened, with numbers as they are stored.
            settings: what somebody says of it: dimensions of places and of times; whether a file is a place.

        Raises:
            InputError: it cannot be told; the message says what dimensions there are.
        """
        ragged = _ragged(file, dataset, settings)
        if ragged is not None:
            return ragged
        found = [str(name) for name in dataset.dims]
        wanted = settings.time[0] if settings.time else None
        place = settings.environment or next((name for name in found if name.lower() in PLACE_DIMENSIONS), None)
        if place is not None and place not in found:
            raise InputError(
                f"{file}: found no dimension {place!r} among {listed(found)}, expected --environment to name one"
            )
        if place is not None:
            own = _times_of_each(dataset, place, wanted)
            if own is not None:
                return cls(place, tuple(map(str, dataset[own].dims)), own)
        time = wanted or next((name for name in found if name.lower() in TIME_NAMES), None)
        if time is None or time not in found:
            raise InputError(
                f"{file}: found {f'no dimension {time!r}' if time else 'no dimension of that kind'} among "
                f"{listed(found)}, expected --time to name one"
            )
        if place is None and settings.layout != "file-each":
            raise InputError(
                f"{file}: found no dimension of that kind among {listed(found)}, expected --environment to name one"
            )
        return cls(place, (time,) if place is None else (place, time), time)

    @property
    def even(self) -> bool:
        """Whether all places have the same times, along a dimension."""
        return self.counts is None and self.index is None and self.time in self.samples

    def quantities(self, dataset: xr.Dataset) -> list[str]:
        """Variables of numbers with the dimensions of samples and no other."""
        return [
            str(name)
            for name, variable in dataset.data_vars.items()
            if set(variable.dims) == set(self.samples)
            and variable.dtype.kind in checks.NUMERIC_KINDS
            and str(name) not in (self.time, self.index)
        ]

    def places_of(self, file: Path, dataset: xr.Dataset) -> NDArray[np.int64]:
        """Number of the place of each sample, in the order in which quantities are read.

        Raises:
            InputError: counts or numbers do not fit the file.
        """
        if self.place is None:
            return np.zeros(dataset.sizes[self.samples[0]], np.int64)
        number = dataset.sizes[self.place]
        samples = dataset.sizes[self.samples[-1]]
        if self.counts is not None:
            counts = dataset[self.counts].to_numpy().astype(np.int64)
            if (counts < 0).any() or counts.sum() > samples:
                raise InputError(
                    f"{file}: {self.counts}: found counts of {counts.sum()} samples, expected {samples} or "
                    f"fewer, which {self.samples[0]} has, and none below 0"
                )
            return np.concatenate([np.repeat(np.arange(number), counts), np.full(samples - counts.sum(), -1)])
        if self.index is not None:
            places = dataset[self.index].to_numpy().astype(np.int64)
            if ((places < 0) | (places >= number)).any():
                raise InputError(
                    f"{file}: {self.index}: found {places.min()} to {places.max()}, expected numbers of places "
                    f"from 0 to {number - 1}"
                )
            return places
        return np.repeat(np.arange(number), samples)


def is_one_place(dataset: xr.Dataset) -> bool:
    """Whether a file holds the record of one place: quantities along a dimension of times alone, nothing along others
    that are longer than 1."""
    long = [str(name) for name, size in dataset.sizes.items() if size > 1]
    times = [name for name in map(str, dataset.dims) if name.lower() in TIME_NAMES]
    ragged = any({"sample_dimension", "instance_dimension"} & set(one.attrs) for one in dataset.variables.values())
    return len(times) == 1 and set(long) <= set(times) and not ragged


def is_of_places(dataset: xr.Dataset) -> bool:
    """Whether a file holds records of places rather than trajectories of one environment."""
    named = {str(name).lower() for name in dataset.dims} & set(PLACE_DIMENSIONS)
    marked = str(dataset.attrs.get("featureType", "")).lower() == "timeseries"
    return bool(named) or marked or is_one_place(dataset)


def _ragged(file: Path, dataset: xr.Dataset, settings: RecordSettings) -> StationLayout | None:
    """Where samples of all places lie in one row, as the conventions mark it."""
    for name, variable in dataset.variables.items():
        attributes: Mapping[Any, Any] = variable.attrs
        counts, index = attributes.get("sample_dimension"), attributes.get("instance_dimension")
        if len(variable.dims) != 1 or (counts not in dataset.dims and index not in dataset.dims):
            continue
        place, sample = (variable.dims[0], counts) if counts is not None else (index, variable.dims[0])
        time = _time_along(dataset, (str(sample),), settings.time[0] if settings.time else None)
        if time is None:
            raise InputError(
                f"{file}: found no variable of times along {sample}, expected one called time, or --time to name it"
            )
        own = {"counts": str(name)} if counts is not None else {"index": str(name)}
        return StationLayout(str(place), (str(sample),), time, **own)
    return _unmarked(dataset, settings)


def _unmarked(dataset: xr.Dataset, settings: RecordSettings) -> StationLayout | None:
    """The same where nothing says so, but whole numbers of places add up to the samples, which have times."""
    wanted = settings.time[0] if settings.time else None
    for name, variable in dataset.variables.items():
        if len(variable.dims) != 1 or variable.dtype.kind not in "iu":
            continue
        (place,), total = variable.dims, int(variable.to_numpy().astype(np.int64).sum())
        for sample, size in dataset.sizes.items():
            time = _time_along(dataset, (str(sample),), wanted)
            if sample != place and size == total and time is not None and int(variable.to_numpy().min()) > 0:
                return StationLayout(str(place), (str(sample),), time, counts=str(name))
    return None


def _times_of_each(dataset: xr.Dataset, place: str, wanted: str | None) -> str | None:
    """A variable of times (place, sample), of places that have times of their own."""
    others = [str(name) for name in dataset.dims if name != place]
    return next((time for one in others if (time := _time_along(dataset, (place, one), wanted))), None)


def _time_along(dataset: xr.Dataset, dimensions: tuple[str, ...], wanted: str | None) -> str | None:
    """The variable of times with these dimensions: of that name, or by its name or what it says of itself."""
    along = [str(name) for name, one in dataset.variables.items() if set(map(str, one.dims)) == set(dimensions)]
    if wanted is not None:
        return wanted if wanted in along else None
    named = [name for name in along if name.lower() in TIME_NAMES]
    said = [name for name in along if dataset[name].attrs.get("standard_name") == "time"]
    return next(iter([*said, *named]), None)
