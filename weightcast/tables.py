"""The CSV tables of a study's results: read with checks, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from weightcast.errors import InputError
from weightcast.statistics import COST_COLUMNS, SUMMARY_COLUMNS

_NAMES = frozenset(
    {"study", "method", "split", "environment", "metric", "role", "id", "stage", "artifact", "space", "base", "member"}
)


def read_metrics(path: Path) -> pd.DataFrame:
    """metrics.csv: a row a number; ``horizon`` in frames, ``seed`` an integer, ``value`` possibly infinite.

    Raises:
        InputError: as for ``read_table``; also when the table has no rows.
    """
    metrics = read_table(path, ("study", "method", "split", "environment", "seed", "horizon", "metric", "value"))
    if metrics.empty:
        raise InputError(f"{path}: found no rows, expected one or more")
    for column in ("seed", "horizon"):
        if (metrics[column] % 1 != 0).any():
            odd = metrics[column][metrics[column] % 1 != 0].iloc[0]
            raise InputError(f"{path}: {column}: found {odd}, expected an integer")
    return metrics.astype({"seed": int, "horizon": int})


def read_method_costs(path: Path) -> pd.DataFrame:
    """method_costs.csv: method, parameters, train_seconds, adapt_seconds (per new environment); a row a method."""
    return read_table(path, ("method", *COST_COLUMNS))


def read_summary(path: Path) -> pd.DataFrame:
    """summary.csv, as ``weightcast.statistics.summarise`` makes it."""
    return read_table(path, SUMMARY_COLUMNS)


def read_environments(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of environments (id, role, parameters) and the names of its numeric parameters, in file order."""
    table = read_table(path, ("id", "role"), others=True)
    numeric = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name])]
    return table, numeric


def read_table(path: Path, columns: Sequence[str], *, others: bool = False) -> pd.DataFrame:
    """Read a CSV table whose columns are known.

    Columns that hold names (method, environment, role and the like) are read as text, so that an id ``007`` keeps its
    zeros and a region ``NA`` its name; all other expected columns must be numeric.

    Args:
        path: of the file.
        columns: expected, in any order.
        others: whether further columns are allowed.

    Raises:
        InputError: the file is missing, is no CSV table, lacks or exceeds the columns, or a number is none.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=["", "nan", "NaN"])
    except FileNotFoundError:
        raise InputError(f"{path}: file not found, expected a table with columns {', '.join(columns)}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table ({str(error).splitlines()[0]})") from None
    found = list(table.columns)
    if not set(columns) <= set(found) or not (others or set(found) <= set(columns)):
        raise InputError(f"{path}: columns: found {', '.join(found)}, expected {', '.join(columns)}")
    for column in set(columns) - _NAMES:
        if not pd.api.types.is_numeric_dtype(table[column]):
            wrong = table[column][pd.to_numeric(table[column], errors="coerce").isna()].iloc[0]
            raise InputError(f"{path}: {column}: found '{wrong}', expected a number")
    return table if others else table[list(columns)]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, atomically."""
    write_whole(table.to_csv(index=False).encode(), path)


def write_whole(content: bytes, path: Path) -> None:
    """Write a file under a temporary name beside it, then rename: a reader sees the old file or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
