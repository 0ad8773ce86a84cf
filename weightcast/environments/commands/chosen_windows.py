"""Whether trajectories of files are cut into windows: of one long record, or of very different lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weightcast.core.dimensions import Dimension
from weightcast.core.errors import InputError
from weightcast.trajectories import FileFormat
from weightcast.trajectories.netcdf import lengths
from weightcast.trajectories.npy import npy_files

FEWEST_TRAJECTORIES = 3
FEWEST_FRAMES = 5
FEWEST_GIVEN = 3
"""Frames of a window, where somebody says so."""
FRAMES = 21
"""Of a window, where records are long enough: twice of what is trained."""
ENOUGH = 10
"""Windows of an environment."""
GAIN = 1.5
"""Windows over trajectories, of the environment with the fewest, for which longer ones are cut."""


@dataclass(frozen=True)
class ChosenWindows:
    """How long windows are.

    Attributes:
        frames: of each; None: trajectories are taken as they are.
        why: in words, for people.
    """

    frames: int | None
    why: str = ""


NO_WINDOWS = ChosenWindows(None)


def choose_windows(
    files: Mapping[str, Path], format: FileFormat, dimensions: Mapping[Dimension, str] | None, asked: int | None
) -> ChosenWindows:
    """Cut where files hold less than three trajectories, or where the shortest one would keep the others short.

    Args:
        files: of each environment by id.
        format: of the files.
        dimensions: what NetCDF files call theirs; None: recognised.
        asked: frames of a window, by ``--frames``; None: nobody says.

    Raises:
        InputError: there are too few windows of what is asked for.
    """
    sizes = {id: _lengths(path, format, dimensions) for id, path in files.items()}
    if any(not size or 0 in size for size in sizes.values()):
        return NO_WINDOWS  # whoever reads the file says what is wrong with it
    fewest = min(map(len, sizes.values()))
    shortest = min(map(min, sizes.values()))

    def windows(id: str, frames: int) -> int:
        return sum(length // frames for length in sizes[id])

    def least(frames: int) -> int:
        return min(windows(id, frames) for id in sizes)

    if asked is not None:
        if asked < FEWEST_GIVEN or least(asked) < FEWEST_TRAJECTORIES:
            id = min(sizes, key=lambda one: windows(one, max(asked, 1)))
            low, high = min(sizes[id]), max(sizes[id])
            raise InputError(
                f"--frames: found {asked}, expected {FEWEST_GIVEN} or more, and so few that each environment has "
                f"{FEWEST_TRAJECTORIES} windows: {files[id]} has {len(sizes[id])} trajectories of "
                f"{low if low == high else f'{low} to {high}'} frames"
            )
        return ChosenWindows(asked, "--frames")
    if fewest < FEWEST_TRAJECTORIES:
        frames = FRAMES
        while frames > FEWEST_FRAMES and least(frames) < ENOUGH:
            frames = max(FEWEST_FRAMES, (frames + 1) // 2)
        if least(frames) < FEWEST_TRAJECTORIES:
            return NO_WINDOWS  # whoever reads the file says what it lacks
        return ChosenWindows(frames, f"files hold {fewest} trajectories at least; --frames overrules")
    if least(shortest) >= GAIN * fewest:
        return ChosenWindows(shortest, "as the shortest are; --frames overrules")
    return NO_WINDOWS


def _lengths(path: Path, format: FileFormat, dimensions: Mapping[Dimension, str] | None) -> list[int]:
    """Numbers of frames of each trajectory; none where the file cannot be read."""
    if format == "netcdf":
        count, length = lengths(path, dimensions)
        return [length] * count
    try:
        return [int(np.load(file, mmap_mode="r", allow_pickle=False).shape[0]) for file in npy_files(path)]
    except (OSError, ValueError, EOFError, AttributeError, IndexError):
        return []
