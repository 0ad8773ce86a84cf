"""Samples of a distribution at several times, written as the file's name says."""

from __future__ import annotations

import re
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

_NUMBERED = re.compile(r"(?P<of>\w+)_\d+")


@dataclass(frozen=True)
class EvolvedSamples:
    """As many samples at each of some times.

    Attributes:
        times: float64 [time], in the data's unit.
        values: [time, sample, dimension].
        dimensions: names.
        extrapolated: whether a time lies after the last snapshot [time].
        said: what they were drawn from; goes into formats that have a place for it.
    """

    times: NDArray[np.float64]
    values: NDArray[Any]
    dimensions: Sequence[str]
    extrapolated: NDArray[np.bool_]
    said: Mapping[str, Any] = field(default_factory=dict)

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
    write_netcdf(dataset, path, {})


def _write_table(samples: EvolvedSamples, path: Path) -> None:
    """A row for each sample: its time, its dimensions, whether it is extrapolated."""
    times, extrapolated, values = samples.rows
    table = pd.DataFrame(values, columns=list(samples.dimensions))
    table.insert(0, "time", times)
    if samples.extrapolated.any():
        table["extrapolated"] = extrapolated
    with written_whole(path) as partial:
        table.to_csv(partial, index=False)


def _write_npz(samples: EvolvedSamples, path: Path) -> None:
    """Arrays `times` [time], `x` [time, sample, dimension], `dimensions`, `extrapolated` [time]."""
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            times=samples.times,
            x=samples.values,
            dimensions=np.array(list(samples.dimensions)),
            extrapolated=samples.extrapolated,
        )


def _write_h5ad(samples: EvolvedSamples, path: Path) -> None:
    """AnnData: a cell for each sample, its time in obs, its coordinates as X and, for plots and for reading them again,
    in obsm, as `X_pca` where dimensions are called pca_0, pca_1, ..., else as `X_state`.

    Written as AnnData 0.8 and later read it, without that package (the format is stated in its documentation, "on-disk
    format").
    """
    h5py = _h5py(path)
    times, extrapolated, values = samples.rows
    matches = [_NUMBERED.fullmatch(name) for name in samples.dimensions]
    common = {match["of"] for match in matches if match} if all(matches) else set()
    representation = f"X_{common.pop()}" if len(common) == 1 else "X_state"
    with written_whole(path) as partial, h5py.File(partial, "w") as file:

        def group(name: str, kind: str, version: str) -> Any:
            made = file.require_group(name)
            made.attrs.update({"encoding-type": kind, "encoding-version": version})
            return made

        def array(place: Any, name: str, data: NDArray[Any]) -> None:
            text = data.dtype.kind == "U"
            made = place.create_dataset(
                name, data=data.astype(object) if text else data, dtype=h5py.string_dtype() if text else data.dtype
            )
            made.attrs.update({"encoding-type": "string-array" if text else "array", "encoding-version": "0.2.0"})

        def table(name: str, index: NDArray[Any], columns: Mapping[str, NDArray[Any]]) -> None:
            made = group(name, "dataframe", "0.2.0")
            made.attrs["_index"] = "_index"
            made.attrs.create("column-order", list(columns), dtype=h5py.string_dtype(), shape=(len(columns),))
            array(made, "_index", index)
            for column, data in columns.items():
                array(made, column, data)

        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        array(file, "X", values)
        table("obs", np.arange(len(values)).astype(str), {"time": times, "extrapolated": extrapolated})
        table("var", np.array(list(samples.dimensions)), {})
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            group(name, "dict", "0.1.0")
        array(file["obsm"], representation, values)
        for name, value in samples.said.items():
            array(file["uns"], name, np.asarray(value))


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
