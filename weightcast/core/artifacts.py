"""Weight artifacts: safetensors with JSON metadata, written atomically, verified on read, never unpickled.

Tensors that are larger than memory stay in their file (:func:`open_artifact`), and are written from one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from weightcast import __version__
from weightcast.core.artifact_fields import UNFINISHED
from weightcast.core.artifact_header import FORMAT, metadata_digest, one_line, read_metadata
from weightcast.core.bounded_memory import BoundedMemory
from weightcast.core.config.messages import shown
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.stored_tensor import Rows, StoredTensor, dtype_of, pieces, stored_tensors, write_safetensors

LONGEST_REFUSAL = 1500
"""Characters of a complaint about what a file says, which may hold what it says."""
LONGEST_REASON = 300
"""Characters of what torch says of tensors that do not fit."""

Module = TypeVar("Module", bound=nn.Module)
Held = TypeVar("Held", Tensor, StoredTensor)
_MISFITS = (
    *(KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError),
    *(ArithmeticError, MemoryError, ImportError, OSError),  # the last of names that no file can have
)


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
class OpenArtifact:
    """An artifact whose tensors stay in its file until some of their rows are asked for.

    Attributes:
        kind: see :class:`Artifact`.
        tensors: by name.
        metadata: see :class:`Artifact`.
        path: where it lies.
    """

    kind: str
    tensors: dict[str, StoredTensor]
    metadata: dict[str, Any]
    path: Path


def save_artifact(path: str | Path, kind: str, tensors: Mapping[str, Rows], metadata: Mapping[str, Any]) -> None:
    """Write an artifact whole or not at all.

    Args:
        path: a ``.safetensors`` file; folders are made as needed.
        kind: what it is (see :class:`Artifact`).
        tensors: any shapes and dtypes; saved from the CPU, contiguous. Those that lie in files are read some numbers at
            a time.
        metadata: JSON values only.
    """
    in_memory = _apart(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
    )
    stored = dict(tensors) | in_memory
    described = dict(metadata) | {"kind": kind, "format": FORMAT, "code_version": __version__}
    described["numbers"] = sum(math.prod(tensor.shape) for tensor in stored.values())
    described["tensors_digest"] = _tensors_digest(stored, described.get("files") or ())
    described["digest"] = metadata_digest(described)
    written = {"weightcast": json.dumps(described, sort_keys=True)}
    with written_whole(path) as partial:
        try:
            # Not by the library: it copies all tensors to bytes first, twice the memory of a large generator's state.
            write_safetensors(partial, stored, written)
        except OSError as error:  # a full disk, a folder that went away
            raise OSError(f"{path}: cannot be written: {one_line(error)}") from None


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, which a file cannot hold: copies of those that share that of an earlier one."""
    apart: dict[str, Tensor] = {}
    seen = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart


def load_artifact(path: str | Path, kind: str | None = None) -> Artifact:
    """Read an artifact and verify its digests.

    Args:
        path: a ``.safetensors`` file written by :func:`save_artifact`.
        kind: the kind that is needed; any if None.

    Raises:
        InputError: the file is missing, truncated, altered, foreign, of a newer format or of another kind, or has
            numbers that are none.
    """
    path = Path(path)
    metadata = _metadata(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({one_line(error)}): truncated or damaged") from None
    verify_tensors(tensors, metadata, path)
    _check_kind(metadata, kind, path)
    return Artifact(metadata["kind"], tensors, metadata, path)


def open_artifact(path: str | Path, kind: str | None = None, verified: bool = True) -> OpenArtifact:
    """Read an artifact's metadata; its tensors are read once, some numbers at a time, to verify their digest.

    Args:
        path: a ``.safetensors`` file written by :func:`save_artifact`.
        kind: the kind that is needed; any if None.
        verified: whether tensors are read now; else whoever uses them calls :func:`verify_tensors` before.

    Raises:
        InputError: see :func:`load_artifact`.
    """
    path = Path(path)
    metadata = _metadata(path)
    _check_kind(metadata, kind, path)
    try:
        tensors = stored_tensors(path)
    except (OSError, ValueError, KeyError, TypeError) as error:  # types of numbers that no artifact has
        raise InputError(f"{path}: not a readable safetensors file ({one_line(error)}): truncated or damaged") from None
    if verified:
        verify_tensors(tensors, metadata, path)
    return OpenArtifact(metadata["kind"], tensors, metadata, path)


def verify_tensors(tensors: Mapping[str, Held], metadata: Mapping[str, Any], path: Path) -> None:
    """Check the tensors of an artifact against the digest in its metadata, and for numbers that are none.

    Raises:
        InputError: the file is damaged.
    """
    finished, broken = metadata["kind"] != UNFINISHED, set[str]()

    def look(name: str, piece: Tensor) -> None:
        if finished and not bool(torch.isfinite(piece).all()):
            broken.add(name)

    found = _tensors_digest(tensors, (metadata.get("files") if finished else None) or (), look)
    if found != metadata["tensors_digest"]:
        raise InputError(
            f"{path}: tensors: found digest {found[:12]}, expected {metadata['tensors_digest'][:12]}: "
            "the file is damaged"
        )
    for name in sorted(broken):
        raise InputError(f"{path}: tensors: {name}: found NaN or infinity, expected finite numbers")


def _metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a weightcast artifact (.safetensors)")
    return read_metadata(path)


def _check_kind(metadata: Mapping[str, Any], kind: str | None, path: Path) -> None:
    if kind is not None and metadata["kind"] != kind:
        raise InputError(f"{path}: kind: found {shown(metadata['kind'])}, expected {kind!r}")


@contextmanager
def understood(artifact: Artifact | OpenArtifact) -> Iterator[None]:
    """Within the block something is made of an artifact; whatever does not fit is one line that names the file.

    Files come from others as well. What is checked beforehand (:mod:`weightcast.core.artifact_fields`), and a limit on
    what is made here, keep time and memory bounded; this keeps the rest from being a traceback.

    Raises:
        InputError: metadata or tensors are not what this kind of artifact has.
    """
    bounded = BoundedMemory(sum(tensor.numel() for tensor in artifact.tensors.values()))
    with one_line_for(artifact.path, artifact.kind), bounded:
        yield


@contextmanager
def one_line_for(path: str | Path, kind: str) -> Iterator[None]:
    """Make one line that names a file of whatever goes wrong in the block, where something is made of it.

    Raises:
        InputError: the file does not have what this kind of artifact has.
    """
    try:
        yield
    except InputError as error:
        said = str(error)[:LONGEST_REFUSAL]
        raise InputError(said if said.startswith(str(path)) else f"{path}: {said}") from None
    except _MISFITS as error:
        said = " ".join(str(error).split())[:LONGEST_REASON]
        raise InputError(
            f"{path}: cannot be used as {kind} ({type(error).__name__}: {said}), expected what "
            f"weightcast {__version__} writes"
        ) from None


def load_built(build: Callable[[], Module], tensors: Mapping[str, Tensor], further: bool = False) -> Module:
    """A module with an artifact's tensors, which may not be larger than these while it is built.

    Args:
        build: makes it, as metadata describe it.
        tensors: its state, by name.
        further: whether there may be tensors that are no part of its state.

    Raises:
        InputError: more is described than there are tensors.
        RuntimeError: the state is another module's.
    """
    with BoundedMemory(sum(tensor.numel() for tensor in tensors.values())):
        module = build()
    state = dict(tensors)
    if further:
        own = module.state_dict()
        state = {name: tensor for name, tensor in tensors.items() if name in own}
    module.load_state_dict(state)
    return module


def _tensors_digest(
    tensors: Mapping[str, Rows],
    files: Iterable[Mapping[str, Any]] = (),
    look: Callable[[str, Tensor], None] | None = None,
) -> str:
    """Digest of an artifact's tensors, and of those in the files that it is the manifest of.

    Args:
        tensors: by name.
        files: as metadata name them, each with the digest of its tensors; where they lie makes no difference.
        look: is shown all numbers, by name and piece.
    """
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name}:{dtype_of(tensor)}:{list(tensor.shape)}:".encode())
        for piece in pieces(tensor):
            total.update(piece.contiguous().view(torch.uint8).numpy().data)
            if look is not None:
                look(name, piece)
    for file in files:
        total.update(f"file:{file['tensors_digest']}:".encode())
    return total.hexdigest()
