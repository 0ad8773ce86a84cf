"""Weight artifacts: safetensors with JSON metadata, written atomically, verified on read, never unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from weightcast import __version__
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole

FORMAT = 1
"""Version of the layout of metadata; a reader refuses a newer one."""


@dataclass(frozen=True)
class Artifact:
    """What an artifact file holds.

    Attributes:
        kind: what it is: base, experts, zoo, vae, diffusion, generator, weights, model.
        tensors: by name.
        metadata: architecture, environments, seed, settings, digests, metrics, ... (JSON values).
        path: where it was read.
    """

    kind: str
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    path: Path

    @property
    def digest(self) -> str:
        """Digest of tensors and metadata, as verified on reading."""
        return str(self.metadata["digest"])

    @property
    def tensors_digest(self) -> str:
        """Digest of the tensors alone: equal weights have equal digests, whatever time their training took."""
        return str(self.metadata["tensors_digest"])


@dataclass(frozen=True)
class ArtifactHeader:
    """An artifact's metadata, read without its tensors: what stages are given that ask what things cost.

    Attributes:
        path: of the artifact.
        metadata: as :func:`read_metadata` gives it.
    """

    path: Path
    metadata: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> ArtifactHeader:
        """Read an artifact's metadata.

        Raises:
            InputError: see :func:`read_metadata`.
        """
        return cls(path, read_metadata(path))


def save_artifact(path: str | Path, kind: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write an artifact whole or not at all.

    Args:
        path: a ``.safetensors`` file; folders are made as needed.
        kind: what it is (see :class:`Artifact`).
        tensors: any shapes and dtypes; saved from the CPU, contiguous.
        metadata: JSON values only.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    described = dict(metadata) | {"kind": kind, "format": FORMAT, "code_version": __version__}
    described["numbers"] = sum(tensor.numel() for tensor in stored.values())
    described["tensors_digest"] = _tensors_digest(stored)
    described["digest"] = _metadata_digest(described)
    with written_whole(path) as partial:
        try:
            save_file(stored, partial, metadata={"weightcast": json.dumps(described, sort_keys=True)})
        except SafetensorError as error:  # a full disk, a folder that went away: not a defect of the tensors
            raise OSError(f"{path}: cannot be written: {_one_line(error)}") from None


def load_artifact(path: str | Path, kind: str | None = None) -> Artifact:
    """Read an artifact and verify its digests.

    Args:
        path: a ``.safetensors`` file written by :func:`save_artifact`.
        kind: the kind that is needed; any if None.

    Raises:
        InputError: the file is missing, truncated, altered, foreign, of a newer format or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a weightcast artifact (.safetensors)")
    metadata = read_metadata(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable safetensors file ({_one_line(error)}): truncated or damaged"
        ) from None
    found = _tensors_digest(tensors)
    if found != metadata["tensors_digest"]:
        raise InputError(
            f"{path}: tensors: found digest {found[:12]}, expected {metadata['tensors_digest'][:12]}: "
            "the file is damaged"
        )
    if kind is not None and metadata["kind"] != kind:
        raise InputError(f"{path}: kind: found {metadata['kind']!r}, expected {kind!r}")
    return Artifact(metadata["kind"], tensors, metadata, path)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata alone, its digest verified, without reading the tensors.

    Raises:
        InputError: as :func:`load_artifact`, but for damage inside the tensors.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable safetensors file ({_one_line(error)}): truncated or damaged"
        ) from None
    if "weightcast" not in header:
        raise InputError(f"{path}: metadata: found no 'weightcast' entry, expected an artifact written by weightcast")
    try:
        metadata = json.loads(header["weightcast"])
        version, digest = int(metadata["format"]), str(metadata["digest"])
        _ = metadata["kind"], metadata["tensors_digest"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: metadata: not valid JSON of a weightcast artifact: the file is damaged") from None
    if version > FORMAT:
        raise InputError(f"{path}: format: found {version}, expected at most {FORMAT}: written by a newer weightcast")
    if _metadata_digest(metadata) != digest:
        raise InputError(
            f"{path}: metadata: found digest {_metadata_digest(metadata)[:12]}, expected {digest[:12]}: "
            "the file is damaged"
        )
    return metadata


def digest_of(value: Any) -> str:
    """Digest of any JSON value; equal values have equal digests, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _metadata_digest(metadata: Mapping[str, Any]) -> str:
    return digest_of({key: value for key, value in metadata.items() if key != "digest"})


def _tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}:".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
