"""A table of environments for files that come without one: ids are the files' names, which may state parameters, roles
are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weightcast.core.categories import is_label
from weightcast.core.environment_table import Environment, EnvironmentTable, Role
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.core.seeds import derive_seed
from weightcast.environments.commands.data_survey import recognise_format
from weightcast.environments.commands.held_out import drawn_visible, inside_or_outside
from weightcast.trajectories import environment_names
from weightcast.trajectories.npy import parameters_in_name

SEED = 0
"""Of the roles. That of an environment depends on its name and on which others there are, not on their order."""


def drawn_table(directory: Path, path: Path) -> EnvironmentTable:
    """Environments, one for each of the files of a folder, of which most are visible.

    Parameters are those that the names of all files state, as `Re_210.0_r_10.0`, and that differ; where there are any,
    what is tested on lies inside of the visible ones' range or outside. One whole number, as of `station_7`, is taken
    for a label, and so is what is called so.

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
    roles: dict[str, Role] = {id: "visible" if id in visible else "interpolation" for id in ids}
    parameters = _in_names(ids)
    names = tuple(next(iter(parameters.values()), {}))
    if names:
        roles = inside_or_outside(roles, ids, np.array([list(parameters[id].values()) for id in ids]))
    environments = (Environment(id, parameters.get(id, {}), roles[id]) for id in ids)
    return EnvironmentTable(tuple(environments), names, path)


def _in_names(ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """Parameters by id, in one order; none where names do not all state the same ones, or none differs."""
    stated = {id: parameters_in_name(id) for id in ids}
    names = list(next(iter(stated.values())))
    if any(set(own) != set(names) for own in stated.values()) or any(map(is_label, names)):
        return {}
    if len(names) == 1 and all(own[names[0]].is_integer() and "." not in id for id, own in stated.items()):
        return {}
    varying = [name for name in names if len({own[name] for own in stated.values()}) > 1]
    return {id: {name: own[name] for name in varying} for id, own in stated.items()} if varying else {}
