"""Lines that stay, and on a terminal one line below them that is rewritten."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

CLEAR_LINE = "\r\x1b[2K"


class Screen:
    """Where the lines go.

    Attributes:
        live: whether it is a terminal, on which a line can be rewritten.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._status = ""
        self.live = stream.isatty() and os.environ.get("TERM") != "dumb"

    def line(self, text: str) -> None:
        """Add a line, or several, that stay."""
        self._stream.write(f"{CLEAR_LINE if self._status else ''}{text}\n{self._status}")
        self._stream.flush()

    def status(self, text: str) -> None:
        """Rewrite the last line; nothing where there is no terminal, and an empty text takes it away."""
        if not self.live:
            return
        text = text[: shutil.get_terminal_size().columns - 1]
        if text != self._status:
            self._stream.write(f"{CLEAR_LINE}{text}")
            self._stream.flush()
        self._status = text
