"""A table of environments as a user has it: parameters may be text, and nothing may be said of roles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weightcast.core.categories import Cells
from weightcast.core.environment_table import ROLES, Role, read_lines
from weightcast.core.errors import InputError
from weightcast.core.names import check_name, listed


@dataclass(frozen=True)
class GivenTable:
    """A table of environments as a user has it.

    Attributes:
        path: of the file.
        cells: of each environment by id, those of the parameters.
        roles: by id; None where the table has none.
        names: of the parameters.
    """

    path: Path
    cells: dict[str, Cells]
    roles: dict[str, Role] | None
    names: tuple[str, ...]


def read_given_table(path: Path) -> GivenTable:
    """Read a table with a column ``id``, a column ``role`` or none, and a column for each parameter.

    Raises:
        InputError: the file cannot be read, or lacks ids; the message names line and column.
    """
    lines = read_lines(path)
    if not lines:
        raise InputError(f"{path}: found an empty file, expected a header with a column id")
    number, header = lines[0]
    if "id" not in header or len(set(header)) < len(header):
        raise InputError(f"{path}: line {number}: found the columns {listed(header)}, expected each once, and one id")
    names = tuple(name for name in header if name not in ("id", "role"))
    cells: dict[str, Cells] = {}
    roles: dict[str, Role] = {}
    same: set[str] = set()
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise InputError(f"{path}: line {number}: found {len(row)} cells, expected {len(header)} as in the header")
        of_row = dict(zip(header, row, strict=True))
        id = check_name(of_row["id"], f"line {number}, column id", path)
        if id.casefold() in same:
            raise InputError(
                f"{path}: line {number}, column id: found {id!r} again, expected every id once (upper and lower case "
                "are the same)"
            )
        same.add(id.casefold())
        role = next((role for role in ROLES if role == of_row.get("role")), None)
        if role is not None:
            roles[id] = role
        elif "role" in header:
            raise InputError(
                f"{path}: line {number}, column role: found {of_row['role']!r}, expected one of {', '.join(ROLES)}"
            )
        empty = next((name for name in names if of_row[name] == ""), None)
        if empty is not None:
            raise InputError(f"{path}: line {number}, column {empty}: found no value, expected a number or a category")
        cells[id] = {name: of_row[name] for name in names}
    return GivenTable(path, cells, roles if "role" in header else None, names)
