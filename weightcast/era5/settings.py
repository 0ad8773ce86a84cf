"""Settings of the system era5."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from weightcast.core.config.system import SystemSettings
from weightcast.core.names import check_name
from weightcast.era5.times import period_months
from weightcast.era5.variables import reduced_channels

NAME = "era5"
PARAMETERS = ("latitude", "longitude")
SEASON = "month"
"""Optional column of the table: the calendar month in the middle of an environment's season."""
ARCO_ERA5 = "https://storage.googleapis.com/gcp-public-data-arco-era5/ar/full_37-1h-0p25deg-chunk-1.zarr-v3"
Origin = Literal["climate-data-store", "zarr-store", "none"]


class ERA5Settings(SystemSettings):
    """What is read and how it is cut. Hours and months are UTC."""

    directory: str = Field(default="data/era5", min_length=1, description="folder with ERA5 files, downloaded or yours")
    download: Origin = Field(
        default="climate-data-store",
        description="where missing files come from: the Climate Data Store (needs a key), a public Zarr store, or none",
    )
    zarr_store: str = Field(default=ARCO_ERA5, description="address of the Zarr store, in the layout of ARCO-ERA5")
    variables: list[str] = Field(default=["u10", "v10"], min_length=1, description="single-level variables to read")
    archive_names: dict[str, str] = Field(
        default={}, description="name in the archive of each variable that weightcast/era5/variables.py does not list"
    )
    wind_speed: bool = Field(default=False, description="reduce each pair of components, u10 and v10 say, to its speed")
    periods: list[str] | None = Field(
        default=["2018-12/2020-11"], description="first and last month of each; null: all hours that the files hold"
    )
    season_months: int = Field(
        default=3, ge=1, le=12, description="length of a season, around the table's column `month` if it has one"
    )
    frame_hours: int | None = Field(
        default=3, ge=1, description="hours between frames, counted from 00:00; null: frames as the files hold them"
    )
    uneven_hours: int = Field(
        default=0, ge=0, description="by how much steps may differ where frame_hours is null; their mean is then stated"
    )
    preliminary: Literal["warn", "refuse"] = Field(
        default="warn", description="what to do about ERA5T, which final data replace some months later"
    )
    region_size: float = Field(default=16.0, gt=0, le=90, description="side of a region in degrees, around its centre")
    spacing: float = Field(default=0.5, gt=0, description="degrees between points: every n-th of the files' points")
    offset: list[float] = Field(
        default=[0.0, 0.0],
        min_length=2,
        max_length=2,
        description="degrees (latitude, longitude) by which your files' points lie beyond multiples of spacing",
    )
    frames: int = Field(default=25, ge=2, description="frames per trajectory; left-over ones at the end are not used")
    trajectories: int | None = Field(default=None, ge=1, description="the first so many; null: as many as there are")

    @property
    def grid_size(self) -> int:
        """Points along each side of a region."""
        return round(self.region_size / self.spacing)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels of the trajectories."""
        return reduced_channels(self.variables, self.wind_speed)

    @property
    def months(self) -> list[str] | None:
        """Every month of the periods, such as 2020-01; None if there are no periods."""
        return None if self.periods is None else [month for each in self.periods for month in period_months(each)]

    @field_validator("variables")
    @classmethod
    def _are_names(cls, names: list[str]) -> list[str]:
        for name in names:
            check_name(name, "variables", f"settings of {NAME}")
        if len(set(names)) < len(names):
            raise ValueError("every variable once")
        return names

    @model_validator(mode="after")
    def _fit_together(self) -> ERA5Settings:
        if abs(self.region_size / self.spacing - self.grid_size) > 1e-6 or self.grid_size < 2:
            raise ValueError(f"region_size a multiple of spacing {self.spacing:g}, at least twice as long")
        if self.periods is not None and not self.periods:
            raise ValueError("periods: one or more, or null")
        months = self.months or []
        if len(set(months)) < len(months):
            raise ValueError("periods that do not overlap")
        if self.download != "none" and any(self.offset):
            raise ValueError("offset: [0, 0], unless download is none")
        if self.download != "none" and self.frame_hours is None:
            raise ValueError("frame_hours, unless download is none")
        if self.download != "none" and self.periods is None:
            raise ValueError("periods, unless download is none")
        if not self.zarr_store.startswith("https://") and self.download == "zarr-store":
            raise ValueError("zarr_store: an address that begins with https://")
        _ = self.channels  # refuses wind_speed without components
        return self
