"""What a table of a user's own says of its environments: numbers, and words that become numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weightcast.core.categories import is_category, parameters_of
from weightcast.core.environment_table import plain_number
from weightcast.core.errors import InputError
from weightcast.core.given_table import ID, ROLE, GivenTable, given_columns, read_given_table
from weightcast.core.names import listed
from weightcast.records.cell_numbers import is_missing, is_number
from weightcast.records.rows import split_unit

IDENTIFIERS = frozenset(
    {"id", "code", "number", "nr", "no", "index", "key", "wmo", "zip", "postcode", "objectid", "fid"}
)
"""Last words of columns whose whole numbers are names."""
NO_PARAMETERS = ["none"]
"""What is given for parameters where there are to be none."""


@dataclass(frozen=True)
class KnownPlaces:
    """A table of environments, or of places, matched with what there is data of.

    Attributes:
        given: the table; names of columns are without units, and numbers that are missing are empty.
        asked: the columns that are wanted as parameters; None: all that can be.
        renamed: whether names of columns had units.
    """

    given: GivenTable
    asked: tuple[str, ...] | None
    renamed: bool

    @classmethod
    def read(
        cls,
        path: Path,
        there: Collection[str],
        asked: Sequence[str] | None = None,
        marks: Sequence[str] = (),
    ) -> KnownPlaces:
        """Read a table.

        Args:
            path: of the file.
            there: ids of which there is data; empty: nobody knows.
            asked: columns that are wanted, with their units or without; None: all that can be.
            marks: of missing values, beside the usual ones.

        Raises:
            InputError: the file cannot be used, or lacks a column; the message names line and column.
        """
        given = read_given_table(path, there)
        plain = {name: split_unit(name)[0] for name in given.names}
        if len(set(plain.values())) < len(plain):
            raise InputError(
                f"{path}: found the columns {', '.join(given.names)}, expected names that differ without their units"
            )
        for name in asked or ():
            if split_unit(name)[0] not in plain.values():
                raise InputError(f"{path}: found no column {name!r} among {listed(given.names)}, expected it")
        cells: dict[str, dict[str, str]] = {id: {} for id in given.cells}
        for name in given.names:
            for id, cell in _column(given, name, frozenset(mark.lower() for mark in marks)).items():
                cells[id][plain[name]] = cell
        wanted = None if asked is None else tuple(split_unit(name)[0] for name in asked)
        renamed = tuple(plain) != tuple(plain.values())
        return cls(replace(given, cells=dict(cells), names=tuple(plain.values())), wanted, renamed)

    def parameters(self, ids: Sequence[str]) -> tuple[dict[str, dict[str, float]], list[str]]:
        """Parameters of environments by id, and what became of columns, in lines.

        A table with roles is one of environments: all of its columns are parameters. One without says things of places,
        of which those are parameters that can be: numbers that are known of all these places and differ between them,
        and words.

        Args:
            ids: of rows.

        Raises:
            InputError: a value is missing or cannot be used, and the column is asked for, or the table has roles.
        """
        given, lines, names = self.given, list[str](), list[str]()
        chosen = self.asked is None and given.roles is None
        for name in given.names if self.asked is None else self.asked:
            values = [given.cells[id][name] for id in ids]
            why = self._why_not(ids, name, values) if chosen else ""
            if why:
                lines.append(f"column {name}: {why}: left out")
                continue
            for id, value in zip(ids, values, strict=True):
                if value == "":
                    raise InputError(f"{given.where(id, name)}: found no value, expected a number or a category")
            names.append(name)
        try:
            found, said = parameters_of({id: given.cells[id] for id in ids}, names)
        except InputError as error:
            raise InputError(f"{given.path}: {error}") from None
        return found, [f"{given.path}: {line}" for line in (*lines, *said)]

    def _why_not(self, ids: Sequence[str], name: str, values: Sequence[str]) -> str:
        """Why a column is no parameter, in words."""
        empty = [id for id, value in zip(ids, values, strict=True) if value == ""]
        if empty:
            return f"no value of {listed(empty, 3)}"
        numbers = [plain_number(value) for value in values]
        if is_category(name, values) or not all(map(is_number, numbers)):
            return ""  # parameters_of says the rest
        if len({float(number) for number in numbers}) == 1:
            return f"{values[0]} everywhere"
        last = name.lower().replace("-", "_").replace(" ", "_").split("_")[-1]
        if last in IDENTIFIERS and all(number.isdecimal() for number in numbers):
            return "by its name numbers that are names (--parameters takes them)"
        return ""


def _column(given: GivenTable, name: str, marks: Collection[str]) -> dict[str, str]:
    """Cells of a column by id; among numbers those that stand for a missing one are empty, but none is a word among
    words."""
    cells = {id: row[name] for id, row in given.cells.items()}
    known = [cell for cell in cells.values() if not is_missing(cell, marks)]
    if is_category(name, known):
        return cells
    return {id: "" if is_missing(cell, marks) else cell for id, cell in cells.items()}


def columns_of_places(path: Path | None) -> Callable[[str], bool]:
    """Whether a name is that of a column of a table of places, with its unit or without."""
    if path is None:
        return lambda name: False
    there = [name for name in given_columns(path) if name not in (ID, ROLE)]
    known = {*there, *(split_unit(name)[0] for name in there)}
    return lambda name: name in known


def asked_columns(given: Sequence[str] | None, path: Path | None) -> list[str] | None:
    """Columns of a table of places that ``--parameters`` names; None where nothing is named."""
    of_places = columns_of_places(path)
    return None if given is None else [name for name in given if of_places(name)]
