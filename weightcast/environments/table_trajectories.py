"""Trajectories of environments that are places of a long table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.records.read import read_records
from weightcast.records.settings import CalendarInput, RecordGaps, RecordSettings
from weightcast.records.windows import cut, parts_of_places
from weightcast.trajectories import Trajectories


class TableTrajectories:
    """A table that has been read.

    Args:
        files: of the table.
        settings: how it is read and cut.
        channels: quantities, in order: those that are forecast, then inputs.
        where: the configuration, for messages.
        calendar: what of the calendar becomes further channels, behind them.
        gaps: that windows may have; None: none.

    Raises:
        InputError: the table cannot be used, or its parts are not in order.
    """

    def __init__(
        self,
        files: Sequence[str | Path],
        settings: RecordSettings,
        channels: Sequence[str],
        where: str | Path,
        calendar: Sequence[CalendarInput] = (),
        gaps: RecordGaps | None = None,
    ) -> None:
        self.records = read_records(files, settings, channels)
        if gaps is not None:
            self.records = self.records.with_constants(gaps.constants)
        self._settings = settings
        parts_of_places(self.records, settings, 1, where)  # whatever windows there will be
        self._config = where
        self._where = str(files[0])
        self._calendar = calendar
        self._gaps = gaps
        self._number = {id: place for place, id in enumerate(self.records.ids)}

    def trajectories(self, id: str, frames: int, counts: tuple[int, int, int], history: int = 1) -> Trajectories:
        """The windows of a place, as states without a grid and without parameters.

        Args:
            id: of the environment.
            frames: of a window.
            counts: windows to train, to make choices and to test.
            history: frames that predictors see: windows have as many more, less one, before the first.

        Raises:
            InputError: there is no such place, or it has fewer windows.
        """
        if id not in self._number:
            raise InputError(
                f"{self._where}: found no place {id} of the table of environments, expected one of "
                f"{listed(self.records.ids)}"
            )
        place = self._number[id]
        parts = parts_of_places(self.records, self._settings, frames + history - 1, self._config)[place]
        told = (frames, counts, self._where, self._calendar, history, self._settings.repeated, self._gaps)
        return cut(self.records, place, parts, *told)

    def check_places(self, ids: Sequence[str], table: Path) -> None:
        """Raise an `InputError` unless places and environments are the same."""
        strangers = [id for id in self.records.ids if id not in set(ids)]
        if strangers:
            raise InputError(
                f"{self._where}: found {listed(strangers)} without a row in {table}, expected a row for each place, or "
                "the place in data.settings.left_out"
            )
