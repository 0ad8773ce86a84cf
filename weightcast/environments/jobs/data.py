"""What jobs are told that bring trajectories."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.core.dimensions import Dimension
from weightcast.core.job import StageSettings
from weightcast.environments.config.data import TransformName
from weightcast.environments.jobs.told import Plan, Rows
from weightcast.environments.plan import (
    record_settings,
    source_settings,
)
from weightcast.records.settings import CalendarInput, RecordGaps, RecordSettings


class ResolveConfig(StageSettings):
    """The whole configuration. This job alone is told its settings themselves: the others find them in its output."""

    config: dict[str, Any]


class Simulate(Rows):
    """Trajectories of the environments of a shard from a simulator or a package."""

    source: str
    settings: dict[str, Any]
    seed: int

    @classmethod
    def of(cls, plan: Plan, shard: str) -> Simulate:
        rows = tuple(plan.table[id] for id in plan.trajectory_shards[shard])
        data = plan.study.data.of_role(rows[0].role)  # a shard is of visible environments or of unseen ones
        return cls(
            environments=rows,
            source=data.source,
            settings=source_settings(data),
            seed=plan.study.seed,
        )


class ImportTrajectories(Rows, LaterSettings):
    """Trajectories of the environments of a shard from the user's own files, and what is expected of these.

    Attributes:
        inputs: what is known beside the channels.
        transforms: of channels, which are then never negative.
        trajectories: all that its role needs.
        test_trajectories: of these, which ``.npz`` files hold apart.
        history: frames that predictors see, where trajectories may have gaps.
        gaps: that trajectories may have; None: none.
        dimensions: what NetCDF files call some of theirs, by their names here.
        windows: whether trajectories are cut into windows of so many frames.
        land: what is seen where a channel never has a value, by its name.
        missing: numbers that stand for missing values; None: none, and such as look like marks are refused.
        regrid: where the points of the grid lie, to which fields on others are brought; None: these are refused.
    """

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

    channels: list[str]
    inputs: list[str] = Field(default_factory=list)
    transforms: dict[str, TransformName] = Field(default_factory=dict)
    grid: tuple[int, int]
    frames: int
    trajectories: int
    test_trajectories: int = 1
    frame_step: float
    history: int = 1
    gaps: GapSettings | None = None
    dimensions: dict[Dimension, str] = Field(default_factory=dict)
    windows: bool = False
    land: dict[str, float] = Field(default_factory=dict)
    missing: list[float] | None = None
    regrid: RegridSettings | None = None

    @classmethod
    def of(cls, plan: Plan, shard: str) -> ImportTrajectories:
        rows = tuple(plan.table[id] for id in plan.trajectory_shards[shard])
        data = plan.study.data.of_role(rows[0].role)
        return cls(
            environments=rows,
            channels=data.channels,
            inputs=list(data.inputs),
            transforms=data.transforms,
            grid=data.grid,
            frames=data.recorded_frames,
            trajectories=data.trajectories.total,
            test_trajectories=data.trajectories.test,
            frame_step=float(source_settings(data).get("frame_step", 1.0)),
            history=data.history if data.gaps else 1,
            gaps=data.gaps,
            dimensions=data.dimensions,
            windows=data.windows,
            land=data.land,
            missing=data.missing,
            regrid=data.regrid,
        )


class CutRecords(Rows, LaterSettings):
    """Trajectories of the environments of a shard from a long table of the user's, and how it is read and cut.

    Attributes:
        channels: that are forecast, then inputs.
        transforms: of channels, which are then never negative.
        calendar: what of it becomes further inputs.
        frames: of a window that have a whole history.
        history: frames that predictors see; before the first of a window lie so many less one.
        trajectories: windows to train, to make choices and to test.
        gaps: that windows may have; None: none.
    """

    later: ClassVar[tuple[str, ...]] = ("transforms", "history", "gaps")

    records: RecordSettings
    channels: list[str]
    transforms: dict[str, TransformName] = Field(default_factory=dict)
    calendar: list[CalendarInput]
    frames: int
    history: int = 1
    trajectories: tuple[int, int, int]
    gaps: RecordGaps | None = None

    @classmethod
    def of(cls, plan: Plan, shard: str) -> CutRecords:
        rows = tuple(plan.table[id] for id in plan.trajectory_shards[shard])
        data = plan.study.data.of_role(rows[0].role)
        counts = data.trajectories
        return cls(
            environments=rows,
            records=record_settings(data),
            channels=data.columns,
            transforms=data.transforms,
            calendar=data.calendar,
            frames=data.frames,
            history=data.history,
            trajectories=(counts.train, counts.validation, counts.test),
            gaps=data.record_gaps,
        )


class ListTrajectories(StageSettings):
    """Manifests are joined as they are: which ones, is said by the job's inputs."""

    @classmethod
    def of(cls, plan: Plan, ids: str) -> ListTrajectories:
        return cls()


class DownloadEra5(StageSettings):
    """One month of one area of ERA5.

    Attributes:
        area: its edges: north, west, south, east.
        spacing: degrees between the points that are needed.
        variables: their names in NetCDF.
        archive_names: their names in the archive.
        hours: of the day.
        origin: where what is missing comes from.
        generation: as what the job was planned (`weightcast.era5.receipt.generation_of`).
    """

    month: str
    area: tuple[float, float, float, float]
    spacing: float
    variables: tuple[str, ...]
    archive_names: tuple[str, ...]
    hours: tuple[int, ...]
    origin: str
    zarr_store: str
    directory: str
    generation: int

    @classmethod
    def of(cls, plan: Plan, area: str, month: str, generation: str) -> DownloadEra5:
        from weightcast.era5.request import plan_downloads
        from weightcast.era5.settings import ERA5Settings
        from weightcast.systems import read_settings

        settings = read_settings(ERA5Settings, source_settings(plan.study.data), "era5")
        request = plan_downloads(list(plan.table), settings)[area, month]
        return cls(
            month=month,
            area=(request.area.north, request.area.west, request.area.south, request.area.east),
            spacing=request.spacing,
            variables=request.variables,
            archive_names=request.archive_names,
            hours=request.hours,
            origin=settings.download,
            zarr_store=settings.zarr_store,
            directory=settings.directory,
            generation=int(generation),
        )
