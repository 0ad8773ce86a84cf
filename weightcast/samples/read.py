"""Reading a file of samples, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weightcast.samples.checks import check_file
from weightcast.samples.h5ad import read_h5ad
from weightcast.samples.netcdf import read_netcdf
from weightcast.samples.npy import read_npy
from weightcast.samples.npz import read_npz
from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import SampleFormat, SnapshotSettings
from weightcast.samples.snapshots import Snapshots
from weightcast.samples.split import split_snapshots
from weightcast.samples.table import read_table

Reader = Callable[[Path, Mapping[str, Any], Sequence[str] | None], TimedSamples]

READERS: dict[SampleFormat, Reader] = {
    "npy": read_npy,
    "csv": read_table,
    "npz": read_npz,
    "h5ad": read_h5ad,
    "netcdf": read_netcdf,
}


def read_samples(
    path: str | Path, format: SampleFormat, settings: Mapping[str, Any], dimensions: Sequence[str] | None = None
) -> TimedSamples:
    """Read samples at several times.

    Args:
        path: the file.
        format: of the file.
        settings: ``data.settings`` of a configuration: how to read this format; see its reader.
        dimensions: names of the dimensions; of a CSV table its columns to use. None: as the file has them.

    Raises:
        InputError: the file is missing or cannot be used; one line that says where it is wrong.
    """
    path = Path(path)
    check_file(path)
    return READERS[format](path, settings, dimensions)


def import_snapshots(data: SnapshotSettings, seed: int) -> Snapshots:
    """Read the file that a configuration names, and split it.

    Args:
        data: of a study with a file of its own.
        seed: of the study.

    Raises:
        InputError: the file is missing or cannot be used.
    """
    assert data.imported and data.file is not None  # parse_time_study has seen to it
    format: Any = data.source
    samples = read_samples(data.file, format, data.settings, data.dimensions)
    return split_snapshots(samples.whitened() if data.whitened else samples, data, seed)
