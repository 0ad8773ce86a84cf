"""How the command line and the scripts end on bad input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from weightcast.core.errors import InputError


@contextmanager
def exit_on_input_error() -> Iterator[None]:
    """Print an `InputError` as one line on stderr and exit with status 1. Usable as a decorator and in a with block.

    Other errors pass, but for those of files under :func:`one_line_for_files`: they are mistakes of the program, and
    their traceback is wanted.
    """
    try:
        yield
    except InputError as error:
        print(f"weightcast: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(1) from None


@contextmanager
def one_line_for_files() -> Iterator[None]:
    """Make an `InputError` of what the system says of a file. Usable as a decorator and in a with block.

    Readers name what they cannot use themselves; what is left is writing: no space, no permission, a disk that fails.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        file = error.filename2 or error.filename
        raise InputError(f"{file}: {error.strerror}" if file else str(error)) from None
