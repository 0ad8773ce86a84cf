"""Receipts: which files hold a month of a region. They, not the files, are what the pipeline knows as its outputs.

Snakemake deletes a rule's outputs before it runs the rule again. Downloads took hours, and some files may be the user's
own: so they are outputs of no rule, and a small receipt stands for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightcast.core.files import written_whole
from weightcast.core.provenance import file_digest
from weightcast.era5.request import Request


@dataclass(frozen=True)
class Receipt:
    """Which files hold a request, and as what the job was planned (see :func:`generation_of`)."""

    request: Request
    files: Sequence[Path]
    generation: int

    def save(self, path: str | Path) -> None:
        write_receipt(path, self.request, self.files, self.generation)


def write_receipt(path: str | Path, request: Request, files: Sequence[Path], generation: int) -> None:
    """Note which files hold a request, and as what the job was planned (see :func:`generation_of`)."""
    noted = [{"file": str(file), **_state(file), "sha256": _digest(file)} for file in files]
    text = json.dumps(
        {
            "month": request.month,
            "area": [request.area.north, request.area.west, request.area.south, request.area.east],
            "variables": list(request.variables),
            "hours": list(request.hours),
            "files": noted,
            "generation": generation,
        },
        indent=1,
    )
    with written_whole(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def generation_of(path: str | Path) -> int:
    """A number that stays as long as the files of a receipt do, and is one more once they are changed or gone.

    A job that is told it is planned again when, and only when, files were exchanged behind its back; the receipt that
    it writes then has the new number.
    """
    try:
        noted: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        generation = int(noted["generation"])
        unchanged = all(
            _state(Path(entry["file"])) == {"bytes": entry["bytes"], "modified": entry["modified"]}
            for entry in noted["files"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return 0  # no receipt yet, or none that can be read: it is to be made
    return generation if unchanged else generation + 1


def _state(file: Path) -> dict[str, int]:
    """Size and time of modification; of a Zarr folder, all of it."""
    parts = [part.stat() for part in (sorted(file.rglob("*")) if file.is_dir() else [file]) if part.exists()]
    if not parts:
        return {"bytes": -1, "modified": 0}
    return {"bytes": sum(part.st_size for part in parts), "modified": max(part.st_mtime_ns for part in parts)}


def _digest(file: Path) -> str | None:
    return None if file.is_dir() else file_digest(file)
