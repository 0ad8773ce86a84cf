"""Trajectories of one environment: in memory, on disk, and in the forms that users bring them.

There is one form on disk, which the whole pipeline reads: NetCDF with the dimensions (trajectory, time, y, x), a
variable per channel, the environment's id and parameters as attributes (`write_trajectories`, `read_trajectories`).
"""

from weightcast.trajectories.find import (
    FileFormat,
    data_without_row,
    environment_names,
    find_environment_files,
    find_npz_files,
    find_source_files,
)
from weightcast.trajectories.imported import read_imported
from weightcast.trajectories.netcdf import TrajectoryFile, read_trajectories, write_trajectories
from weightcast.trajectories.npy import read_npy_environment
from weightcast.trajectories.npz import read_archive, read_npz_environment
from weightcast.trajectories.record import Trajectories

__all__ = [
    "FileFormat",
    "Trajectories",
    "TrajectoryFile",
    "data_without_row",
    "environment_names",
    "find_environment_files",
    "find_npz_files",
    "find_source_files",
    "read_archive",
    "read_imported",
    "read_npy_environment",
    "read_npz_environment",
    "read_trajectories",
    "write_trajectories",
]
