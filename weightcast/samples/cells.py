"""Cells of a table as text files have them: how they are separated, and which cells are numbers."""

from __future__ import annotations

import csv
import gzip
import re
import warnings
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.samples import checks

Separator = Literal["comma", "semicolon", "tab"]
SEPARATORS: dict[Separator, str] = {"tab": "\t", "semicolon": ";", "comma": ","}
GZIP = b"\x1f\x8b"
FIRST_LINES = 20

_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
_SPACED = re.compile(r"[+-]?[1-9]\d{0,2}([ '\u00a0\u202f\u2019]\d{3})+([.,]\d*)?")


def recognised_separator(path: Path) -> Separator:
    """What splits the header and the first rows into the same number of cells, two at least; else commas.

    Raises:
        InputError: the file is no text, or is said to be compressed and is not.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == GZIP
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if compressed
            else path.open(encoding="utf-8-sig", newline="") as file
        ):
            lines = [line for line in (file.readline() for _ in range(FIRST_LINES)) if line.strip()]
    except UnicodeDecodeError:
        raise InputError(f"{path}: found bytes that are not UTF-8, expected a CSV table with a header") from None
    except (OSError, EOFError, zlib.error) as error:
        raise checks.unreadable(path, error, "a whole table, compressed by gzip or not") from None
    for name, separator in SEPARATORS.items():
        counts = {len(cells) for cells in csv.reader(lines, delimiter=separator)}
        if len(counts) == 1 and min(counts) > 1:
            return name
    return "comma"


def read_cells(path: Path, separator: Separator, as_text: bool = False) -> tuple[list[str], pd.DataFrame]:
    """The header, and a column of cells for each of its names, by number; the index counts lines from the second.

    Args:
        path: the file.
        separator: between cells.
        as_text: whether cells stay as they are written, so that 007 keeps its zeros, and empty lines are kept.

    Raises:
        InputError: the file cannot be read, has no rows, or rows have more cells than the header.
    """
    expected = f"a CSV table with a header, separated by {separator}s"
    with path.open("rb") as file:
        compression: Literal["gzip"] | None = "gzip" if file.read(2) == GZIP else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # given where cells beyond the header are dropped
            first = pd.read_csv(
                path,
                header=None,
                nrows=1,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                index_col=False,
                sep=SEPARATORS[separator],
                compression=compression,
            )
            rows = pd.read_csv(
                path,
                header=None,
                skiprows=1,
                names=range(first.shape[1]),
                index_col=False,
                skip_blank_lines=False,  # so that rows keep count of lines
                low_memory=False,
                encoding="utf-8-sig",
                dtype=str if as_text else None,
                keep_default_na=not as_text,
                sep=SEPARATORS[separator],
                compression=compression,
            )
    except UnicodeDecodeError:
        raise InputError(f"{path}: found bytes that are not UTF-8, expected {expected}") from None
    except pd.errors.ParserWarning:
        raise InputError(f"{path}: found rows with more cells than the header, expected {expected}") from None
    except (OSError, ValueError, EOFError, zlib.error) as error:  # what pandas raises for broken CSV is a ValueError
        raise checks.unreadable(path, error, expected) from None
    header = [str(name).strip() for name in first.iloc[0]]
    for position, name in enumerate(header):
        if name and name in header[:position]:
            raise InputError(f"{path}: line 1: found column {name!r} twice, expected every column once")
    rows = rows.fillna("") if as_text else rows.dropna(how="all")
    if rows.empty:
        raise InputError(f"{path}: found no row under the header, expected a row for each sample")
    return header, rows


def numbers_of(path: Path, name: str, column: pd.Series) -> NDArray[np.float64]:
    """Cells as numbers, NaN where they are none; True and False are none.

    Commas and spaces in numbers are read where they can mean one thing alone.

    Raises:
        InputError: commas may stand for decimals or for thousands.
    """
    if pd.api.types.is_bool_dtype(column):
        return np.full(len(column), np.nan)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    text = column[np.isnan(numbers) & column.notna().to_numpy()].astype(str).str.strip()
    if text.empty:
        return numbers
    grouped = text.map(lambda cell: _SPACED.fullmatch(cell) is not None)
    thousands = text.map(lambda cell: _THOUSANDS.fullmatch(cell) is not None)
    decimals = text.map(lambda cell: _DECIMAL_COMMA.fullmatch(cell) is not None)
    if grouped.all():
        read = text.str.replace(r"[ '\u00a0\u202f\u2019]", "", regex=True).str.replace(",", ".", regex=False)
    elif (thousands & ~decimals).any() and thousands.all():
        read = text.str.replace(",", "", regex=False)
    elif decimals.all() and not thousands.all():
        read = text.str.replace(",", ".", regex=False)
    elif thousands.all():
        raise InputError(
            f"{path}: column {name}: found {text.iloc[0]!r}, a comma for decimals or for thousands, expected numbers "
            "with a decimal point and without marks of thousands"
        )
    else:
        return numbers
    numbers = numbers.copy()
    numbers[column.index.get_indexer(text.index)] = read.astype(np.float64)
    return numbers
