"""The model zoo: what each expert is, and its weights, which stay in their files until some of them are asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from weightcast.core.artifacts import Artifact, load_artifact, open_artifact, save_artifact, understood, verify_tensors
from weightcast.core.errors import InputError
from weightcast.core.stored_tensor import JoinedRows, Rows, StoredTensor

_OF_A_FILE = "experts-of-an-environment"
"""The kind of the files of experts."""


class ExpertFile:
    """Experts of one environment in a file: rows [member, weight], verified when the first of them are read.

    Args:
        path: of the file.
        digest: of its tensor, as the manifest has it.
        shape: [member, weight], likewise.
        manifest: the file that says so, for complaints; None where the file itself was asked.
    """

    def __init__(self, path: Path, digest: str, shape: Sequence[int], manifest: Path | None = None) -> None:
        self.path, self.digest, self.shape, self.manifest = path, digest, torch.Size(shape), manifest

    @classmethod
    def save(
        cls, path: Path, weights: Rows, manifest: Sequence[Mapping[str, Any]], made_from: str | None = None
    ) -> ExpertFile:
        """Write the experts of an environment.

        Args:
            path: where to.
            weights: [member, weight].
            manifest: an entry a member, as in :class:`Zoo`.
            made_from: digest of all that they depend on, by which they are known again.
        """
        described = {"manifest": list(manifest)} | ({} if made_from is None else {"made_from": made_from})
        save_artifact(path, _OF_A_FILE, {"weights": weights}, described)
        return cls.open(path)[0]

    @classmethod
    def open(cls, path: Path) -> tuple[ExpertFile, dict[str, Any]]:
        """A file that is there, and its metadata; its experts are still to be verified.

        Raises:
            InputError: it is none.
        """
        artifact = open_artifact(path, _OF_A_FILE, verified=False)
        with understood(artifact):
            tensor = _weights(artifact.tensors, artifact.metadata["manifest"], path)
        return cls(path, artifact.metadata["tensors_digest"], tensor.shape), artifact.metadata

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        return self._verified[rows]

    def verify(self) -> None:
        """Read the whole file once, unless that has been done.

        Raises:
            InputError: it is gone, damaged, or holds other experts than the manifest says.
        """
        assert self._verified is not None

    @cached_property
    def _verified(self) -> StoredTensor:
        try:
            found = self._read()
            if found.shape != self.shape:
                raise InputError(f"{self.path}: found shape {list(found.shape)}, expected {list(self.shape)}")
        except InputError as error:
            if self.manifest is None:
                raise
            raise InputError(f"{self.manifest}: files: {error}") from None
        return found

    def _read(self) -> StoredTensor:
        """The experts, checked against their digest."""
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file, expected experts that a zoo is the manifest of: run it again")
        artifact = open_artifact(self.path, _OF_A_FILE, verified=False)
        found = artifact.metadata["tensors_digest"]
        if found != self.digest:
            raise InputError(
                f"{self.path}: found experts with digest {found[:12]}, expected {self.digest[:12]} as in the zoo's "
                "manifest: delete the file, and run again"
            )
        verify_tensors(artifact.tensors, artifact.metadata, self.path)
        with understood(artifact):
            return _weights(artifact.tensors, artifact.metadata["manifest"], self.path)


@dataclass(frozen=True)
class Zoo:
    """Experts of many environments.

    Attributes:
        weights: [member, weight]: a tensor, or rows of files, which are read when they are asked for.
        manifest: an entry a member: environment, member, seed, diverged, train_error, validation_error, seconds,
            data_digest.
        metadata: what all members share: architecture, normalisation, condition, base digest, settings.
    """

    weights: Rows
    manifest: list[dict[str, Any]]
    metadata: dict[str, Any]

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """The zoo that an artifact is the manifest of.

        Raises:
            InputError: a file of experts is gone, or the manifest contradicts itself.
        """
        metadata, path = dict(artifact.metadata), artifact.path
        with understood(artifact):
            manifest, described = metadata.pop("manifest"), metadata.pop("files")
            files = [_file_of(one, path) for one in described]
            counts = [len(file) for file in files]
            widths = {file.shape[1] for file in files}
            if sum(counts) != len(manifest) or len(widths) != 1:
                found = f"{sum(counts)} experts of {_some(widths)} weights"
                raise InputError(f"{path}: files: found {found}, expected {len(manifest)} of one size")
            return cls(JoinedRows.of(files), manifest, metadata)

    kind: ClassVar[str] = "zoo"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a manifest of this kind; weights stay where they are.

        Raises:
            InputError: it is missing, damaged or of another kind.
        """
        return cls.from_artifact(load_artifact(path, cls.kind))

    def save(self, path: str | Path) -> None:
        """Write the manifest of files of experts. Experts that are in none, or in parts of some, are written to a
        folder of the manifest's name beside it, a file an environment."""
        path = Path(path)
        folder = path.with_name(f"{path.stem}.experts")
        files = _whole_files(self.weights)
        if files is None:
            files = [
                ExpertFile.save(folder / f"{environment}.safetensors", self.weights[rows], entries)
                for environment, rows, entries in self._by_environment()
            ]
        described = [
            {
                "file": os.path.relpath(file.path.absolute(), path.absolute().parent),
                "tensors_digest": file.digest,
                "shape": list(file.shape),
            }
            for file in files
        ]
        save_artifact(path, self.kind, {}, self.metadata | {"manifest": self.manifest, "files": described})

    def verify(self) -> int:
        """Read all weights once, and check them against their digests; how many files that were.

        Raises:
            InputError: one is gone, damaged, or holds other experts than the manifest says.
        """
        files = _whole_files(self.weights) or []
        for file in files:
            file.verify()
        return len(files)

    def healthy(self) -> Zoo:
        """Only the members that did not diverge: what generators and regressions learn from.

        Raises:
            InputError: none is left.
        """
        kept = [position for position, entry in enumerate(self.manifest) if not entry["diverged"]]
        if not kept:
            raise InputError(f"zoo: all {len(self.manifest)} experts diverged, expected at least one that did not")
        return self if len(kept) == len(self.manifest) else self.take(kept)

    def of_environments(self, environments: Sequence[str]) -> Zoo:
        """The members of the given environments, in the zoo's order."""
        wanted = set(environments)
        return self.take([position for position, entry in enumerate(self.manifest) if entry["environment"] in wanted])

    def take(self, positions: Sequence[int]) -> Zoo:
        """The members at the given positions."""
        weights = self.weights.take(positions) if isinstance(self.weights, JoinedRows) else self.weights[positions]
        return Zoo(weights, [self.manifest[position] for position in positions], self.metadata)

    @property
    def numbers(self) -> int:
        """How many weights all members have together."""
        return math.prod(self.weights.shape)

    @property
    def environments(self) -> list[str]:
        """The environment of each member."""
        return [entry["environment"] for entry in self.manifest]

    @property
    def seconds(self) -> float:
        """Training time of all members together."""
        return float(sum(entry["seconds"] for entry in self.manifest))

    def _by_environment(self) -> Iterator[tuple[str, list[int], list[dict[str, Any]]]]:
        of: dict[str, list[int]] = {}
        for row, environment in enumerate(self.environments):
            of.setdefault(environment, []).append(row)
        for environment, rows in of.items():
            yield environment, rows, [self.manifest[row] for row in rows]


class ExpertShard(Zoo):
    """Experts as one job trained them."""

    kind = "experts"


def gather(shards: Sequence[Zoo], environments: Sequence[str]) -> Zoo:
    """One zoo from shards, its members in the order of ``environments``; no weights are read.

    Raises:
        InputError: an environment has no expert in any shard.
    """
    entries = [entry for shard in shards for entry in shard.manifest]
    of: dict[str, list[int]] = {}
    for position, entry in enumerate(entries):
        of.setdefault(entry["environment"], []).append(position)
    missing = [environment for environment in environments if environment not in of]
    if missing:
        raise InputError(f"zoo: no expert for environment {missing[0]!r} in any shard: rerun the stage zoo")
    ordered = [row for name in environments for row in sorted(of[name], key=lambda row: entries[row]["member"])]
    weights = JoinedRows.of([shard.weights for shard in shards]).take(ordered)
    return Zoo(weights, [entries[row] for row in ordered], shards[0].metadata)


def own_experts(zoo: Zoo, reference: Zoo | None) -> tuple[list[dict[str, Any]], Rows]:
    """The first expert of each environment, diverged or not: entries of manifests, and weights [environment, weight].

    Args:
        zoo: of the visible environments.
        reference: of unseen ones; None where there is none.
    """
    first = zoo.take([row for row, entry in enumerate(zoo.manifest) if entry["member"] == 0])
    zoos = [first] if reference is None else [first, reference]
    return [entry for one in zoos for entry in one.manifest], JoinedRows.of([one.weights for one in zoos])


def _weights(tensors: Mapping[str, StoredTensor], manifest: Sequence[Any], path: Path) -> StoredTensor:
    weights = tensors["weights"]
    if len(weights.shape) != 2 or len(weights) != len(manifest):
        found, expected = list(weights.shape), len(manifest)
        raise InputError(f"{path}: tensors: weights: found shape {found}, expected [{expected}, weight]")
    return weights


def _file_of(described: Mapping[str, Any], manifest: Path) -> ExpertFile:
    path = Path(os.path.normpath(manifest.parent / described["file"]))
    if not path.is_file():
        raise InputError(f"{manifest}: files: found no {path}, expected experts of this zoo there: run it again")
    return ExpertFile(path, described["tensors_digest"], described["shape"], manifest)


def _whole_files(weights: Rows) -> list[ExpertFile] | None:
    """The files that weights are all of, in their order; None where there is something else, or less."""
    if not isinstance(weights, JoinedRows):
        return None
    files = [part for part in weights.parts if isinstance(part, ExpertFile)]
    whole = JoinedRows.of(weights.parts)
    same = torch.equal(whole.part_of, weights.part_of) and torch.equal(whole.row_of, weights.row_of)
    return files if same and len(files) == len(weights.parts) else None


def _some(counts: set[int]) -> str:
    return " and ".join(map(str, sorted(counts)[:3])) or "no"
