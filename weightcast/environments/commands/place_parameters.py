"""What is known of the places of a long table: columns that never change in a place, categories among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightcast.core.categories import parameters_of, unseen_categories
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.environments.commands.table_layout import TableLayout
from weightcast.records.place_texts import read_place_texts
from weightcast.records.record import Records

WAY_OUT = "--parameters none leaves such columns out"


def place_parameters(
    layout: TableLayout, records: Records, ids: Sequence[str]
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Parameters of each place by its id, and what was found, in lines.

    Numbers are those that are asked for. Text that never changes in a place becomes a number for each of its values
    (:mod:`weightcast.core.categories`), where it is asked for or nothing is.

    Args:
        layout: of the table.
        records: of all places.
        ids: of the places that are used.

    Raises:
        InputError: a column that is asked for changes in a place, or lacks a value there.
    """
    numbers = dict(zip(records.ids, records.parameters.tolist(), strict=True))
    names = tuple(layout.settings.parameters)
    found = {id: dict(zip(names, numbers[id], strict=True)) for id in ids}
    columns = layout.categories or layout.texts
    if not columns:
        return found, []
    texts = read_place_texts(layout.paths, layout.settings, columns)
    for column in layout.categories:
        if column in texts.changing:
            raise InputError(texts.changing[column])
    cells = {id: {column: own[id] for column, own in texts.values.items()} for id in ids}
    categories, lines = parameters_of(cells, list(texts.values))
    for id, own in categories.items():
        if twice := set(own) & set(found[id]):
            raise InputError(f"--parameters: found {listed(sorted(twice))} twice, expected names that differ")
        found[id] |= own
    if any(categories.values()) and not layout.categories:
        lines.append(f"text that never changes in a place is taken for parameters: {WAY_OUT}")
    return found, [*lines, *(f"column {column} is no parameter: {why}" for column, why in texts.changing.items())]


def of_no_visible(parameters: Mapping[str, Mapping[str, float]], visible: Sequence[str]) -> list[str]:
    """Categories of which no visible place is, in lines."""
    return [
        f"warning: {name} is of no visible place: nothing is learned of it"
        for name in unseen_categories(parameters, visible)
    ]
