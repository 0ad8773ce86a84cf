"""Cells of a table as text, with the row that each came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.names import listed

SHOWN_CHARACTERS = 60


@dataclass(frozen=True, eq=False)
class Cells:
    """A table as it stands in a file.

    Attributes:
        file: where it was read.
        header: name of each column, without the spaces around it; None where the file has none.
        rows: the cells of each row, as many as there are columns, without the spaces around them.
        numbers: number of each row as a spreadsheet counts: the header is row 1.
        notes: what was recognised and is not plain, a sentence each.
    """

    file: Path
    header: tuple[str, ...] | None
    rows: Sequence[Sequence[str]]
    numbers: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return len(self.header) if self.header is not None else len(self.rows[0])

    def position(self, name: str, option: str) -> int:
        """The number of a column.

        Raises:
            InputError: there is none of this name; the message says what there is.
        """
        if self.header is None:
            raise InputError(f"{self.file}: found no header, expected one with the column {name!r} ({option})")
        if name in self.header:
            return self.header.index(name)
        raise InputError(f"{self.file}: found no column {name!r} ({option}), expected one of {listed(self.header)}")

    def column(self, position: int) -> list[str]:
        """The cells of a column."""
        return [row[position] for row in self.rows]

    def where(self, row: int, column: str) -> str:
        """Where a cell stands, for messages; rows are counted from 0 here."""
        return f"{self.file}: row {self.numbers[row]}, column {column}"


def shown(cell: str) -> str:
    """A cell for a message, cut where it is long."""
    return repr(cell if len(cell) <= SHOWN_CHARACTERS else f"{cell[:SHOWN_CHARACTERS]}...")


def check_header(file: Path, header: Sequence[str], row: int = 1) -> None:
    """Raise an `InputError` where two columns have one name; columns without a name do not count."""
    for position, name in enumerate(header):
        if name and name in header[:position]:
            raise InputError(f"{file}: row {row}: found the column {name!r} twice, expected every column once")
