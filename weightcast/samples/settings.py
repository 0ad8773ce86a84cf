"""The section ``data`` of a study across time: where samples come from, and which snapshots are seen."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError

CountingSystem = Literal["epidemic", "toggle-switch", "cascade-1", "cascade-2", "ecology", "birth-death"]
RealSystem = Literal["ornstein-uhlenbeck"]
StochasticSystem = Literal[CountingSystem, RealSystem]
SampleFormat = Literal["npy", "csv", "npz", "h5ad", "netcdf"]
StateKind = Literal["counts", "real"]


class SampleCounts(Settings):
    """How many trajectories a simulator makes."""

    train: int = Field(ge=2)
    """Trajectories that densities are fitted to."""
    held_out: int = Field(ge=2)
    """Trajectories that only the evaluation sees."""
    times: int = Field(default=101, ge=2)
    """Evenly spaced times, from 0 to the system's horizon."""


class SnapshotSettings(LaterSettings):
    later: ClassVar[tuple[str, ...]] = ("mass", "whitened", "observed")

    source: StochasticSystem | SampleFormat
    """A simulator, or the format of your own file: npy, csv, npz, h5ad or netcdf."""
    file: str | None = None
    """Your own file; relative to where snakemake runs. Of a study of environments across time: a folder with a file for
    each environment, ``<id>.csv`` say, or one long CSV table or AnnData file with a column of environments."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of the simulator: its rates; docs/across-time.md lists them. Of a file: how to read it; see docs/own-data.md."""
    state: StateKind
    """``counts``: whole numbers from 0; ``real``: any numbers."""
    states: int | None = Field(default=None, ge=2, le=4096)
    """For counts: every dimension is one of 0 to states - 1. Must be larger than the largest count of the data."""
    dimensions: list[str] = Field(min_length=1)
    """Names of the dimensions of the state (species, genes, principal components), in the order of the file."""
    trajectories: SampleCounts | None = None
    """For a simulator: how many trajectories."""
    held_out: float = Field(default=0.2, ge=0, lt=1)
    """For a file: part of its trajectories (or samples) that only the evaluation sees. 0, as some published protocols
    have it: all train, and predictions are compared with them; with those of a left-out time, which trained nothing."""
    mass: Literal["samples", "column"] | Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2)] | None = (
        None
    )
    """For a file: the size of the population at each time, which is then learned and evolved as well. ``samples``: the
    numbers of samples are these sizes; ``column``: a column of the table has them (data.settings.mass_column); or, of
    one system, a list of sizes, one for each of the data's times, in any unit. null: samples say nothing about it."""
    whitened: bool = False
    """For a file, of real states: whether each dimension is taken less its mean, over its standard deviation, of all
    samples, as published protocols have principal components. All that is written and scored is in these units."""
    observed_every: int = Field(default=1, ge=1)
    """Every so many of the data's times, from the first, is a snapshot that is seen; the others only evaluate."""
    observed: list[Annotated[int, Field(ge=0)]] | None = Field(default=None, min_length=2)
    """Which of the data's times, by number from 0, are snapshots, where gaps are to be uneven; the first must be among
    them. null: ``observed_every`` says it."""

    def seen(self, times: int) -> list[bool]:
        """Whether each of so many times is a snapshot that is seen.

        Raises:
            InputError: ``observed`` names a time that is not there.
        """
        if self.observed is None:
            return [position % self.observed_every == 0 for position in range(times)]
        if max(self.observed) >= times:
            raise InputError(
                f"{self.file or 'config'}: data.observed: found {max(self.observed)}, expected numbers from 0 to "
                f"{times - 1}, one for each of the data's times"
            )
        return [position in self.observed for position in range(times)]

    @property
    def imported(self) -> bool:
        """Whether the samples are the user's own file rather than made by a simulator."""
        return self.source in ("npy", "csv", "npz", "h5ad", "netcdf")

    @property
    def simulated_state(self) -> StateKind | None:
        """What state the study's simulator has; None where a file is imported."""
        if self.imported:
            return None
        return "real" if self.source in get_args(RealSystem) else "counts"
