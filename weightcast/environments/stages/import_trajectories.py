"""The stage ``import_trajectories``: one environment's trajectories in a form that users have, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from weightcast.core.job import StageSettings
from weightcast.core.provenance import file_digest
from weightcast.core.stage import stage
from weightcast.environments.jobs import ImportTrajectories
from weightcast.trajectories import (
    TrajectoryFile,
    read_archive,
    read_npy_environment,
    read_npz_environment,
    read_trajectories,
)
from weightcast.trajectories.npz_folder import environment_index

if TYPE_CHECKING:
    from weightcast.core.run import Run


@dataclass(frozen=True)
class UserFiles:
    """The user's data of one environment: a NetCDF or ``.npy`` file, a folder of ``.npy`` files, or one of the two
    ``.npz`` files that hold it beside others."""

    path: Path

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(path)

    @classmethod
    def input_digest(cls, path: Path, settings: StageSettings) -> list[str]:
        """Digests of the file, or of the folder's files in the order of their names."""
        return [file_digest(file) for file in (sorted(path.glob("*.npy")) if path.is_dir() else [path])]


@stage("import_trajectories")
def import_trajectories(
    run: Run, settings: ImportTrajectories, source: UserFiles, test: UserFiles | None = None
) -> TrajectoryFile:
    """Read and check one environment's trajectories.

    Args:
        run: not used.
        settings: what is expected of them.
        source: the user's files; of ``.npz`` that of trajectories to train.
        test: that of trajectories to test; None unless they are ``.npz``.

    Raises:
        InputError: they cannot be read, or are not what the study expects.
    """
    (environment,) = settings.environments
    expected: dict[str, Any] = {
        "channels": settings.channels,
        "grid": settings.grid,
        "environment": environment.id,
        "parameters": environment.parameters,
        "minimum_frames": settings.frames,
    }
    path = source.path
    if test is not None:
        expected |= {"trajectories": settings.trajectories, "test_trajectories": settings.test_trajectories}
        archives = read_archive(path), read_archive(test.path)
        return TrajectoryFile(read_npz_environment(*archives, environment_index(environment.id), **expected))
    expected["minimum_trajectories"] = settings.trajectories
    if path.is_dir() or path.suffix == ".npy":
        return TrajectoryFile(read_npy_environment(path, frame_step=settings.frame_step, **expected))
    return TrajectoryFile(read_trajectories(path, **expected))
