"""Cells as numbers: marks of missing values, decimal commas, and which cell is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.records.cells import shown

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", ".", "..", "?", "missing"})
"""Cells that stand for a missing value, in small letters."""
Decimal = Literal[".", ","]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WITH_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


def is_number(cell: str, decimal: Decimal | None = None) -> bool:
    """Whether a cell is a finite number."""
    if decimal != "," and _NUMBER.fullmatch(cell):
        return True
    return decimal != "." and _WITH_COMMA.fullmatch(cell) is not None


def is_missing(cell: str, marks: Collection[str]) -> bool:
    """Whether a cell stands for a missing value; marks in small letters."""
    lower = cell.lower()
    return lower in MISSING or lower in marks


def recognised_decimal(columns: Sequence[Sequence[str]], where: Callable[[int, int], str]) -> Decimal:
    """The mark of decimals in columns of numbers.

    Args:
        columns: cells of each.
        where: says where a cell stands, by column and row.

    Raises:
        InputError: all commas may be marks of thousands as well.
    """
    first: tuple[int, int] | None = None
    certain = False
    for position, column in enumerate(columns):
        for row, cell in enumerate(column):
            if "," in cell:
                if _WITH_COMMA.fullmatch(cell) is None:
                    return "."
                first = first or (position, row)
                certain = certain or _THOUSANDS.fullmatch(cell) is None
            elif "." in cell and _NUMBER.fullmatch(cell):
                return "."
    if first is None:
        return "."
    if not certain:
        cell = columns[first[0]][first[1]]
        raise InputError(
            f"{where(*first)}: found {shown(cell)}, a comma for decimals or for thousands, expected --decimal , or the "
            "column without marks of thousands"
        )
    return ","


def numbers_of(
    cells: Sequence[str], decimal: Decimal, marks: Collection[str], where: Callable[[int], str]
) -> NDArray[np.float64]:
    """A column of numbers, NaN where a value is missing.

    Args:
        cells: text.
        decimal: mark of decimals.
        marks: of missing values, beside the usual ones, in small letters.
        where: says where a cell stands, by its row.

    Raises:
        InputError: a cell is neither a finite number nor a mark of a missing value.
    """
    codes, distinct = pd.factorize(np.array(cells, dtype=object))
    values = np.full(len(distinct), np.nan)
    numeric = {str(float(mark)) for mark in marks if _NUMBER.fullmatch(mark)}
    for position, cell in enumerate(distinct):
        if is_missing(cell, marks):
            continue
        number = cell.replace(",", ".") if decimal == "," and "." not in cell else cell
        if _NUMBER.fullmatch(number) is None or not np.isfinite(float(number)):
            raise InputError(
                f"{where(int(np.argmax(codes == position)))}: found {shown(cell)}, expected a number or an empty "
                "cell (--missing MARK names other marks of missing values)"
            )
        value = float(number)
        if str(value) not in numeric:
            values[position] = value
    return values[codes]
