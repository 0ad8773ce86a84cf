"""A table of environments that a user gives: as it is, or made one that a study can read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weightcast.core.categories import Cells, is_category, parameters_of, unseen_categories
from weightcast.core.environment_table import RESERVED, Environment, EnvironmentTable, Role, read_environments
from weightcast.core.errors import InputError
from weightcast.core.given_table import GivenTable, read_given_table
from weightcast.environments.commands.drawn_table import SEED
from weightcast.environments.commands.held_out import RANDOM, hold_out, inside_or_outside
from weightcast.records.rows import split_unit


@dataclass(frozen=True)
class StatedTable:
    """A user's table, as a study can read it.

    Attributes:
        table: of the environments; its path is the user's, or that of a new one.
        new: whether it is a new one, which is still to be written.
        lines: what became of its columns.
    """

    table: EnvironmentTable
    new: bool
    lines: list[str]


def stated_table(path: Path, beside: Path) -> StatedTable:
    """Read a table whose parameters may be words, whose columns may have units, and which may say nothing of roles.

    Args:
        path: of the user's table.
        beside: where a table with numbers, plain names and roles will lie.

    Raises:
        InputError: the table cannot be used; the message names line and column. Or there is a file where a new one
            is needed.
    """
    if not path.exists():
        return StatedTable(read_environments(path), False, [])  # which refuses it
    given = read_given_table(path)
    plain = _without_units(given)
    if any(name in RESERVED for name in given.names) or not _is_to_be_made(plain, given):
        return StatedTable(read_environments(path), False, [])
    try:
        parameters, lines = parameters_of(plain.cells, plain.names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if beside.exists():
        raise InputError(f"{beside}: exists already, expected --table {beside} to use it, or no such file")
    roles, drawn = _roles(plain, parameters)
    rows = tuple(Environment(id, parameters[id], roles[id]) for id in parameters)
    table = EnvironmentTable(rows, tuple(next(iter(parameters.values()), {})), beside)
    visible = [row.id for row in table.visible]
    if not visible:
        raise InputError(f"{path}: column role: found no visible environment, expected at least one to train on")
    unseen = [
        f"warning: {name} is of no visible environment: nothing is learned of it"
        for name in unseen_categories(parameters, visible)
    ]
    return StatedTable(table, True, [*(f"{path}: {line}" for line in (*lines, *drawn)), *unseen])


def _without_units(given: GivenTable) -> GivenTable:
    """Columns as ``height (m)`` by what they are called without the unit.

    Raises:
        InputError: two are then called the same.
    """
    plain = {name: split_unit(name)[0] for name in given.names}
    if len(set(plain.values())) < len(plain):
        raise InputError(
            f"{given.path}: found the columns {', '.join(given.names)}, expected names that differ without their units"
        )
    cells: dict[str, Cells] = {id: {plain[name]: cell for name, cell in row.items()} for id, row in given.cells.items()}
    return replace(given, cells=cells, names=tuple(plain.values()))


def _is_to_be_made(plain: GivenTable, given: GivenTable) -> bool:
    """Whether a study cannot read the table as it is: a few cells of text in a column of numbers are slips."""
    words = any(is_category(name, [row[name] for row in plain.cells.values()]) for name in plain.names)
    return words or plain.roles is None or plain.names != given.names


def _roles(given: GivenTable, parameters: dict[str, dict[str, float]]) -> tuple[dict[str, Role], list[str]]:
    """As the table says them, or drawn at random: what is held out beyond the visible range is outside."""
    if given.roles is not None:
        return given.roles, []
    ids, values = list(parameters), np.array([list(row.values()) for row in parameters.values()])
    roles, how = hold_out(ids, values, [RANDOM], None, SEED)
    return inside_or_outside(roles, ids, values) if values.size else roles, [f"no column role: roles are {how}"]
