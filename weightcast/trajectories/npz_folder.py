"""A folder of `.npz` archives as the adaptation benchmarks of CoDA publish them, and the environments in it.

`train.npz` and `test.npz` hold the environments that are trained on, `ood_train.npz` and `ood_test.npz` those that are
adapted to; an environment has the same index in both files of a pair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from weightcast.core.environment_table import Environment, EnvironmentTable, Role
from weightcast.core.errors import InputError
from weightcast.trajectories.npz import ArchiveHead, check_same_times, read_head

PAIRS: dict[str, tuple[str, str]] = {
    "visible": ("train.npz", "test.npz"),
    "adapt": ("ood_train.npz", "ood_test.npz"),
}
"""Files of trajectories to train and to test, by what the ids of their environments begin with."""
PURPOSES = {
    "train.npz": "what visible environments train on",
    "test.npz": "what forecasts in them are compared with",
    "ood_train.npz": "what is shown of environments to adapt to",
    "ood_test.npz": "what forecasts in those are compared with",
}
FILES = tuple(PURPOSES)
ROLE_OF_PAIR: dict[str, Role] = {"visible": "visible", "adapt": "extrapolation"}
_ID = re.compile(rf"({'|'.join(PAIRS)})-(0|[1-9]\d*)")


@dataclass(frozen=True)
class NpzFolder:
    """What a folder holds.

    Attributes:
        directory: the folder.
        pairs: heads of the files to train and to test, by the name of the pair; `adapt` may be missing.
    """

    directory: Path
    pairs: dict[str, tuple[ArchiveHead, ArchiveHead]]

    @property
    def visible(self) -> tuple[ArchiveHead, ArchiveHead]:
        return self.pairs["visible"]

    @property
    def ids(self) -> dict[str, tuple[Path, ...]]:
        """Files to train and to test of every environment, by id: `visible-0`, `visible-1`, ..., `adapt-0`, ..."""
        return {
            f"{name}-{index}": (train.file, test.file)
            for name, (train, test) in self.pairs.items()
            for index in range(train.environments)
        }

    def table(self, path: Path) -> EnvironmentTable:
        """A table without parameters, to be written at a path: files do not say what an environment is."""
        rows = [Environment(id, {}, ROLE_OF_PAIR[id.partition("-")[0]]) for id in self.ids]
        return EnvironmentTable(tuple(rows), (), path)


def is_npz_folder(directory: Path) -> bool:
    """Whether a folder holds a file of that name, and so is meant to be one."""
    return any((directory / name).is_file() for name in FILES)


def environment_index(id: str) -> int:
    """The index of an environment in its files; the id is one of :attr:`NpzFolder.ids`."""
    found = _ID.fullmatch(id)
    if found is None:
        raise InputError(f"environment {id}: found another id, expected visible-<index> or adapt-<index> as .npz files")
    return int(found[2])


def open_npz_folder(directory: str | Path) -> NpzFolder:
    """Read the heads of a folder's files and check that they fit each other.

    Raises:
        InputError: the folder or a file is missing or cannot be used, or the numbers of environments, the states or the
            times of two files differ.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: found no such folder, expected one with {', '.join(FILES)}")
    found = [name for name in FILES if (directory / name).is_file()]
    pairs = {name: pair for name, pair in PAIRS.items() if name == "visible" or not set(pair).isdisjoint(found)}
    missing = [f"{file} ({PURPOSES[file]})" for pair in pairs.values() for file in pair if file not in found]
    if missing:
        raise InputError(
            f"{directory}: found {', '.join(found) or 'none of ' + ', '.join(FILES)}, expected also "
            f"{', '.join(missing)}"
        )
    heads = {name: (read_head(directory / train), read_head(directory / test)) for name, (train, test) in pairs.items()}
    first = heads["visible"][0]
    for train, test in heads.values():
        if train.environments != test.environments:
            raise InputError(
                f"{test.file}: X: found {test.environments} environments, expected {train.environments} as in "
                f"{train.file}: an environment has the same index in both"
            )
        for head in (train, test):
            check_same_times(first, head)
            if head.state != first.state:
                raise InputError(
                    f"{head.file}: X: found states of shape {head.state}, expected {first.state} as in {first.file}"
                )
    return NpzFolder(directory, heads)
