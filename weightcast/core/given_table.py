"""A table of environments as a user has it: parameters may be text, and nothing may be said of roles."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from weightcast.core.categories import Cells
from weightcast.core.environment_table import ROLES, Role, read_lines
from weightcast.core.errors import InputError
from weightcast.core.names import check_name, listed
from weightcast.core.place_names import called_alike

ID, ROLE = "id", "role"
SHOWN = 5


@dataclass(frozen=True)
class GivenTable:
    """A table of environments as a user has it.

    Attributes:
        path: of the file.
        cells: of each environment by id, those of the parameters.
        roles: by id; None where the table has none.
        names: of the parameters.
        column: says which environment a row is.
        numbers: of the lines, by id.
        matched: ids of which there is data.
        absent: what rows are called that are not used, since there is no data of them.
        as_is: whether ids are those of the file, and all of them.
    """

    path: Path
    cells: dict[str, Cells]
    roles: dict[str, Role] | None
    names: tuple[str, ...]
    column: str = ID
    numbers: dict[str, int] | None = None
    matched: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    as_is: bool = True

    def where(self, id: str, name: str) -> str:
        """Where a cell stands, for messages."""
        line = f"line {self.numbers[id]}, " if self.numbers else ""
        return f"{self.path}: {line}column {name}"

    def check_whole(self) -> GivenTable:
        """The same.

        Raises:
            InputError: a cell is empty.
        """
        for id, row in self.cells.items():
            empty = next((name for name in self.names if row[name] == ""), None)
            if empty is not None:
                raise InputError(f"{self.where(id, empty)}: found no value, expected a number or a category")
        return self


def given_columns(path: Path) -> list[str]:
    """Names of the columns of a table.

    Raises:
        InputError: the file cannot be read, or is empty.
    """
    return _header(path, read_lines(path))[1]


def read_given_table(path: Path, there: Collection[str] = ()) -> GivenTable:
    """Read a table with a column of ids, a column ``role`` or none, and a column for each parameter.

    Ids stand in the column ``id``, and are taken as they are. Where environments are known, by their files or records,
    rows are found by what these are called (:func:`weightcast.core.place_names.called_alike`), in whichever column
    names most of them, and get their ids. A table without roles then says what is known of places, whichever these are:
    its rows of others do not count. Rows of a table with roles all do: it says which environments there are.

    Cells may be empty.

    Args:
        path: of the file.
        there: ids of which there is data; empty: nobody knows.

    Raises:
        InputError: the file cannot be read, or lacks ids; the message names line and column.
    """
    lines = read_lines(path)
    number, header = _header(path, lines)
    rows = lines[1:]
    for number, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}: line {number}: found {len(row)} cells, expected {len(header)} as in the header")
    column, known = _column_of_ids(path, header, [row for _, row in rows], there)
    place = header.index(column)
    names = tuple(name for name in header if name not in (column, ROLE))
    cells: dict[str, Cells] = {}
    roles: dict[str, Role] = {}
    numbers: dict[str, int] = {}
    absent: list[str] = []
    same: set[str] = set()
    for number, row in rows:
        found = row[place]
        if known and found not in known and ROLE not in header:
            absent.append(found)
            continue
        of_row = dict(zip(header, row, strict=True))
        id = known[found] if found in known else check_name(found, f"line {number}, column {column}", path)
        if id.casefold() in same:
            raise InputError(
                f"{path}: line {number}, column {column}: found {found!r} again, expected every id once (upper and "
                "lower case are the same)"
            )
        same.add(id.casefold())
        role = next((role for role in ROLES if role == of_row.get(ROLE)), None)
        if role is not None:
            roles[id] = role
        elif ROLE in header:
            raise InputError(
                f"{path}: line {number}, column role: found {of_row[ROLE]!r}, expected one of {', '.join(ROLES)}"
            )
        cells[id], numbers[id] = {name: of_row[name] for name in names}, number
    matched = tuple(id for id in cells if id in known.values())
    as_is = column == ID and not absent and all(name == id for name, id in known.items())
    return GivenTable(
        path, cells, roles if ROLE in header else None, names, column, numbers, matched, tuple(absent), as_is
    )


def _header(path: Path, lines: Sequence[tuple[int, list[str]]]) -> tuple[int, list[str]]:
    """Number and cells of the first line."""
    if not lines:
        raise InputError(f"{path}: found an empty file, expected a header with a column id")
    return lines[0]


def _column_of_ids(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], there: Collection[str]
) -> tuple[str, dict[str, str]]:
    """The column that says which environment a row is, and the ids of its cells that name one which is there."""
    found = f"{path}: found the columns {listed(header)}"
    if len(set(header)) < len(header):
        raise InputError(f"{found}, expected each once")
    named = {name: called_alike([row[place] for row in rows], there) for place, name in enumerate(header)}
    best = max(header, key=lambda name: (len(named[name]), name == ID))
    if not named[best] and ID not in header:
        what = f"one that names {listed(sorted(there), SHOWN)}, as data is called" if there else "one called id"
        raise InputError(f"{found}, expected {what}")
    return (best, named[best]) if named[best] else (ID, {})
