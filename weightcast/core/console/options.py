"""Options of a command that do not go with others."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from weightcast.core.errors import InputError


def refuse_options(arguments: argparse.Namespace, options: Iterable[str], why: str) -> None:
    """Refuse what was given of some options, each of which is None if it was not.

    Args:
        arguments: as argparse has put them, under the options' names with underscores.
        options: as on the command line: ``--held-out``.
        why: ends the line.

    Raises:
        InputError: one was given.
    """
    for option in options:
        found = getattr(arguments, option.removeprefix("--").replace("-", "_"))
        if found is not None:
            raise InputError(f"{option}: found {found}, expected none{why}")
