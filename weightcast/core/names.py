"""Names that become file names and command-line arguments: environment ids, parameter names, study names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from weightcast.core.errors import InputError

LONGEST_NAME = 64
SHOWN = 200
SHOWN_NAMES = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(value: str, field: str, file: str | Path) -> str:
    """Return `value` if it is fit for a path and for a shell, unquoted, on every common system.

    Args:
        value: the name.
        field: what the name is, for the message: ``study.name``, ``line 3, column id``.
        file: where it was read, for the message.

    Raises:
        InputError: the name is empty, too long, ends in a dot (Windows drops it) or has another character than letters,
            digits, ``.``, ``_`` and ``-``, or does not begin with a letter or a digit.
    """
    fits = _NAME.fullmatch(value) is not None and len(value) <= LONGEST_NAME and not value.endswith(".")
    if not fits:
        found = repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}...")
        raise InputError(
            f"{file}: {field}: found {found}, expected a name of at most {LONGEST_NAME} letters, digits, '.', '_' or "
            "'-' that begins with a letter or a digit and does not end in '.'"
        )
    return value


def listed(names: Sequence[object], shown: int = SHOWN_NAMES) -> str:
    """Names for a message, the first so many: a file may have thousands."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(map(str, names[:shown])) or "none") + more
