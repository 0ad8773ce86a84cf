"""The stage ``import_trajectories``: trajectories of a few environments in a form that users have, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from weightcast.core.artifact_header import digest_of
from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.core.job import StageSettings
from weightcast.core.provenance import code_digest, file_digest
from weightcast.core.stage import stage
from weightcast.core.zarr_folder import is_store, store_files
from weightcast.environments.jobs import ImportTrajectories
from weightcast.environments.made_trajectories import MadeFiles
from weightcast.environments.trajectory_manifest import Manifest
from weightcast.trajectories import (
    Trajectories,
    read_archive,
    read_imported,
    read_npy_environment,
    read_npz_environment,
    write_trajectories,
)
from weightcast.trajectories.checks import check_counts, check_not_negative
from weightcast.trajectories.consecutive import cut_into_windows
from weightcast.trajectories.gaps import without_too_many_gaps
from weightcast.trajectories.land import with_land
from weightcast.trajectories.npz_folder import environment_index

if TYPE_CHECKING:
    from weightcast.core.run import Run


@dataclass(frozen=True)
class UserFiles:
    """The user's data of one environment: a NetCDF or ``.npy`` file, a Zarr store, a folder of ``.npy`` files, or one
    of the two ``.npz`` files that hold it beside others."""

    path: Path

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(path)

    @classmethod
    def input_digest(cls, path: Path, settings: StageSettings) -> list[str]:
        """Digests of the file, or of the folder's files in the order of their names."""
        return cls(path).digests()

    def digests(self) -> list[str]:
        """The same."""
        if is_store(self.path):
            return [_digest(file) for file in store_files(self.path)]
        return [_digest(file) for file in (sorted(self.path.glob("*.npy")) if self.path.is_dir() else [self.path])]


@stage("import_trajectories")
def import_trajectories(
    run: Run, settings: ImportTrajectories, source: list[UserFiles], test: list[UserFiles]
) -> Manifest:
    """Read and check one environment's trajectories after the other, but for those whose files are there.

    Each file is written as soon as its environment is read, beside the output.

    Args:
        run: whose output they lie beside.
        settings: what is expected of them.
        source: the user's files of each environment; of ``.npz`` those of trajectories to train.
        test: those of trajectories to test; none unless they are ``.npz``.

    Raises:
        InputError: they cannot be read, or are not what the study expects.
    """
    _digest.cache_clear()  # what was read before may be another file by now
    _archive.cache_clear()
    if len(source) != len(settings.ids) or len(test) not in (0, len(source)):
        raise InputError(
            f"job import_trajectories: inputs: found {len(source)} and {len(test)} files, expected {len(settings.ids)} "
            "and, of .npz files, as many: of each environment"
        )
    given = [source, test] if test else [source]
    own = {row.id: (row, *files) for row, *files in zip(settings.environments, *given, strict=True)}
    shared = settings.model_dump(mode="json", exclude={"environments"}) | {"code": code_digest(__name__)}
    files = MadeFiles(
        run.outputs["output"],
        {
            id: digest_of(shared | {"environment": row.text, "files": [one.digests() for one in mine]})
            for id, (row, *mine) in own.items()
        },
    )
    for id, (row, *mine) in own.items():
        if id not in files:
            found = _read(settings, row, [one.path for one in mine])
            if settings.windows:
                found = cut_into_windows(mine[0].path, found, settings.frames, settings.gaps is not None)
                check_counts(mine[0].path, len(found.values), settings.frames, settings.trajectories, settings.frames)
            if settings.gaps is not None:
                found = without_too_many_gaps(
                    mine[0].path, found, settings.channels, settings.frames, settings.history, settings.gaps
                )
                check_counts(mine[0].path, len(found.values), settings.frames, settings.trajectories, settings.frames)
            check_not_negative(mine[0].path, id, found.values, found.channels, settings.transforms)
            write_trajectories(files.path(id), found, gaps=settings.gaps is not None)
            files.note(id)
    return files.manifest(settings.ids)


def _read(settings: ImportTrajectories, environment: Environment, paths: Sequence[Path]) -> Trajectories:
    """One environment's trajectories, from one file or folder, or from two ``.npz`` files."""
    expected: dict[str, Any] = {
        "channels": settings.channels,
        "grid": settings.grid,
        "environment": environment.id,
        "parameters": environment.parameters,
        "minimum_frames": settings.frames,
    }
    if len(paths) > 1:
        expected |= {"trajectories": settings.trajectories, "test_trajectories": settings.test_trajectories}
        archives = _archive(paths[0]), _archive(paths[1])
        return read_npz_environment(*archives, environment_index(environment.id), **expected)
    (path,) = paths
    expected |= {
        "minimum_trajectories": 1 if settings.windows else settings.trajectories,
        "gaps": settings.gaps is not None or settings.windows or bool(settings.land),
        "missing": settings.missing,
    }
    gaps = settings.gaps is not None or settings.windows
    if (path.is_dir() and not is_store(path)) or path.suffix == ".npy":
        found = read_npy_environment(path, frame_step=settings.frame_step, **expected)
        return with_land(path, found, settings.land, gaps)
    named: dict[str, Any] = {"dimensions": settings.dimensions, "single": settings.windows, "regrid": settings.regrid}
    return with_land(path, read_imported(path, inputs=settings.inputs, **named, **expected), settings.land, gaps)


_digest = lru_cache(file_digest)
"""A pair of ``.npz`` files holds many environments: each file is digested, and read, once."""
_archive = lru_cache(maxsize=2)(read_archive)
