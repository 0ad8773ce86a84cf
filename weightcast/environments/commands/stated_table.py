"""A table of environments that a user gives for files: as it is, or made one that a study can read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weightcast.core.categories import is_category, unseen_categories
from weightcast.core.environment_table import RESERVED, Environment, EnvironmentTable, Role, read_environments
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.environments.commands.drawn_table import SEED
from weightcast.environments.commands.held_out import RANDOM, hold_out, inside_or_outside
from weightcast.environments.commands.known_places import KnownPlaces


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


def stated_table(
    path: Path, beside: Path, there: Collection[str] = (), asked: Sequence[str] | None = None
) -> StatedTable:
    """Read a table whose parameters may be words, whose columns may have units, and which may say nothing of roles.

    Args:
        path: of the user's table.
        beside: where a table with numbers, plain names and roles will lie.
        there: ids of which there is data; empty: nobody knows.
        asked: columns that are wanted as parameters; None: all that can be.

    Raises:
        InputError: the table cannot be used; the message names line and column. Or there is a file where a new one
            is needed.
    """
    if not path.exists():
        return StatedTable(read_environments(path), False, [])  # which refuses it
    known = KnownPlaces.read(path, there, asked)
    if any(name in RESERVED for name in known.given.names) or not _is_to_be_made(known):
        return StatedTable(read_environments(path), False, [])
    parameters, lines = known.parameters(list(known.given.cells))
    if beside.exists():
        raise InputError(f"{beside}: exists already, expected --table {beside} to use it, or no such file")
    roles, drawn = _roles(known, parameters)
    rows = tuple(Environment(id, parameters[id], roles[id]) for id in parameters)
    table = EnvironmentTable(rows, tuple(next(iter(parameters.values()), {})), beside)
    visible = [row.id for row in table.visible]
    if not visible:
        raise InputError(f"{path}: column role: found no visible environment, expected at least one to train on")
    unseen = [
        f"warning: {name} is of no visible environment: nothing is learned of it"
        for name in unseen_categories(parameters, visible)
    ]
    return StatedTable(table, True, [*matched_lines(known, "data"), *lines, *drawn, *unseen])


def matched_lines(known: KnownPlaces, data: str) -> list[str]:
    """How rows were found and which are not used, in lines."""
    given = known.given
    return [
        *([f"{given.path}: rows are found by the column {given.column}"] if given.column != "id" else []),
        *([f"rows of {given.path} without {data}, and not used: {listed(given.absent)}"] if given.absent else []),
    ]


def _is_to_be_made(known: KnownPlaces) -> bool:
    """Whether a study cannot read the table as it is: a few cells of text in a column of numbers are slips."""
    given = known.given
    words = any(is_category(name, [row[name] for row in given.cells.values()]) for name in given.names)
    return words or given.roles is None or known.renamed or known.asked is not None or not given.as_is


def _roles(known: KnownPlaces, parameters: dict[str, dict[str, float]]) -> tuple[dict[str, Role], list[str]]:
    """As the table says them, or drawn at random: what is held out beyond the visible range is outside."""
    if known.given.roles is not None:
        return known.given.roles, []
    ids, values = list(parameters), np.array([list(row.values()) for row in parameters.values()])
    roles, how = hold_out(ids, values, [RANDOM], None, SEED)
    said = f"{known.given.path}: no column role: roles are {how}"
    return inside_or_outside(roles, ids, values) if values.size else roles, [said]
