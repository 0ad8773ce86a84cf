"""Which files a table lies in. Only light modules are imported: Snakemake reads this file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weightcast.core.errors import InputError

TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".dat")
NETCDF = (".nc", ".nc4", ".h5")
JSON_LINES = (".jsonl", ".ndjson")
"""Files with a row in each line."""
JSON = (".json", *JSON_LINES)
SUFFIXES = (*TEXT_SUFFIXES, *JSON, ".parquet", *NETCDF)
"""Of tables; those of text and JSON may be followed by ``.gz``."""
SPREADSHEETS = (".xlsx", ".xls", ".ods")


def suffix_of(path: Path) -> str:
    """What a file's name ends in, in small letters, without ``.gz``."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def stem_of(path: Path) -> str:
    """The name of a file without ``.gz`` and the suffix before it; of a folder its name."""
    if path.is_dir():
        return path.name
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem


def is_table(path: Path) -> bool:
    """Whether a path is meant as a table: a file with such a suffix, or a folder that holds some beside no arrays.

    A folder of NetCDF files or arrays is one of an environment each, whose trajectories are cut already.
    """
    if path.is_dir():
        arrays = any(inside.suffix in (*NETCDF, ".npy", ".npz") for inside in path.iterdir())
        return not arrays and bool(_tables_in(path)) and not any(path.glob("*/*.npy"))
    return suffix_of(path) in (*SUFFIXES, *SPREADSHEETS)


def table_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files of a table, those of folders in the order of their names.

    Raises:
        InputError: one is missing, is no table by its name, or is named twice; a folder holds none.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = _tables_in(path)
            if not inside:
                raise InputError(f"{path}: found no table in the folder, expected files {', '.join(TEXT_SUFFIXES)}")
            found += inside
        elif not path.exists():
            raise InputError(f"{path}: found no such file, expected a table: {', '.join(SUFFIXES)}")
        elif suffix_of(path) in SPREADSHEETS:
            raise InputError(f"{path}: found a spreadsheet, expected a table saved as CSV")
        elif suffix_of(path) not in SUFFIXES:
            raise InputError(f"{path}: found another kind of file, expected a table: {', '.join(SUFFIXES)}")
        else:
            found.append(path)
    for position, path in enumerate(found):
        if path in found[:position]:
            raise InputError(f"{path}: found twice among the files of the table, expected it once")
    return found


def _tables_in(folder: Path) -> list[Path]:
    inside = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    texts = [path for path in inside if suffix_of(path) in (*TEXT_SUFFIXES, *JSON, ".parquet")]
    return texts or [path for path in inside if suffix_of(path) in NETCDF]
