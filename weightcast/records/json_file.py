"""Tables in JSON: a list of rows, a row a line, a table by columns, or one matrix of numbers with its places' names."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from weightcast.core.errors import InputError
from weightcast.records.cells import Cells
from weightcast.records.text import decoded, file_bytes

EXPECTED = (
    "a list of rows {column: value}, an object {column: [values]}, or an object with one matrix [time][place] of "
    "numbers and an object or list of the places' names"
)


def read_json_table(file: Path, lines: bool = False) -> Cells:
    """Read a table; where ``lines``, a file with a row {column: value} in each line.

    A matrix may lie beside others in the object, such as the edges of a graph: it is the one that has a column for each
    name, or else the largest. Where it has a row for each name, and not a column, rows are places.

    Raises:
        InputError: the file is no JSON, or holds no table.
    """
    text, notes = decoded(file, file_bytes(file), None)
    try:
        content = [json.loads(line) for line in text.splitlines() if line.strip()] if lines else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: cannot be read ({error}), expected JSON: {EXPECTED}") from None
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        header = tuple(dict.fromkeys(name for row in content for name in row))
        rows = [[_text(file, row.get(name)) for name in header] for row in content]
        return Cells(file, header, rows, np.arange(2, len(rows) + 2), tuple(notes))
    if isinstance(content, list):
        content = {"the list": content}
    if not isinstance(content, dict):
        raise InputError(f"{file}: found no table, expected {EXPECTED}")
    matrices = {name: value for name, value in content.items() if _is_matrix(value)}
    if matrices:
        return _matrix(file, content, matrices, notes)
    columns = {name: value for name, value in content.items() if isinstance(value, list)}
    lengths = {len(value) for value in columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"{file}: found no table among {', '.join(content) or 'nothing'}, expected {EXPECTED}")
    rows = [[_text(file, cell) for cell in row] for row in zip(*columns.values(), strict=True)]
    return Cells(file, tuple(columns), rows, np.arange(2, len(rows) + 2), tuple(notes))


def _matrix(file: Path, content: dict[str, Any], matrices: dict[str, list[list[Any]]], notes: list[str]) -> Cells:
    names = _names(content)
    chosen = [name for name, rows in matrices.items() if names and len(names) in (len(rows[0]), len(rows))]
    by_size = sorted(chosen or matrices, key=lambda name: len(matrices[name]) * len(matrices[name][0]), reverse=True)
    rows = matrices[by_size[0]]
    if names and len(names) == len(rows) != len(rows[0]):
        rows = [list(column) for column in zip(*rows, strict=True)]
    elif names and len(names) != len(rows[0]):
        names = []
    others = [name for name in content if name != by_size[0]]
    notes = [
        *notes,
        f"{file}: read the matrix {by_size[0]!r}, {len(rows)} rows (times) of {len(rows[0])} columns (places)"
        + (f"; found beside it, and not used as records: {', '.join(others)}" if others else ""),
    ]
    text = [[_text(file, cell) for cell in row] for row in rows]
    return Cells(file, tuple(names) or None, text, np.arange(1, len(rows) + 1), tuple(notes))


def _names(content: dict[str, Any]) -> list[str]:
    """Names of places: the keys of an object that numbers them from 0, or a list of text."""
    for value in content.values():
        if (
            isinstance(value, dict)
            and value
            and sorted(map(str, value.values())) == sorted(map(str, range(len(value))))
        ):
            return sorted(value, key=lambda name: int(value[name]))
        if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
            return [str(name) for name in value]
    return []


def _is_matrix(value: Any) -> bool:
    """Whether a value is a list of lists of numbers, of equal lengths."""
    if not (isinstance(value, list) and value and all(isinstance(row, list) and row for row in value)):
        return False
    return len({len(row) for row in value}) == 1 and all(_is_number(cell) for row in value for cell in row)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _text(file: Path, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value.strip()
    if _is_number(value):
        return repr(value)
    if isinstance(value, bool):  # yes and no are numbers, as in a computer
        return str(int(value))
    if isinstance(value, Decimal):
        return "" if value.is_nan() else f"{value:f}"
    raise InputError(f"{file}: found {str(value)[:60]!r} in a cell, expected numbers and text: {EXPECTED}")


def cells_of_columns(file: Path, columns: Sequence[tuple[str, Sequence[Any]]]) -> Cells:
    """A table of columns of Python values, as text."""
    rows = [[_text(file, cell) for cell in row] for row in zip(*(column for _, column in columns), strict=True)]
    if not rows:
        raise InputError(f"{file}: found no row, expected a row for each time")
    return Cells(file, tuple(name for name, _ in columns), rows, np.arange(2, len(rows) + 2))
