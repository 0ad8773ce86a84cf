"""What is known of the places of a long table: its columns that never change in a place, and a table of places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weightcast.core.categories import parameters_of, unseen_categories
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.core.place_names import place_id
from weightcast.environments.commands.known_places import KnownPlaces
from weightcast.environments.commands.stated_table import matched_lines
from weightcast.environments.commands.table_layout import TableLayout
from weightcast.records.place_texts import read_place_texts
from weightcast.records.read import read_rows
from weightcast.records.record import Records
from weightcast.records.rows import Rows

WAY_OUT = "--parameters none leaves such columns out"


@dataclass(frozen=True)
class FoundRows:
    """Rows of a long table, and of the table of its places, where there is one.

    Attributes:
        layout: of the records; places of which the table of places has no row are left out.
        rows: of all places.
        known: the table of places; None: there is none.
        lines: what did not match.
    """

    layout: TableLayout
    rows: Rows
    known: KnownPlaces | None
    lines: list[str]


def read_with_places(layout: TableLayout, table: Path | None, asked: Sequence[str] | None) -> FoundRows:
    """Read the rows of records, and the table of their places.

    Args:
        layout: of the records.
        table: of places; None: there is none.
        asked: its columns that are wanted as parameters; None: all that can be.

    Raises:
        InputError: a file cannot be used, no place has a row, or a table with roles has a row of which there is no
            record.
    """
    rows = read_rows(layout.paths, layout.settings, layout.read)
    if table is None:
        return FoundRows(layout, rows, None, [])
    there = list(dict.fromkeys(map(place_id, rows.names)))
    known = KnownPlaces.read(table, there, asked, layout.settings.missing or ())
    given, where = known.given, layout.paths[0]
    if absent := [id for id in given.cells if id not in given.matched]:
        raise InputError(
            f"{given.where(absent[0], given.column)}: found {listed(absent)}, of which {where} has no records, "
            f"expected some of {listed(there)}"
            + ("" if given.roles is None else "; or no column role: rows without records do not count then")
        )
    without = [id for id in there if id not in given.cells and id not in layout.settings.left_out]
    left_out = [*layout.settings.left_out, *without]
    layout = replace(layout, settings=layout.settings.model_copy(update={"left_out": left_out}))
    lines = matched_lines(known, "records")
    if without:
        lines.append(f"places without a row in {table}, and not used: {listed(without)}")
    return FoundRows(layout, rows, known, lines)


def place_parameters(
    layout: TableLayout, records: Records, ids: Sequence[str], known: KnownPlaces | None = None
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Parameters of each place by its id, and what was found, in lines.

    Numbers are those that are asked for. Text that never changes in a place becomes a number for each of its values
    (:mod:`weightcast.core.categories`), where it is asked for or nothing is. Behind these come those of a table of
    places.

    Args:
        layout: of the table.
        records: of all places.
        ids: of the places that are used.
        known: the table of places; None: there is none.

    Raises:
        InputError: a column that is asked for changes in a place, or lacks a value there.
    """
    numbers = dict(zip(records.ids, records.parameters.tolist(), strict=True))
    names = tuple(layout.settings.parameters)
    found = {id: dict(zip(names, numbers[id], strict=True)) for id in ids}
    lines = _add_texts(found, layout)
    if known is not None:
        of_places, said = known.parameters(ids)
        _add(found, of_places)
        lines += said
    return found, lines


def _add_texts(found: dict[str, dict[str, float]], layout: TableLayout) -> list[str]:
    """Add what text of the records says of each place, and return what became of it."""
    columns = layout.categories or layout.texts
    if not columns:
        return []
    texts = read_place_texts(layout.paths, layout.settings, columns)
    for column in layout.categories:
        if column in texts.changing:
            raise InputError(texts.changing[column])
    cells = {id: {column: own[id] for column, own in texts.values.items()} for id in found}
    categories, lines = parameters_of(cells, list(texts.values))
    _add(found, categories)
    if any(categories.values()) and not layout.categories:
        lines.append(f"text that never changes in a place is taken for parameters: {WAY_OUT}")
    return [*lines, *(f"column {column} is no parameter: {why}" for column, why in texts.changing.items())]


def _add(found: dict[str, dict[str, float]], further: Mapping[str, Mapping[str, float]]) -> None:
    for id, own in further.items():
        if twice := set(own) & set(found[id]):
            raise InputError(f"--parameters: found {listed(sorted(twice))} twice, expected names that differ")
        found[id] |= own


def of_no_visible(parameters: Mapping[str, Mapping[str, float]], visible: Sequence[str]) -> list[str]:
    """Categories of which no visible place is, in lines."""
    return [
        f"warning: {name} is of no visible place: nothing is learned of it"
        for name in unseen_categories(parameters, visible)
    ]
