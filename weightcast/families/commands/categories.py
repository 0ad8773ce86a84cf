"""Parameters from columns of text and numbers: a category becomes a number for each of its values.

A cell line or a batch is 1 where an environment has it and 0 where not, so that whatever takes parameters takes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from weightcast.core.environment_table import plain_number
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.core.place_names import place_id
from weightcast.families.commands.environment_columns import Cells
from weightcast.samples.checks import listed
from weightcast.samples.metadata_columns import LABELS


def parameters_of(cells: Mapping[str, Cells], names: Sequence[str]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Numbers of each environment, categories among them as a number for each value; and what became of them, in lines.

    A column is a category if it holds anything but numbers, or is called what labels are called (``batch``, ``donor``).
    One that is different in half of the environments or more says nothing of another environment, and is left out.

    Raises:
        InputError: a name cannot be that of a parameter.
    """
    found: dict[str, dict[str, float]] = {id: {} for id in cells}
    lines = []
    for name in names:
        plain = place_id(name)
        values = {id: row[name] for id, row in cells.items()}
        numbers = {id: _number(value) for id, value in values.items()}
        if name.strip().lower() not in LABELS and all(map(math.isfinite, numbers.values())):
            for id, number in numbers.items():
                found[id][check_name(plain, f"column {name}", "parameters")] = number
            continue
        kinds = sorted(dict.fromkeys(values.values()))
        if 2 * len(kinds) > len(values):
            lines.append(
                f"column {name}: {len(kinds)} values in {len(values)} environments say nothing of another one: left out"
            )
            continue
        if len(kinds) == 1:
            lines.append(f"column {name}: {kinds[0]} in all environments: left out")
            continue
        columns = {kind: check_name(f"{plain}.{place_id(kind)}", f"column {name}", "parameters") for kind in kinds}
        if len(set(columns.values())) < len(kinds):
            raise InputError(f"column {name}: found {listed(kinds)}, expected values that differ in letters or digits")
        for id, value in values.items():
            found[id] |= {column: float(kind == value) for kind, column in columns.items()}
        lines.append(
            f"column {name}: a category of {len(kinds)} values, as parameters that are 1 or 0: "
            f"{listed(list(columns.values()), 6)}"
        )
    return found, lines


def unseen_categories(parameters: Mapping[str, Mapping[str, float]], visible: Sequence[str]) -> list[str]:
    """Parameters that are 0 in all visible environments and not in others: nothing is learned of them."""
    names = list(next(iter(parameters.values()), {}))
    return [
        name
        for name in names
        if "." in name
        and all(parameters[id][name] == 0.0 for id in visible)
        and any(row[name] != 0.0 for row in parameters.values())
    ]


def _number(cell: str) -> float:
    try:
        return float(plain_number(cell))
    except ValueError:
        return math.nan
