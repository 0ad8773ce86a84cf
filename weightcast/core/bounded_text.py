"""Text files of a size that they can have: what is endless, or no text at all, is refused before memory runs out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from weightcast.core.errors import InputError


def read_bytes(path: str | Path, expected: str, most: int) -> bytes:
    """The contents of a file.

    Args:
        path: of a file, or a pipe.
        expected: what it should be, for the messages.
        most: bytes that it may have.

    Raises:
        InputError: it is missing or cannot be read, is a device, or is larger.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            kind = os.fstat(file.fileno()).st_mode
            if stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not file.isatty()):
                raise InputError(f"{path}: found a device, expected {expected}")
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), expected {expected}") from None
    if len(content) > most:
        raise InputError(f"{path}: found more than {most // 1024**2} MB, expected {expected}, which is smaller")
    return content


def read_text(path: str | Path, expected: str, kind: str, most: int) -> str:
    """The text of a file.

    Args:
        path: see :func:`read_bytes`.
        expected: likewise.
        kind: of text, for the message about bytes that are none.
        most: bytes that it may have.

    Raises:
        InputError: see :func:`read_bytes`; or it is not UTF-8.
    """
    try:
        return read_bytes(path, expected, most).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: found bytes that are not UTF-8, expected {kind}") from None
