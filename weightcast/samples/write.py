"""Samples of a distribution at several times, written as the file's name says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.core.files import written_whole
from weightcast.core.netcdf_file import write_netcdf
from weightcast.samples.record import Loadings
from weightcast.samples.write_h5ad import write_anndata


@dataclass(frozen=True)
class EvolvedSamples:
    """As many samples at each of some times.

    Attributes:
        times: float64 [time], in the data's unit.
        values: [time, sample, dimension].
        dimensions: names.
        extrapolated: whether a time lies after the last snapshot [time].
        said: what they were drawn from; goes into formats that have a place for it.
        environments: whose law each sample is of [sample]; none where there is one law alone.
        loadings: the way back from dimensions to genes, which AnnData files then hold.
        masses: size of the population at each time [time], in that at the first snapshot, if it is known.
        growth: growth rate at each sample [time, sample], by the data's unit of time, if it is known.
    """

    times: NDArray[np.float64]
    values: NDArray[Any]
    dimensions: Sequence[str]
    extrapolated: NDArray[np.bool_]
    said: Mapping[str, Any] = field(default_factory=dict)
    environments: Sequence[str] = ()
    loadings: Loadings | None = None
    masses: NDArray[np.float64] | None = None
    growth: NDArray[np.float64] | None = None

    def save(self, path: Path) -> None:
        """Write them; the file's name says how (:func:`check_format`).

        Raises:
            InputError: its name says no format that can be written, or a package is missing.
            OSError: it cannot be written.
        """
        check_format(path)
        WRITERS[path.suffix.lower()](self, path)

    @property
    def rows(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[Any]]:
        """Time and whether it is extrapolated [row], and values [row, dimension], time after time."""
        count = self.values.shape[1]
        values = self.values.reshape(-1, len(self.dimensions))
        return np.repeat(self.times, count), np.repeat(self.extrapolated, count), values

    @property
    def population_of_rows(self) -> dict[str, NDArray[np.float64]]:
        """Further columns, in the same order: ``mass``, what each sample stands for, so that those of a time sum up to
        the population's size; ``growth``. Those that are not known are left out; a dimension of such a name keeps
        it."""
        count = self.values.shape[1]
        columns = {} if self.masses is None else {"mass": np.repeat(self.masses / count, count)}
        if self.growth is not None:
            columns["growth"] = self.growth.reshape(-1)
        return {f"population_{name}" if name in self.dimensions else name: each for name, each in columns.items()}

    @property
    def environment_of_rows(self) -> NDArray[np.str_] | None:
        """The environment of each row, in the same order; None where there is one law alone."""
        return np.tile(np.array(list(self.environments)), len(self.times)) if self.environments else None


def check_format(path: Path) -> None:
    """Refuse a name that says no format that samples can be written in, before anything is computed.

    Raises:
        InputError: it does, or the format needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise InputError(f"{path}: found the ending {suffix or 'of no format'}, expected one of {', '.join(WRITERS)}")
    if suffix == ".h5ad":
        _h5py(path)


def _write_netcdf(samples: EvolvedSamples, path: Path) -> None:
    dataset = xr.Dataset(
        {
            "x": (("time", "sample", "dimension"), samples.values),
            "extrapolated": (("time",), samples.extrapolated.astype(np.int8)),
        },
        {"time": samples.times, "dimension": list(samples.dimensions)},
        dict(samples.said),
    )
    if samples.masses is not None:
        dataset["mass"] = (("time",), samples.masses)
    if samples.growth is not None:
        dataset["growth"] = (("time", "sample"), samples.growth)
    if samples.environments:
        dataset = dataset.assign_coords(environment=("sample", list(samples.environments)))
    write_netcdf(dataset, path, {})


def _write_table(samples: EvolvedSamples, path: Path) -> None:
    """A row for each sample: its time, its dimensions, whether it is extrapolated, what is known of the population."""
    times, extrapolated, values = samples.rows
    table = pd.DataFrame(values, columns=list(samples.dimensions))
    table.insert(0, "time", times)
    if samples.environments:
        table.insert(0, "environment", samples.environment_of_rows)
    for name, column in samples.population_of_rows.items():
        table[name] = column
    if samples.extrapolated.any():
        table["extrapolated"] = extrapolated
    with written_whole(path) as partial:
        table.to_csv(partial, index=False)


def _write_npz(samples: EvolvedSamples, path: Path) -> None:
    """Arrays `times` [time], `x` [time, sample, dimension], `dimensions`, `extrapolated` [time]; and `environments`
    [sample], where there are several; `mass` [time] and `growth` [time, sample], where they are known."""
    further: dict[str, Any] = {"environments": np.array(list(samples.environments))} if samples.environments else {}
    if samples.masses is not None:
        further["mass"] = samples.masses
    if samples.growth is not None:
        further["growth"] = samples.growth
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            times=samples.times,
            x=samples.values,
            dimensions=np.array(list(samples.dimensions)),
            extrapolated=samples.extrapolated,
            **further,
        )


def _write_h5ad(samples: EvolvedSamples, path: Path) -> None:
    """AnnData, by :mod:`weightcast.samples.write_h5ad`."""
    _h5py(path)
    times, extrapolated, values = samples.rows
    obs: dict[str, NDArray[Any]] = {"time": times, "extrapolated": extrapolated}
    if samples.environment_of_rows is not None:
        obs["environment"] = samples.environment_of_rows
    write_anndata(path, values, samples.dimensions, obs | samples.population_of_rows, samples.said, samples.loadings)


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: AnnData files need the package h5py: {how_to_install('anndata')}") from None
    return h5py


WRITERS: dict[str, Callable[[EvolvedSamples, Path], None]] = {
    ".nc": _write_netcdf,
    ".csv": _write_table,
    ".npz": _write_npz,
    ".h5ad": _write_h5ad,
}
"""By the ending of a file's name."""
