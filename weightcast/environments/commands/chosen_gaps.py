"""Whether windows of a long table may have missing values, and how many: as far as that gains windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.errors import InputError
from weightcast.environments.commands.gap_options import SHARE, run_of, stated_gaps
from weightcast.environments.commands.missing_share import share_of, told_of_missing
from weightcast.environments.commands.record_parts import Division, divide
from weightcast.environments.commands.table_layout import TableLayout
from weightcast.records.record import Records
from weightcast.records.settings import RecordGaps
from weightcast.records.windows import starts_of

GAIN = 1.5
"""Windows with gaps over windows without, to train in a place, for which they are worth having. Of hourly readings of
nine places, with 3 % and 7 % of them taken out, 2.3 times as many windows changed a pooled network's error by 1 %, six
times as many made it 6 % less."""


@dataclass(frozen=True)
class ChosenGaps:
    """What windows may lack.

    Attributes:
        records: with what never changes known at all steps, where windows may have gaps.
        division: into windows with these gaps.
        gaps: that they may have; None: none.
        without: the division into windows that lack nothing, where it was thought of and there is one.
    """

    records: Records
    division: Division
    gaps: RecordGaps | None
    without: Division | None

    def lines(self, division: Division) -> list[str]:
        """What is missing in the windows of a division, and what there would be without gaps, for people."""
        if self.gaps is None:
            return []
        lines = told_of_missing({self.records.ids[place]: self._missing(place, division) for place in division.kept})
        if self.without is None:
            return [*lines, "without gaps (--gaps none) records are too short for windows"]
        counts = self.without.counts
        there = f"{counts.train} windows to train, {counts.validation} to make choices, {counts.test} to test"
        return [*lines, f"without gaps (--gaps none) every place would have {there}, of {self.without.steps} steps"]

    def _missing(self, place: int, division: Division) -> float:
        """Share of the values of a place's windows that are missing, or lie where an input is."""
        assert self.gaps is not None
        parts, told = division.parts[place], (division.frames, division.history, self.gaps)
        starts = [start for part in starts_of(self.records, place, parts, *told) for start in part]
        values = self.records.values[place, np.array(starts, np.int64)[:, None] + np.arange(division.steps)]
        return share_of(values, self.gaps.states) if len(starts) else 0.0


def choose_gaps(
    asked: Sequence[str] | None,
    records: Records,
    layout: TableLayout,
    where: str,
    parts: tuple[int | None, int | None, str | None, str | None],
    history: int,
) -> ChosenGaps:
    """Divide records, into windows with gaps if they are asked for, or if there are plainly more of them.

    Args:
        asked: what ``--gaps`` says.
        records: of all places.
        layout: of the table.
        where: the table, for messages.
        parts: how it is cut, as far as somebody says it (:func:`~.record_parts.divide`).
        history: frames that predictors see.

    Raises:
        InputError: ``--gaps`` says something else, or there are too few windows either way.
    """
    given = stated_gaps(asked)
    settings = layout.settings
    if given is not None:
        if not given:
            return ChosenGaps(records, divide(records, settings, where, *parts, history), None, None)
        share, run = given[0], given[1] if len(given) > 1 else None
    else:
        share, run = SHARE, None
        if not _any_within(records):
            return ChosenGaps(records, divide(records, settings, where, *parts, history), None, None)
    constants = [name for name, known in layout.inputs.items() if known == "constant"]
    limit = GapSettings(share=float(share), run=1 if run is None else int(run))
    gaps = RecordGaps(limit=limit, states=len(layout.channels), constants=constants)
    filled, longest = records.with_constants(constants), run_of if run is None else None
    without, problem = None, None
    try:
        without = divide(records, settings, where, *parts, history)
    except InputError as error:
        problem = error
    try:
        division = divide(filled, settings, where, *parts, history, gaps, longest)
    except InputError:
        if given is not None:
            raise
        if problem is not None:
            raise problem from None
        assert without is not None
        return ChosenGaps(records, without, None, None)
    if given is None and without is not None and not _gains(division, without):
        return ChosenGaps(records, without, None, None)
    assert division.gaps is not None
    return ChosenGaps(filled, division, gaps.model_copy(update={"limit": division.gaps}), without)


def _any_within(records: Records) -> bool:
    """Whether a value is missing between a place's first and its last."""
    missing: NDArray[np.bool_] = np.asarray(np.isnan(records.values).any(axis=2))
    return any(missing[place, begin:end].any() for place, (begin, end) in enumerate(records.spans))


def _gains(division: Division, without: Division) -> bool:
    """Whether windows with gaps are worth having: longer ones, in more places, or plainly more to train."""
    longer = division.frames > without.frames or len(division.kept) > len(without.kept)
    return longer or division.counts.train >= GAIN * without.counts.train
