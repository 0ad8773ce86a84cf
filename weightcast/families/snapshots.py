"""Samples of many environments at a number of times each, in memory and on disk."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.netcdf_file import write_netcdf
from weightcast.samples.record import Loadings
from weightcast.samples.snapshots import loadings_of, with_loadings

Samples = NDArray[np.float64]
PARTS = ("train", "held_out")


@dataclass(frozen=True)
class EnvironmentSnapshots:
    """Samples of one environment, apart for training (or to be shown) and for evaluation.

    Attributes:
        times: [time], increasing, in the data's own unit.
        observed: [time] bool: which of them are snapshots that training, or a case of the evaluation, may see.
        train: for each time, samples [sample, dimension], float64.
        held_out: the same of samples that only the evaluation sees.
        trajectories: whether row k is the same trajectory at every time, so that samples of two times are independent
            where their rows differ.
        masses: size of the population at each time [time], in any unit; None where nothing is known of it.
    """

    times: NDArray[np.float64]
    observed: NDArray[np.bool_]
    train: tuple[Samples, ...]
    held_out: tuple[Samples, ...]
    trajectories: bool
    masses: NDArray[np.float64] | None = None

    def mass_at(self, times: Iterable[float]) -> dict[float, float]:
        """Sizes of the population by time, of those of these times that are there; none where none are known."""
        places = [(float(time), self.position(time)) for time in times]
        return {} if self.masses is None else {time: float(self.masses[at]) for time, at in places if at is not None}

    def position(self, time: float) -> int | None:
        """The position of a time, or None where there is none."""
        near = np.flatnonzero(np.isclose(self.times, time, rtol=1e-9, atol=1e-12))
        return int(near[0]) if near.size else None


@dataclass(frozen=True)
class FamilySnapshots:
    """Samples of all environments of a study, each at times of its own.

    Attributes:
        environments: by id.
        dimensions: names of the dimensions of the state.
        states: for counts, every dimension is one of 0 to states - 1; None for a real state.
        time_unit: as the data names it, or empty.
        loadings: the way back to genes, where dimensions are principal components.
    """

    environments: Mapping[str, EnvironmentSnapshots]
    dimensions: tuple[str, ...]
    states: int | None
    time_unit: str = ""
    loadings: Loadings | None = None

    @property
    def has_masses(self) -> bool:
        """Whether the sizes of all populations are known."""
        return all(one.masses is not None for one in self.environments.values())

    def seen(self, ids: Iterable[str]) -> list[Samples]:
        """What training sees of some environments: samples of each observed snapshot [sample, dimension]."""
        chosen = [self.environments[id] for id in ids]
        return [one.train[position] for one in chosen for position in np.flatnonzero(one.observed)]

    @property
    def digest(self) -> str:
        """Digest of all samples and of what is observed, not of the bytes of a file."""
        total = hashlib.sha256()
        for id, one in self.environments.items():
            total.update(id.encode())
            masses = () if one.masses is None else (one.masses,)
            for array in (one.times, one.observed, *one.train, *one.held_out, *masses):
                total.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write as NetCDF, whole or not at all; the same samples give the same bytes.

        Samples are rows of one long array; ``snapshot`` counts the pairs of an environment and a time.
        """
        owner: list[int] = []
        times: list[float] = []
        observed: list[bool] = []
        number, part, values = [], [], []
        for index, one in enumerate(self.environments.values()):
            for position, time in enumerate(one.times):
                for of_part, name in enumerate(PARTS):
                    samples = getattr(one, name)[position]
                    number.append(np.full(len(samples), len(times), np.int32))
                    part.append(np.full(len(samples), of_part, np.int8))
                    values.append(samples)
                owner.append(index)
                times.append(float(time))
                observed.append(bool(one.observed[position]))
        stored = np.concatenate(values).astype(np.float64 if self.states is None else np.int32)
        dataset = xr.Dataset(
            {
                "x": (("sample", "dimension"), stored),
                "of_snapshot": (("sample",), np.concatenate(number)),
                "part": (("sample",), np.concatenate(part), {"flag_values": [0, 1], "flag_meanings": " ".join(PARTS)}),
                "environment": (("snapshot",), np.array(owner, np.int32)),
                "time": (("snapshot",), np.array(times), {"units": self.time_unit} if self.time_unit else {}),
                "observed": (("snapshot",), np.array(observed, np.int8)),
                "trajectories": (
                    ("id",),
                    np.array([one.trajectories for one in self.environments.values()], np.int8),
                ),
            },
            {"id": list(self.environments)},
            {"dimensions": list(self.dimensions), "states": np.int32(-1 if self.states is None else self.states)},
        )
        if self.has_masses:
            masses = [one.masses for one in self.environments.values() if one.masses is not None]
            dataset["mass"] = (("snapshot",), np.concatenate(masses))
        dataset = with_loadings(dataset, self.loadings)
        encoding: dict[str, dict[str, object]] = {
            str(name): {"_FillValue": None} for name in dataset.variables if name not in ("id", "gene")
        }
        encoding["x"] |= {"zlib": True, "complevel": 4}
        write_netcdf(dataset, path, encoding)

    @classmethod
    def load(cls, path: str | Path) -> FamilySnapshots:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, truncated or not of this form.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: found no such file, expected snapshots (NetCDF)")
        try:
            with xr.open_dataset(path, engine="netcdf4", decode_times=False, decode_timedelta=False) as dataset:
                values = dataset["x"].to_numpy().astype(np.float64)
                number, part = dataset["of_snapshot"].to_numpy(), dataset["part"].to_numpy()
                owner, times = dataset["environment"].to_numpy(), dataset["time"].to_numpy().astype(np.float64)
                observed = dataset["observed"].to_numpy().astype(bool)
                trajectories = dataset["trajectories"].to_numpy().astype(bool)
                ids = [str(id) for id in dataset["id"].to_numpy()]
                names = np.atleast_1d(dataset.attrs["dimensions"])
                states = int(dataset.attrs["states"])
                unit = str(dataset["time"].attrs.get("units", ""))
                loadings = loadings_of(dataset)
                masses = dataset["mass"].to_numpy().astype(np.float64) if "mass" in dataset else None
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: cannot be read ({reason}), expected snapshots written by weightcast") from None
        # Rows lie in order, so that each snapshot's are a slice of those of its part.
        parts = []
        for index in range(len(PARTS)):
            ends = np.searchsorted(number[part == index], np.arange(len(times) + 1))
            rows = values[part == index]
            parts.append([rows[first:last] for first, last in itertools.pairwise(ends)])
        environments = {}
        for index, id in enumerate(ids):
            own = np.flatnonzero(owner == index)
            train, held_out = (tuple(of_part[place] for place in own) for of_part in parts)
            environments[id] = EnvironmentSnapshots(
                times[own],
                observed[own],
                train,
                held_out,
                bool(trajectories[index]),
                None if masses is None else masses[own],
            )
        return cls(environments, tuple(str(name) for name in names), None if states < 0 else states, unit, loadings)
