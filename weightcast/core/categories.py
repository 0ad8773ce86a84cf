"""Parameters from columns of text and numbers: a category becomes a number for each of its values.

A cell line or a batch is 1 where an environment has it and 0 where not, so that whatever takes parameters takes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from weightcast.core.environment_table import plain_number
from weightcast.core.errors import InputError
from weightcast.core.names import check_name, listed
from weightcast.core.place_names import place_id

Cells = Mapping[str, str]
"""Of one environment, by the name of the column."""
LABELS = frozenset(
    {
        "batch", "batches", "batch_id", "cluster", "clusters", "cluster_id", "leiden", "louvain", "seurat_clusters",
        "replicate", "replica", "plate", "well", "lane", "donor", "patient", "subject", "individual", "animal",
        "mouse", "condition", "treatment", "dose_group", "group", "label", "labels", "cell_type", "celltype",
        "cell_types", "annotation", "experiment", "experiment_id", "library", "dataset", "sex", "genotype",
        "sample_id"
    }
)  # fmt: skip
"""Names of columns whose whole numbers only label."""
SHOWN = 6


def is_label(name: str) -> bool:
    """Whether a column's numbers only label, by its name."""
    return name.strip().lower() in LABELS


def is_category(name: str, values: Sequence[str]) -> bool:
    """Whether a column is called what labels are called, or at least half of its cells are no numbers: fewer are rather
    slips."""
    return is_label(name) or (bool(values) and 2 * sum(map(_is_text, values)) >= len(values))


def parameters_of(cells: Mapping[str, Cells], names: Sequence[str]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Numbers of each environment, categories among them as a number for each value; and what became of them, in lines.

    A column is a category if it holds anything but numbers, or is called what labels are called (``batch``, ``donor``).
    One that is different in half of the environments or more says nothing of another environment, and is left out.

    Args:
        cells: of each environment by id.
        names: of the columns.

    Raises:
        InputError: a name cannot be that of a parameter, or a few cells are no numbers where most are: rather a slip
            than a category.
    """
    found: dict[str, dict[str, float]] = {id: {} for id in cells}
    lines = []
    for name in names:
        plain = place_id(name)
        values = {id: row[name] for id, row in cells.items()}
        others = [id for id, value in values.items() if _is_text(value)]
        if not is_label(name) and not others:
            for id, value in values.items():
                found[id][check_name(plain, f"column {name}", "parameters")] = float(plain_number(value))
            continue
        if not is_category(name, list(values.values())):
            raise InputError(
                f"column {name}: found {values[others[0]]!r} in {others[0]}, expected a number, as in "
                f"{len(values) - len(others)} of {len(values)} environments; or text in most of them, for a category"
            )
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
            f"{listed(list(columns.values()), SHOWN)}"
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


def _is_text(cell: str) -> bool:
    """Whether a cell is anything but a finite number."""
    try:
        return not math.isfinite(float(plain_number(cell)))
    except ValueError:
        return True
