"""Samples of an evolving distribution at a number of times, in memory and on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.netcdf_file import write_netcdf
from weightcast.samples.record import Loadings

FEWEST_SAMPLES = 20
"""Training samples that a snapshot needs."""
FEWEST_TO_FORECAST = 3
"""Snapshots of which the last one can be left out and forecast."""
PARTS = ("train", "held_out")


@dataclass(frozen=True)
class Snapshots:
    """Samples at every time, apart for training and for evaluation.

    Attributes:
        times: [time], increasing, in the data's own unit.
        observed: [time] bool: which of them training may see. The first is.
        train: for each time, samples [sample, dimension], float64. Those at unobserved times only serve to score as
            the source of the method does.
        held_out: the same of trajectories (or samples) that training never sees; none at any time where all train.
        dimensions: names.
        states: for counts, every dimension is one of 0 to states - 1; None for a real state.
        time_unit: as the data names it, or empty.
        loadings: the way back from principal components that were computed on reading.
        masses: size of the population at each time [time], in any unit; None where nothing is known of it.
    """

    times: NDArray[np.float64]
    observed: NDArray[np.bool_]
    train: tuple[NDArray[np.float64], ...]
    held_out: tuple[NDArray[np.float64], ...]
    dimensions: tuple[str, ...]
    states: int | None
    time_unit: str = ""
    loadings: Loadings | None = None
    masses: NDArray[np.float64] | None = None

    @classmethod
    def load(cls, path: str | Path) -> Snapshots:
        """As :func:`read_snapshots`."""
        return read_snapshots(path)

    def save(self, path: str | Path) -> None:
        """As :func:`write_snapshots`."""
        write_snapshots(path, self)

    @property
    def digest(self) -> str:
        """Digest of all samples and of what is observed, not of the bytes of a file."""
        total = hashlib.sha256()
        masses = () if self.masses is None else (self.masses,)
        for array in (self.times, self.observed, *self.train, *self.held_out, *masses):
            total.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    @property
    def counts(self) -> bool:
        return self.states is not None

    @property
    def observed_positions(self) -> list[int]:
        return [int(position) for position in np.flatnonzero(self.observed)]

    @property
    def observed_times(self) -> NDArray[np.float64]:
        return self.times[self.observed]

    @property
    def observed_train(self) -> list[NDArray[np.float64]]:
        """What training may see: samples of each observed time."""
        return [self.train[position] for position in self.observed_positions]

    @property
    def all_train(self) -> bool:
        """Whether no samples are held out."""
        return not any(len(part) for part in self.held_out)

    @property
    def observed_masses(self) -> NDArray[np.float64] | None:
        """Size of the population at each observed time [snapshot], if it is known."""
        return None if self.masses is None else self.masses[self.observed]

    @property
    def stated_masses(self) -> NDArray[np.float64] | None:
        """The same, where these sizes are others than the numbers of samples themselves."""
        sizes = [len(train) + len(held_out) for train, held_out in zip(self.train, self.held_out, strict=True)]
        return None if self.masses is None or np.array_equal(self.masses, sizes) else self.observed_masses

    @property
    def duration(self) -> float:
        return float(self.times[-1] - self.times[0])

    def without(self, snapshot: int | None) -> Snapshots:
        """The same with an inner observed snapshot made unobserved (leave-one-snapshot-out); None: all as it is.

        Args:
            snapshot: its number among the observed ones, from 0.

        Raises:
            InputError: it is not an inner one.
        """
        if snapshot is None:
            return self
        positions = self.observed_positions
        if not 0 < snapshot < len(positions) - 1:
            raise InputError(
                f"evaluation.leave_out: found snapshot {snapshot}, expected an inner one, 1 to {len(positions) - 2}"
            )
        return self._unobserved(positions[snapshot])

    def without_last(self) -> Snapshots:
        """The same with the last observed snapshot made unobserved, to be forecast.

        Raises:
            InputError: fewer than two would be left.
        """
        positions = self.observed_positions
        if len(positions) < FEWEST_TO_FORECAST:
            raise InputError(
                f"evaluation.forecast: found {len(positions)} snapshots, expected {FEWEST_TO_FORECAST} or more: the "
                "last one is left out"
            )
        return self._unobserved(positions[-1])

    def _unobserved(self, position: int) -> Snapshots:
        observed = self.observed.copy()
        observed[position] = False
        return replace(self, observed=observed)


def check_snapshots(snapshots: Snapshots, source: str | Path) -> None:
    """Refuse samples that nothing can be learned from.

    Args:
        snapshots: as read.
        source: named in the messages.

    Raises:
        InputError: one line with the time and what is wrong there.
    """
    times = snapshots.times
    if len(times) < 2 or snapshots.observed.sum() < 2:
        raise InputError(f"{source}: found {int(snapshots.observed.sum())} observed snapshot, expected 2 or more")
    bad = np.flatnonzero(np.diff(times) <= 0)
    if bad.size:
        found = f"{times[bad[0]]:g} followed by {times[bad[0] + 1]:g}"
        raise InputError(f"{source}: times: found {found}, expected increasing times without duplicates")
    for position, time in enumerate(times):
        for part in PARTS:
            samples = getattr(snapshots, part)[position]
            if part == "held_out" and snapshots.all_train:
                continue
            fewest = FEWEST_SAMPLES if part == "train" and snapshots.observed[position] else 2
            if len(samples) < fewest:
                raise InputError(
                    f"{source}: time {time:g}: found {len(samples)} {part.replace('_', '-')} samples, expected "
                    f"{fewest} or more"
                )
            _check_values(samples, snapshots, f"{source}: time {time:g}")
    seen = np.concatenate(snapshots.observed_train)
    for dimension, name in enumerate(snapshots.dimensions):
        if np.ptp(seen[:, dimension]) == 0:
            raise InputError(
                f"{source}: dimension {name}: found the one value {seen[0, dimension]:g} in every snapshot, expected "
                "a dimension that varies: leave it out"
            )


def _check_values(samples: NDArray[np.float64], snapshots: Snapshots, place: str) -> None:
    finite = np.isfinite(samples)
    if not finite.all():
        row, dimension = np.argwhere(~finite)[0]
        raise InputError(
            f"{place}: dimension {snapshots.dimensions[dimension]}, sample {row}: found {samples[row, dimension]}, "
            "expected finite numbers"
        )
    if snapshots.states is None:
        return
    wrong = (samples < 0) | (samples != np.round(samples)) | (samples >= snapshots.states)
    if wrong.any():
        row, dimension = np.argwhere(wrong)[0]
        raise InputError(
            f"{place}: dimension {snapshots.dimensions[dimension]}, sample {row}: found {samples[row, dimension]:g}, "
            f"expected a whole number from 0 to {snapshots.states - 1} (data.states - 1), or state: real"
        )


def write_snapshots(path: str | Path, snapshots: Snapshots) -> None:
    """Write as NetCDF, whole or not at all; the same samples give the same bytes."""
    number, values, part = [], [], []
    for position in range(len(snapshots.times)):
        for index, name in enumerate(PARTS):
            samples = getattr(snapshots, name)[position]
            number.append(np.full(len(samples), position, np.int32))
            part.append(np.full(len(samples), index, np.int8))
            values.append(samples)
    stored = np.concatenate(values).astype(np.int32 if snapshots.counts else np.float64)
    dataset = xr.Dataset(
        {
            "x": (("sample", "dimension"), stored),
            "snapshot": (("sample",), np.concatenate(number)),
            "part": (("sample",), np.concatenate(part), {"flag_values": [0, 1], "flag_meanings": " ".join(PARTS)}),
            "observed": (("time",), snapshots.observed.astype(np.int8)),
        },
        {"time": ("time", snapshots.times, {"units": snapshots.time_unit} if snapshots.time_unit else {})},
        {
            "dimensions": list(snapshots.dimensions),
            "states": np.int32(-1 if snapshots.states is None else snapshots.states),
        },
    )
    if snapshots.masses is not None:
        dataset["mass"] = (("time",), snapshots.masses)
    dataset = with_loadings(dataset, snapshots.loadings)
    encoding = {name: {"_FillValue": None} for name in dataset.variables if dataset[name].dtype.kind not in "OU"}
    write_netcdf(dataset, path, encoding)


def read_snapshots(path: str | Path) -> Snapshots:
    """Read what :func:`write_snapshots` wrote.

    Raises:
        InputError: the file is missing, truncated or not of this form.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: found no such file, expected snapshots (NetCDF)")
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False, decode_timedelta=False) as dataset:
            values = dataset["x"].to_numpy().astype(np.float64)
            number, part = dataset["snapshot"].to_numpy(), dataset["part"].to_numpy()
            times = dataset["time"].to_numpy().astype(np.float64)
            observed = dataset["observed"].to_numpy().astype(bool)
            names = np.atleast_1d(dataset.attrs["dimensions"])
            states = int(dataset.attrs["states"])
            unit = str(dataset["time"].attrs.get("units", ""))
            loadings = loadings_of(dataset)
            masses = dataset["mass"].to_numpy().astype(np.float64) if "mass" in dataset else None
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}), expected snapshots written by weightcast") from None

    def of_part(index: int) -> tuple[NDArray[np.float64], ...]:
        return tuple(values[(number == position) & (part == index)] for position in range(len(times)))

    dimensions = tuple(str(name) for name in names)
    return Snapshots(
        times, observed, of_part(0), of_part(1), dimensions, None if states < 0 else states, unit, loadings, masses
    )


def with_loadings(dataset: xr.Dataset, loadings: Loadings | None) -> xr.Dataset:
    """Samples with the way back to genes beside them, if there is one."""
    if loadings is None:
        return dataset
    dataset["loadings"] = (("component", "gene"), loadings.components)
    dataset["centre"] = (("gene",), loadings.centre)
    return dataset.assign_coords(gene=list(loadings.genes))


def loadings_of(dataset: xr.Dataset) -> Loadings | None:
    """The way back to genes that :func:`with_loadings` wrote; None where there is none."""
    if "loadings" not in dataset:
        return None
    genes = tuple(str(name) for name in dataset["gene"].to_numpy())
    return Loadings(dataset["loadings"].to_numpy(), dataset["centre"].to_numpy(), genes)


def read_loadings(path: str | Path) -> Loadings | None:
    """The way back to genes that lies beside samples, of one system or of many environments.

    Raises:
        InputError: the file is missing or is no NetCDF file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: found no such file, expected snapshots (NetCDF)")
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False, decode_timedelta=False) as dataset:
            return loadings_of(dataset)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}), expected snapshots written by weightcast") from None
