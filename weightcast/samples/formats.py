"""Which format a file of samples has."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.samples.checks import check_file
from weightcast.samples.settings import SampleFormat

SUFFIXES: dict[str, SampleFormat] = {
    ".npy": "npy",
    ".csv": "csv",
    ".tsv": "csv",
    ".npz": "npz",
    ".h5ad": "h5ad",
    ".nc": "netcdf",
    ".nc4": "netcdf",
    ".cdf": "netcdf",
}
# What files begin with, and which formats that can be.
COMPRESSED = ".gz"
"""May follow the ending of a table."""
_BEGINNINGS: dict[bytes, tuple[str, tuple[SampleFormat, ...]]] = {
    b"\x93NUMPY": ("a NumPy array", ("npy",)),
    b"PK\x03\x04": ("a ZIP archive", ("npz",)),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file", ("h5ad", "netcdf")),
    b"CDF\x01": ("a NetCDF file", ("netcdf",)),
    b"CDF\x02": ("a NetCDF file", ("netcdf",)),
    b"CDF\x05": ("a NetCDF file", ("netcdf",)),
    b"\x1f\x8b": ("a gzip file", ()),
}


def recognise(path: str | Path) -> SampleFormat:
    """The format of a file, by the end of its name and by its first bytes, which must agree.

    Raises:
        InputError: there is no such file, or it is of no format that can be read.
    """
    path = Path(path)
    check_file(path)
    with path.open("rb") as file:
        beginning = file.read(8)
    found, possible = next(
        (known for start, known in _BEGINNINGS.items() if beginning.startswith(start)), ("something else", ())
    )
    if path.suffix.lower() == COMPRESSED:
        inner = SUFFIXES.get(path.with_suffix("").suffix.lower())
        if inner != "csv" or found != "a gzip file":
            raise InputError(
                f"{path}: found {found}, and this name, expected a table compressed by gzip, .csv.gz or .tsv.gz"
            )
        return inner
    named = SUFFIXES.get(path.suffix.lower())
    if named is None:
        if len(possible) == 1:
            return possible[0]
        expected = " or ".join(suffix for suffix, format in SUFFIXES.items() if format in possible)
        raise InputError(
            f"{path}: found {found}, and a name that does not say its format, expected one that ends in "
            f"{expected or ', '.join(SUFFIXES)}"
        )
    if (possible or (("csv",) if found == "something else" else ())) != (named,) and named not in possible:
        raise InputError(f"{path}: found {found} inside, expected {named} as the file's name says")
    return named
