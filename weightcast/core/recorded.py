"""What an artifact on disk says about itself, read without torch: for planning, where only speed matters.

Nothing is verified here; whoever uses an artifact's tensors reads it through :mod:`weightcast.core.artifacts`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format itself. A larger number is no header's length."""


def recorded_metadata(path: str | Path) -> dict[str, Any] | None:
    """The metadata in the header of a ``.safetensors`` file, or None where there is no such file or it cannot be read.

    A safetensors file begins with the length of its header (8 bytes, little-endian), then the header (JSON).
    """
    try:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= LONGEST_HEADER else {}
        metadata = json.loads(header["__metadata__"]["weightcast"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return metadata if isinstance(metadata, dict) else None
