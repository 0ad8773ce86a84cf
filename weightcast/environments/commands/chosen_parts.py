"""Whether the places of a long table share a calendar, or each record is cut in its own time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from weightcast.core.errors import InputError
from weightcast.environments.commands.chosen_gaps import ChosenGaps
from weightcast.environments.commands.table_layout import TableLayout
from weightcast.records.read import records_of
from weightcast.records.record import Records
from weightcast.records.rows import Rows
from weightcast.records.settings import PartsOf

LOST = 0.25
"""Of the places that records of their own time keep: where a shared calendar leaves out more, it is not used."""
SHORTER = 0.5
"""Of the steps of windows that they have: where those of a shared calendar are as short, it is not used."""


@dataclass(frozen=True)
class ChosenParts:
    """How records are cut, and on which time.

    Attributes:
        layout: with what the parts are of.
        gaps: the division, and the records that it is of.
        why: what was found, in lines.
    """

    layout: TableLayout
    gaps: ChosenGaps
    why: tuple[str, ...]


def choose_parts(
    asked: PartsOf | None, layout: TableLayout, rows: Rows, divided: Callable[[Records, TableLayout], ChosenGaps]
) -> ChosenParts:
    """A calendar that all places share, unless it leaves out many of those that their own time would keep.

    What is tested on is then later than anything that any place trained on, which is the more honest comparison where
    places have seasons, weather or a market in common.

    Args:
        asked: what ``--parts`` says, or follows from other options; None: nobody says.
        layout: of the table.
        rows: of it, as they were read.
        divided: cuts records.

    Raises:
        InputError: records are too short either way, or as it is asked for; or they cannot be used.
    """

    def attempt(parts: PartsOf) -> tuple[TableLayout, ChosenGaps]:
        chosen = replace(layout, settings=layout.settings.model_copy(update={"parts": parts}))
        return chosen, divided(records_of(rows, chosen.settings, chosen.read), chosen)

    if asked is not None:
        return ChosenParts(*attempt(asked), ())
    problem, shared = None, None
    try:
        shared = attempt("calendar")
    except InputError as error:
        problem = error
    if shared is not None and not shared[1].division.too_few:
        return ChosenParts(*shared, ())
    try:
        own = attempt("own")
    except InputError:
        if shared is None:
            assert problem is not None
            raise problem from None
        return ChosenParts(*shared, ())
    division = own[1].division
    kept, there = len(division.kept), len(own[1].records.ids)
    if shared is not None:
        found = shared[1].division
        if len(found.kept) >= (1 - LOST) * kept and found.frames > SHORTER * division.frames:
            return ChosenParts(*shared, ())
    less = "none" if shared is None else str(len(shared[1].division.kept))
    why = (
        f"each record is cut in its own time, so that {kept} of {there} places are used; on a calendar that all share "
        f"it would be {less}. What is tested on in one may be earlier than what another trained on (--parts calendar "
        "overrules)"
    )
    return ChosenParts(*own, (why,))
