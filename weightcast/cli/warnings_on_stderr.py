"""How the command line shows warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

PACKAGE = Path(__file__).parents[1]


def warn(message: str) -> None:
    """Print a warning of one line on stderr."""
    print(f"weightcast: warning: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Inside the block, the library's own warnings are one line each on stderr; those of other libraries stay."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module=r"weightcast\b")
        as_usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if category is UserWarning and Path(filename).is_relative_to(PACKAGE):
                warn(str(message))
            else:
                as_usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
