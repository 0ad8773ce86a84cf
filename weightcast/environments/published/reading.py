"""A published zoo as it lies in its folder: verified, and read row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from weightcast.core.artifact_header import one_line
from weightcast.core.artifacts import one_line_for
from weightcast.core.errors import InputError
from weightcast.core.job import StageSettings
from weightcast.core.provenance import file_digest
from weightcast.core.stored_tensor import JoinedRows, StoredTensor, stored_tensors
from weightcast.environments.config.zoo import PublishedBase
from weightcast.environments.model import PhysicalPredictor, physical_predictors
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.published.manifest import (
    NAME,
    TEXTS,
    PublishedExpert,
    PublishedExperts,
    ZooManifest,
    read_manifest,
)
from weightcast.environments.zoo import Zoo

WEIGHTS, STATES = "weights", "states"
"""Names of the tensors in files of experts and of states."""


@dataclass(frozen=True)
class PublishedZoo:
    """A folder that somebody has published.

    Attributes:
        folder: where it lies.
        manifest: what it says of itself, checked.
    """

    folder: Path
    manifest: ZooManifest

    @classmethod
    def open(cls, folder: str | Path) -> PublishedZoo:
        """A folder by its manifest; numbers are verified when they are read, or all of them by :meth:`verify`.

        Raises:
            InputError: the manifest cannot be used.
        """
        return cls(Path(folder), read_manifest(folder))

    @classmethod
    def load(cls, path: Path) -> PublishedZoo:
        """The same by the path of the manifest, as a stage is given it."""
        return cls.open(path.parent)

    @classmethod
    def input_digest(cls, path: Path, settings: StageSettings) -> str:
        """The digest of the manifest, which has those of all files."""
        return read_manifest(path.parent).digest

    @property
    def path(self) -> Path:
        """Where the manifest lies."""
        return self.folder / NAME

    def base(self, name: str | None = None) -> PublishedBase:
        """A base whose experts there are: the one that is asked for, or the conditioned one before the pooled one.

        Raises:
            InputError: there is none of this name.
        """
        there = sorted(self.manifest.zoos)
        found = there[0] if name is None else next((base for base in there if base == name), None)
        if found is None:
            raise InputError(f"{self.path}: zoos: found no {name!r}, expected {' or '.join(there)}")
        return found

    def weights(self, base: PublishedBase) -> PublishedRows:
        """The experts of a base [expert, weight], each verified when it is first read.

        Raises:
            InputError: a file is gone, or has another tensor than the manifest says.
        """
        experts = self.manifest.zoos[base]
        parts = [self._tensor(shard.file, WEIGHTS, [shard.rows, experts.weights]) for shard in experts.shards]
        return PublishedRows(JoinedRows.of(parts), experts.experts, self.path)

    def states(self) -> StoredTensor:
        """Sample states [environment, state, channel, y, x], in physical units.

        Raises:
            InputError: as for :meth:`weights`.
        """
        return self._tensor(self.manifest.states.file, STATES, self.manifest.state_shape)

    def zoo(self, base: PublishedBase) -> Zoo:
        """The experts of a base as a zoo, whose weights are read when they are asked for."""
        published = self.manifest.zoos[base]
        metadata = {
            "architecture": dict(published.architecture),
            "normalisation": published.normalisation.model_dump(),
            "base": published.base,
            "base_seconds": published.base_seconds,
            "study_seed": self.manifest.study_seed,
            "published_digest": self.manifest.digest,
        }
        return Zoo(self.weights(base), [entry_of(expert) for expert in published.experts], metadata)

    def judge(self, base: PublishedBase, environment: str) -> int:
        """The row of the expert that others are compared with in its environment: the last that did not diverge, so
        that, where there are several, the first stands beside it like any other network.

        Raises:
            InputError: there is none.
        """
        rows = self.rows_of(base, environment)
        if not rows:
            raise InputError(
                f"{self.path}: zoos.{base}.experts: found none of {environment!r} that did not diverge, expected one"
            )
        return rows[-1]

    def rows_of(self, base: PublishedBase, environment: str) -> list[int]:
        """The experts of an environment that did not diverge, by row, in the order of their numbers."""
        experts = self.manifest.zoos[base].experts
        own = [row for row, one in enumerate(experts) if one.environment == environment and not one.diverged]
        return sorted(own, key=lambda row: experts[row].member)

    def predictors(self, environment: str, base: PublishedBase | None = None) -> list[PhysicalPredictor]:
        """The experts of an environment that did not diverge, as modules in physical units.

        Raises:
            InputError: there are none, or their files are not what the manifest says.
        """
        base = self.base(base)
        self.judge(base, environment)
        published = self.manifest.zoos[base]
        parameters = next(one.parameters for one in self.manifest.environments if one.id == environment)
        shared = {"architecture": published.architecture, "normalisation": published.normalisation.model_dump()}
        with one_line_for(self.path, "a published zoo"):
            return physical_predictors(self.weights(base)[self.rows_of(base, environment)], shared, parameters)

    def verify(self, progress: Callable[[str], None] = lambda file: None) -> list[str]:
        """Read everything once, and check it against the manifest.

        Args:
            progress: is told each file before it is read.

        Returns:
            Files of text that are not as they were written, which people may have edited.

        Raises:
            InputError: a file of numbers is gone or another one, has numbers that are none, or an expert is not what
                the manifest says of it.
        """
        edited = []
        for name, described in sorted(self.manifest.files.items()):
            path = self.folder / name
            if name in TEXTS:
                if not path.is_file() or file_digest(path) != described.sha256:
                    edited.append(name)
                continue
            progress(name)
            self._check_length(name)
            found = file_digest(path)
            if found != described.sha256:
                raise InputError(f"{path}: found digest {found[:12]}, expected {described.sha256[:12]}: damaged")
        for base, experts in self.manifest.zoos.items():
            self._check_predictor(experts)
            progress(f"experts of the base {base}")
            self.weights(base).verify()
        states = self.states()
        for row in range(len(states)):
            _check_finite(states[row], f"{states.path}: {STATES}: environment {self.manifest.ids[row]}")
        return edited

    def _check_predictor(self, experts: PublishedExperts) -> None:
        """That a predictor can be built, and has the parameters that the manifest says."""
        with one_line_for(self.path, "a published zoo"):
            graph = StackedPredictor.of_architecture(experts.architecture).graph
        found = [(one.name, tuple(one.shape)) for one in experts.parameters]
        if found != list(graph.shapes.items()):
            raise InputError(f"{self.path}: parameters: found others than the architecture has, expected those")

    def _tensor(self, name: str, tensor: str, shape: Sequence[int]) -> StoredTensor:
        path = self.folder / name
        self._check_length(name)
        try:
            with safe_open(path, framework="numpy") as file:
                parts = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
                found = {key: (list(part.get_shape()), str(part.get_dtype())) for key, part in parts.items()}
        except (SafetensorError, OSError, ValueError, TypeError) as error:
            said = one_line(error)[:300]
            raise InputError(f"{path}: not a readable safetensors file ({said}): truncated or damaged") from None
        if found != {tensor: (list(shape), "F32")}:
            said = ", ".join(f"{key[:64]} {kind} {sizes}" for key, (sizes, kind) in found.items())[:300] or "no tensor"
            raise InputError(f"{path}: tensors: found {said}, expected {tensor} F32 {list(shape)}")
        return stored_tensors(path)[tensor]

    def _check_length(self, name: str) -> None:
        path, expected = self.folder / name, self.manifest.files[name].bytes
        if not path.is_file():
            raise InputError(f"{path}: no such file, expected one of a published zoo: downloaded as a whole?")
        found = path.stat().st_size
        if found != expected:
            raise InputError(f"{path}: found {found:,} bytes, expected {expected:,}: downloaded as a whole?")


class PublishedRows:
    """Experts [expert, weight], each of which is verified when it is first read.

    Args:
        rows: as they lie in files.
        experts: what the manifest says of each.
        path: of the manifest.
    """

    dtype = torch.float32

    def __init__(self, rows: JoinedRows, experts: Sequence[PublishedExpert], path: Path) -> None:
        self._rows, self._experts, self._path = rows, experts, path
        self._verified = torch.zeros(len(experts), dtype=torch.bool)
        self.shape = rows.shape

    def __len__(self) -> int:
        return len(self._experts)

    def __getitem__(self, rows: Any) -> Tensor:
        chosen = rows[0] if isinstance(rows, tuple) else rows
        places = torch.arange(len(self))[chosen].reshape(-1)
        for row in places[~self._verified[places]].tolist():
            self._verify(row)
        return self._rows[rows]

    def verify(self) -> None:
        """Read all of them once.

        Raises:
            InputError: one is not what the manifest says.
        """
        for row in range(len(self)):
            if not self._verified[row]:
                self._verify(row)

    def _verify(self, row: int) -> None:
        expert = self._experts[row]
        weights = self._rows[row]
        where = f"{self._path}: member {expert.member} of environment {expert.environment}"
        found = row_digest(weights)
        if found != expert.sha256:
            raise InputError(f"{where}: found digest {found[:12]}, expected {expert.sha256[:12]}: another expert")
        _check_finite(weights, where)
        self._verified[row] = True


def row_digest(weights: Tensor) -> str:
    """Digest of an expert's weights [weight], as the file has them."""
    return hashlib.sha256(weights.contiguous().numpy().astype("<f4", copy=False).data).hexdigest()


def entry_of(expert: PublishedExpert) -> dict[str, Any]:
    """What a zoo's manifest says of an expert."""
    return expert.model_dump(mode="json", exclude={"sha256"})


def _check_finite(numbers: Tensor, where: str) -> None:
    if not bool(torch.isfinite(numbers).all()):
        raise InputError(f"{where}: found NaN or infinity, expected finite numbers")
