"""How a table is read and cut: ``data.settings`` of the source ``table``."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import Settings

Layout = Literal["tidy", "wide", "file-each"]
PartsOf = Literal["calendar", "own"]
CalendarInput = Literal["hour", "weekday", "season", "cycle"]
DATED_INPUTS: tuple[CalendarInput, ...] = ("hour", "weekday", "season")
"""Those that dates tell."""


class RecordSettings(LaterSettings):
    later: ClassVar[tuple[str, ...]] = ("repeated", "parts", "validation_share", "test_share")

    layout: Layout = "tidy"
    """tidy: a row is a place at a time; wide: a column is a place; file-each: a file is a place."""
    environment: str | None = None
    """Column that says which place a row is of (of NetCDF: the dimension of places); of the layout tidy alone."""
    time: list[str] = Field(default_factory=list)
    """Column of times, or several as year, month, day, hour. Without any, rows (of wide tables) are steps."""
    begins: str | None = None
    """Date of the first row of a wide table without a column of times, whose rows are then dates; null: rows are steps.
    With it ``every``."""
    every: Literal["hour", "day", "week", "month"] | None = None
    """How far such rows lie apart."""
    columns: list[str] | None = None
    """Columns of data.channels, then of data.inputs, in their order, where they are called otherwise; null: they are
    called so."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """Columns of numbers that never change in a place, by the names that parameters have in the table of
    environments."""
    separator: Literal[",", ";", "|", "tab", "space"] | None = None
    """Between cells of a text; null: recognised."""
    decimal: Literal[".", ","] | None = None
    """Mark of decimals; null: recognised."""
    encoding: str | None = None
    """Of a text; null: UTF-8 or UTF-16, else Windows-1252."""
    dates: Literal["day-first", "month-first"] | None = None
    """Order of day and month in dates such as 3/4/2020; null: by those that can be read in one way alone."""
    missing: list[str] | None = None
    """Marks of missing values beside empty cells, NA, NaN and the like, as "-999". null: none, and numbers that look
    like such a mark are refused; []: none, and they are numbers."""
    parts: PartsOf = "calendar"
    """calendar: all places train until the same time and are tested from the same time on; own: each record is cut in
    its own time, from its first value on, as those of patients or machines, which share no calendar."""
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    """Of each record, that makes choices where parts are own; one window at least."""
    test_share: float = Field(default=0.2, gt=0, lt=1)
    """The same of its end, which is tested on."""
    gap: int = Field(default=0, ge=0)
    """Steps between the parts of the record that belong to none of them."""
    validation_from: str = ""
    """Time at which the part that makes choices begins, on the calendar that all share."""
    test_from: str = ""
    """Time at which the part that is tested on begins, likewise."""
    cycle: int | None = Field(default=None, ge=2)
    """Steps after which seasons come again, for ``cycle`` in ``data.calendar``: where times are numbers nothing else
    says it."""
    left_out: list[str] = Field(default_factory=list)
    """Places of the table that are not used, by their ids."""
    repeated: bool = False
    """Whether places with fewer windows than ``data.trajectories`` show theirs more than once, each about as often;
    otherwise they are refused."""


class RecordGaps(Settings):
    """What windows of a record may lack."""

    limit: GapSettings
    """Of missing values."""
    states: int = Field(ge=1)
    """How many of the columns are forecast, the first ones; the others are inputs."""
    constants: list[str] = Field(default_factory=list)
    """Inputs that never change in a place, and so are known wherever they are known once."""
