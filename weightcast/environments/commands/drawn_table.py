"""A table of environments for files that come without one: ids are the files' names, roles are drawn."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.core.seeds import derive_seed
from weightcast.environments.commands.data_survey import recognise_format
from weightcast.trajectories import environment_names

VISIBLE_PART = 0.7
"""Of the environments; the others are tested on."""
SEED = 0
"""Of the roles. That of an environment depends on its name and on which others there are, not on their order."""


def drawn_table(directory: Path, path: Path) -> EnvironmentTable:
    """Environments without parameters, one for each of the files of a folder, of which most are visible.

    Args:
        directory: of the data.
        path: where the table will lie.

    Raises:
        InputError: the folder cannot be used, a file's name is no id, or there is a file at ``path``.
    """
    if path.exists():
        raise InputError(f"{path}: exists already, expected --table {path} to use it, or no file to draw a new table")
    ids = environment_names(directory, recognise_format(directory))
    first: dict[str, str] = {}
    for id in ids:
        check_name(id, "name of a file", directory)
        if id.casefold() in first:
            raise InputError(
                f"{directory}: found {first[id.casefold()]} and {id}, expected names that differ otherwise than in "
                "upper and lower case"
            )
        first[id.casefold()] = id
    drawn = sorted(ids, key=lambda id: derive_seed(SEED, "role", id))
    visible = set(drawn[: drawn_visible(len(ids))])
    environments = (Environment(id, {}, "visible" if id in visible else "interpolation") for id in ids)
    return EnvironmentTable(tuple(environments), (), path)


def drawn_visible(count: int) -> int:
    """How many of so many environments are visible where nobody says it."""
    return max(2, round(VISIBLE_PART * count))
