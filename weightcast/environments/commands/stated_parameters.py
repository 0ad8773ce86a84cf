"""Parameters of a new environment as they are said on the command line, categories by their values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from weightcast.core.errors import InputError
from weightcast.core.place_names import place_id


def stated_parameters(text: str, names: Sequence[str], option: str = "--parameters") -> dict[str, float]:
    """``dose=3,line=HeLa`` -> {"dose": 3.0, "line.HeLa": 1.0, "line.A549": 0.0}.

    Args:
        text: as on the command line.
        names: of the study's parameters; those of a category are ``<column>.<value>``.
        option: named in messages.

    Raises:
        InputError: it is not of that form, or a category has no such value.
    """
    parts = []
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        kinds = [one for one in names if one.startswith(f"{name}.")]
        if name in names or not kinds:
            parts.append(part)
            continue
        chosen = f"{name}.{place_id(value)}"
        if chosen not in kinds:
            known = ", ".join(kind.removeprefix(f"{name}.") for kind in kinds)
            raise InputError(f"{option}: category {name!r}: found {value!r}, expected one of {known}")
        parts += [f"{kind}={int(kind == chosen)}" for kind in kinds]
    return parse_environment(",".join(parts), option)


def parse_environment(text: str, option: str = "--environment") -> dict[str, float]:
    """`beta=1.1,D=0.4` -> {"beta": 1.1, "D": 0.4}.

    Args:
        text: as on the command line.
        option: named in messages.

    Raises:
        InputError: it is not of that form, a value is not a finite number, or a parameter comes twice.
    """
    environment: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise InputError(f"{option}: found {part.strip()!r}, expected NAME=NUMBER, separated by commas")
        if name in environment:
            raise InputError(f"{option}: parameter {name!r}: found twice, expected once")
        try:
            environment[name] = float(value)
        except ValueError:
            environment[name] = math.nan
        if not math.isfinite(environment[name]):
            raise InputError(f"{option}: parameter {name!r}: found {value!r}, expected a finite number")
    return environment
