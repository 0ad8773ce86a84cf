"""What an artifact says about itself, read and verified without its tensors and without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from weightcast.core.artifact_fields import check_fields, check_sizes, check_values
from weightcast.core.errors import InputError

FORMAT = 1
"""Version of the layout of metadata; a reader refuses a newer one."""

LONGEST = 64 * 1024**2
"""Characters of metadata, at most: those of a zoo of a hundred thousand members have half as many."""


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


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata alone, their digest verified, without reading the tensors.

    Raises:
        InputError: as :func:`load_artifact`, but for damage inside the tensors, or metadata that no artifact has; see
            :mod:`weightcast.core.artifact_fields`.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            shapes = {name: (list(part.get_shape()), str(part.get_dtype())) for name, part in parts.items()}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({one_line(error)}): truncated or damaged") from None
    if "weightcast" not in header:
        raise InputError(f"{path}: metadata: found no 'weightcast' entry, expected an artifact written by weightcast")
    metadata = _read(header["weightcast"], path)
    check_values(metadata, path)
    if metadata["format"] > FORMAT:
        version = metadata["format"]
        raise InputError(f"{path}: format: found {version}, expected at most {FORMAT}: written by a newer weightcast")
    if metadata_digest(metadata) != metadata["digest"]:
        raise InputError(
            f"{path}: metadata: found digest {metadata_digest(metadata)[:12]}, expected {metadata['digest'][:12]}: "
            "the file is damaged"
        )
    check_fields(metadata, path)
    check_sizes(metadata, shapes, path)
    return metadata


def _read(text: str, path: Path) -> dict[str, Any]:
    """Metadata from JSON, with the fields that every artifact has."""
    if len(text) > LONGEST:
        raise InputError(f"{path}: metadata: found more than {LONGEST // 1024**2} MB, expected less")
    try:
        metadata = json.loads(text)
        version, texts = metadata["format"], [metadata[name] for name in ("digest", "kind", "tensors_digest")]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: metadata: not valid JSON of a weightcast artifact: the file is damaged") from None
    if not isinstance(version, int) or isinstance(version, bool) or not all(isinstance(one, str) for one in texts):
        raise InputError(f"{path}: metadata: not valid JSON of a weightcast artifact: the file is damaged")
    return dict(metadata)


def digest_of(value: Any) -> str:
    """Digest of any JSON value; equal values have equal digests, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def metadata_digest(metadata: Mapping[str, Any]) -> str:
    return digest_of({key: value for key, value in metadata.items() if key != "digest"})


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
