"""Where experts lie: one file an environment, of which no rule knows; manifests stand for them.

Snakemake deletes a rule's outputs before it runs the rule again. Experts take longest of all that a study computes, so
that their files are outputs of no rule: a job's manifest is, which names the files of its environments and their
digests, and so is the zoo, a manifest of all of them. Only light modules are imported here: Snakemake reads this file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

LONGEST = 2 * 64 * 1024**2
"""Bytes of a manifest, at most: what may be its metadata, with what JSON adds to them."""
FOLDER = "experts"
"""Beside the manifests of a base's shards."""


def expert_path(folder: Path, environment: str) -> Path:
    """Where the experts of an environment lie.

    Args:
        folder: of the manifests of a base's shards.
        environment: id.
    """
    return folder / FOLDER / f"{environment}.safetensors"


def forget_incomplete(folder: Path, shards: Mapping[str, Sequence[str]], zoos: Iterable[Path]) -> None:
    """Delete manifests of experts that are gone: what is missing is trained again, once it is needed.

    Args:
        folder: of the manifests of a base's shards.
        shards: ids of the environments of each.
        zoos: manifests that are gathered from these.
    """
    if not folder.is_dir():
        return
    experts = folder / FOLDER
    there = {path.name for path in experts.iterdir()} if experts.is_dir() else set()
    gone = [shard for shard, ids in shards.items() if not all(expert_path(folder, id).name in there for id in ids)]
    forgotten = [path for shard in gone if _is_manifest(path := folder / f"{shard}.safetensors")]
    if forgotten:
        forgotten += filter(_is_manifest, zoos)
    for path in forgotten:
        path.unlink()


def _is_manifest(path: Path) -> bool:
    """Whether there is a file without weights of its own: those that have some, as they were written once, are left."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            names = json.loads(file.read(min(length, LONGEST))).keys()
    except (ValueError, AttributeError, RecursionError, struct.error):
        return True
    return set(names) <= {"__metadata__"}
