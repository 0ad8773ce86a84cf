"""Trajectories that one job makes: a manifest, which the pipeline knows as its output, and files, which it does not.

Snakemake deletes a rule's outputs before it runs the rule again, and looks at every input of every rule whenever it
plans. Files of trajectories are therefore outputs and inputs of no rule: manifests stand for them, each for the
environments of a job, whose trajectories lie in one file where there are several.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole

HEADER = "environment,sha256,file"
LIST = "list-"
"""What names of lists of manifests begin with."""
TOGETHER = "together"
"""Folder beside manifests with files of several environments."""


class Made(NamedTuple):
    """Where trajectories of an environment are.

    Attributes:
        digest: of the file, or, where it is of several environments, of the environment's trajectories in it.
        file: its path, seen from the manifest.
    """

    digest: str
    file: str


@dataclass(frozen=True)
class Manifest:
    """Which trajectories there are, by their contents: as long as these are the same, so is the manifest.

    Attributes:
        made: of each environment.
    """

    made: Mapping[str, Made]

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: it is none.
        """
        try:
            header, *lines = path.read_text(encoding="utf-8").splitlines()
            if header != HEADER:
                raise ValueError
            return cls({id: Made(*rest) for id, *rest in (line.split(",") for line in lines)})
        except (OSError, ValueError, TypeError):
            raise InputError(
                f"{path}: cannot be read, expected a manifest of trajectories: delete it, and run again"
            ) from None

    def save(self, path: Path) -> None:
        """Write as CSV: environment, sha256, file."""
        lines = [HEADER, *(f"{id},{made.digest},{made.file}" for id, made in self.made.items())]
        with written_whole(path) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def find_files(folder: Path) -> dict[str, Path]:
    """The file that has the trajectories of each environment, as the manifests of a folder say.

    Raises:
        InputError: a manifest cannot be read.
    """
    files: dict[str, Path] = {}
    for path in folder.glob("*.csv"):
        if path.name.startswith(LIST):
            continue
        try:
            made = Manifest.load(path).made
        except InputError:
            if path.exists():
                raise
            continue  # its job runs again just now: nobody who needs its files runs meanwhile
        files |= {id: folder / one.file for id, one in made.items()}
    return files


def forget_incomplete(folder: Path, shards: Mapping[str, Sequence[str]]) -> None:
    """Delete manifests of files that are gone or of other shards, and lists of them: what is missing is made again,
    once it is needed. While nothing is missing, files of several environments go that no manifest names any more."""
    if not folder.is_dir():
        return
    complete: dict[str, Manifest] = {}
    there = {path.name for path in folder.iterdir()} | {
        f"{TOGETHER}/{path.name}" for path in folder.glob(f"{TOGETHER}/*")
    }
    manifests = {name.removesuffix(".csv") for name in there if name.endswith(".csv") and not name.startswith(LIST)}
    for shard in manifests & set(shards):
        with suppress(InputError):
            manifest = Manifest.load(folder / f"{shard}.csv")
            if list(manifest.made) == list(shards[shard]) and all(
                made.file in there for made in manifest.made.values()
            ):
                complete[shard] = manifest
    forgotten = [f"{shard}.csv" for shard in manifests - set(complete)]
    if forgotten:
        forgotten += [name for name in there if name.startswith(LIST) and name.endswith(".csv")]
    if len(complete) == len(shards):
        named = {made.file for manifest in complete.values() for made in manifest.made.values()}
        forgotten += [name for name in there if name.startswith(f"{TOGETHER}/") and name not in named]
    for name in forgotten:
        (folder / name).unlink(missing_ok=True)


def list_name(ids: Sequence[str]) -> str:
    """The name of the list of manifests of some environments: the same for the same ones in the same order."""
    return f"{LIST}{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:12]}"
