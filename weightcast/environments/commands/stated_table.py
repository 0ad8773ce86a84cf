"""A table of environments that a user gives: as it is, or with numbers for what it says in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weightcast.core.categories import is_category, parameters_of, unseen_categories
from weightcast.core.environment_table import RESERVED, Environment, EnvironmentTable, read_environments
from weightcast.core.errors import InputError
from weightcast.core.given_table import GivenTable, read_given_table


@dataclass(frozen=True)
class StatedTable:
    """A user's table, as a study can read it.

    Attributes:
        table: of the environments; its path is the user's, or that of a new one where cells became numbers.
        new: whether it is a new one, which is still to be written.
        lines: what became of its columns.
    """

    table: EnvironmentTable
    new: bool
    lines: list[str]


def stated_table(path: Path, beside: Path) -> StatedTable:
    """Read a table whose parameters may be categories.

    Args:
        path: of the user's table.
        beside: where a table with numbers for categories will lie.

    Raises:
        InputError: the table cannot be used; the message names line and column. Or there is a file where a new one
            is needed.
    """
    given = read_given_table(path) if path.exists() else None
    if given is None or given.roles is None or not _has_categories(given):
        return StatedTable(read_environments(path), False, [])
    try:
        parameters, lines = parameters_of(given.cells, given.names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if beside.exists():
        raise InputError(
            f"{beside}: exists already, expected --table {beside} to use it, or no file to write a new table"
        )
    rows = tuple(Environment(id, parameters[id], role) for id, role in given.roles.items())
    names = tuple(next(iter(parameters.values()), {}))
    table = EnvironmentTable(rows, names, beside)
    visible = [row.id for row in table.visible]
    if not visible:
        raise InputError(f"{path}: column role: found no visible environment, expected at least one to train on")
    unseen = [
        f"warning: {name} is of no visible environment: nothing is learned of it"
        for name in unseen_categories(parameters, visible)
    ]
    return StatedTable(table, True, [*(f"{path}: {line}" for line in lines), *unseen])


def _has_categories(given: GivenTable) -> bool:
    """Whether a column only labels, or is text in most environments; a few cells of text are slips."""
    if any(name in RESERVED for name in given.names):
        return False
    return any(is_category(name, [row[name] for row in given.cells.values()]) for name in given.names)
