"""The section ``data``: where trajectories come from and which of them train, validate and test."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, FiniteFloat

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.core.config.settings import Settings
from weightcast.core.config.system import SystemName
from weightcast.core.dimensions import DIMENSIONS, Dimension
from weightcast.core.environment_table import Role
from weightcast.core.nets.input_layout import InputLayout
from weightcast.records.calendar_columns import calendar_columns
from weightcast.records.settings import CalendarInput, RecordGaps

Known = Literal["horizon", "past", "constant"]
MOST_HISTORY = 64
"""Frames that predictors may see: all of them are channels of a state."""
DataSource = Literal[SystemName, "netcdf", "npy", "npz", "table", "zoo"]
TransformName = Literal["log", "sqrt"]
GAPPY_SOURCES = ("table", "netcdf", "npy")
"""Of which trajectories may have missing values."""
TAKEN = (*DIMENSIONS, "environment")
"""Names that channels and inputs cannot have: those of what lies beside them in files of trajectories."""
LAND_SOURCES = ("netcdf", "npy")
"""Of which fields may have points without any."""


class TrajectoryCounts(Settings):
    """How many of an environment's trajectories, in file order, serve which purpose."""

    train: int = Field(ge=1)
    """Trajectories that experts and bases are trained on."""
    validation: int = Field(ge=0)
    """Trajectories on which choices are made. 0: training curves show no validation error, and what must be chosen is
    chosen on the training trajectories."""
    test: int = Field(ge=1)
    """Trajectories that only the evaluation sees."""
    unseen_train: int | None = Field(default=None, ge=1)
    """Training trajectories of an unseen environment, where these are not as many as of a visible one: it then has none
    to validate, since nothing is chosen there, and the test ones follow. null: like a visible one."""

    @property
    def total(self) -> int:
        """Trajectories of a visible environment."""
        return self.train + self.validation + self.test

    @property
    def most(self) -> int:
        """Trajectories of an environment of the role that has more of them."""
        return max(self.total, self.of_role("extrapolation").total)

    def of_role(self, role: Role) -> TrajectoryCounts:
        """The counts in an environment of a role, as if all had these."""
        if self.unseen_train is None:
            return self
        unseen = {"train": self.unseen_train, "validation": 0} if role != "visible" else {}
        return self.model_copy(update=unseen | {"unseen_train": None})


class DataSettings(LaterSettings):
    later: ClassVar[tuple[str, ...]] = (
        "transforms",
        "history",
        "gaps",
        "dimensions",
        "windows",
        "land",
        "missing",
        "regrid",
    )

    source: DataSource
    """A simulator, era5 (docs/era5.md), era5-sample, or your own files: netcdf, npy, npz, table (docs/own-data.md).
    zoo: no trajectories, but what an environment's own expert of `zoo.published` forecasts of sample states
    (docs/zoos.md)."""
    directory: str | None = None
    """Folder with your own files (netcdf, npy, npz); relative to where snakemake runs."""
    files: list[str] = Field(default_factory=list)
    """Files of a long table (table), or folders of such; relative to where snakemake runs."""
    dimensions: dict[Dimension, str] = Field(default_factory=dict)
    """What NetCDF files call their dimensions, by ``trajectory``, ``time``, ``y`` and ``x``, where names are not
    recognised (docs/own-data.md): {trajectory: draw, y: north}."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the simulator; see its docstring in weightcast/systems. Of a table how it is read and cut
    (weightcast/records/settings.py)."""
    channels: list[str] = Field(min_length=1)
    """Physical channels, in the order in which the predictor sees them."""
    inputs: dict[str, Known] = Field(default_factory=dict)
    """What predictors see beside the state and do not forecast - forcing, controls -, each known over the ``horizon``
    of a forecast, in the ``past`` alone, or ``constant`` in an environment: columns of a table, variables of NetCDF
    files."""
    calendar: list[CalendarInput] = Field(default_factory=list)
    """The same, derived from the dates of a table: ``hour`` of the day, ``weekday``, ``season``."""
    transforms: dict[str, TransformName] = Field(default_factory=dict)
    """Channels that are never negative - counts, concentrations - and that predictors see through a transform: ``log``,
    of what grows by factors (with an offset from the training data, so that zeros may be), or ``sqrt``, of counts.
    Scores, forecasts and figures are in the channel's own units all the same."""
    grid: tuple[int, int]
    """Grid points along (y, x)."""
    history: int = Field(default=1, ge=1, le=MOST_HISTORY)
    """Frames that predictors see, the newest among them. More than one where what comes next is not in one frame
    alone, as whether a count rises or falls. ``frames``, ``trained_frames`` and horizons count frames with a whole
    history: files hold ``history`` - 1 more."""
    frames: int = Field(ge=3)
    """Frames of every trajectory."""
    trained_frames: int = Field(ge=2)
    """Training sees the first so many frames; the trained horizon is one less."""
    start_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the windows of a training that begin with a trajectory's first frame, as forecasts do; all frames are
    equally likely to begin the others. More than the default where trajectories begin in states that soon pass: a
    predictor that has rarely seen these is worst at the very step that frames of a new environment are judged by."""
    trajectories: TrajectoryCounts
    windows: bool = False
    """Whether trajectories of NetCDF and ``.npy`` files are records, of which windows of ``frames`` are cut, earlier
    ones first: of one record an environment, or where they differ in length. Windows with a missing value are left
    out, unless there are ``gaps``."""
    land: dict[str, float] = Field(default_factory=dict)
    """What predictors see of a channel, or of an input, at points at which a NetCDF or ``.npy`` file never has a value
    of it, as on land in a field of the sea: a number by its name, about the mean elsewhere. Such points are no gaps."""
    missing: list[FiniteFloat] | None = None
    """Numbers that stand for missing values in NetCDF and ``.npy`` files, beside NaN and what a file declares. null:
    none, and numbers that look like such a mark are refused; []: none, and they are numbers."""
    regrid: RegridSettings | None = None
    """Where the points of the study's grid lie, to which NetCDF files with finer or coarser fields of the same extent
    are brought; their forecasts are on the study's grid. null: fields on another grid are refused."""
    gaps: GapSettings | None = None
    """How much of a trajectory may be missing, in a table, NetCDF or ``.npy`` files: trainings and scores leave out
    what is. null: nothing; what lacks a value is no window of a table, and other files with it are refused."""

    @property
    def record_gaps(self) -> RecordGaps | None:
        """The same of the columns of a table."""
        if self.gaps is None:
            return None
        constants = [name for name, known in self.inputs.items() if known == "constant"]
        return RecordGaps(limit=self.gaps, states=len(self.channels), constants=constants)

    @property
    def input_columns(self) -> list[str]:
        """Names of the columns of inputs: those of the files, then those of the calendar."""
        return [*self.inputs, *calendar_columns(self.calendar)]

    @property
    def layout(self) -> InputLayout:
        """How predictors are shown these."""
        known = list(self.inputs.values())
        return InputLayout(
            columns=tuple(self.input_columns),
            ahead=tuple(place for place, one in enumerate(known) if one == "horizon"),
            calendar=tuple(range(len(known), len(self.input_columns))),
            constant=tuple(place for place, one in enumerate(known) if one == "constant"),
            past=tuple(place for place, one in enumerate(known) if one == "past"),
        )

    @property
    def beside(self) -> int:
        """Channels that predictors see behind those of the newest frame: older frames, and what is shown of inputs."""
        return (self.history - 1) * len(self.channels) + self.layout.shown

    @property
    def recorded_frames(self) -> int:
        """Frames that a trajectory must hold for ``frames`` with a whole history."""
        return self.frames + self.history - 1

    def with_history(self, frames: int) -> int:
        """How many of so many frames that follow each other have a whole history."""
        return frames - self.history + 1

    @property
    def channel_transforms(self) -> tuple[TransformName | None, ...]:
        """Transform of each channel; empty where there are none."""
        return tuple(map(self.transforms.get, self.channels)) if self.transforms else ()

    @property
    def columns(self) -> list[str]:
        """What is read from the user's files: channels, then inputs."""
        return [*self.channels, *self.inputs]

    @property
    def imported(self) -> bool:
        """Whether the trajectories are the user's own files rather than made by a simulator or a package."""
        return self.source in ("netcdf", "npy", "npz", "table")

    @property
    def simulated(self) -> bool:
        """Whether a simulator or a package makes the trajectories."""
        return not self.imported and self.source != "zoo"

    def of_role(self, role: Role) -> DataSettings:
        """The settings for environments of a role alone: with the counts that hold there."""
        return self.model_copy(update={"trajectories": self.trajectories.of_role(role)})
