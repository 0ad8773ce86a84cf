"""What ``--dimensions`` says: the names that NetCDF files give their dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from weightcast.core.dimensions import DIMENSIONS, Dimension
from weightcast.core.errors import InputError


def given_dimensions(words: Sequence[str] | None) -> dict[Dimension, str]:
    """``trajectory=run y=north`` -> {"trajectory": "run", "y": "north"}.

    Args:
        words: as on the command line; None: nothing is given.

    Raises:
        InputError: it is not of that form, or a name comes twice.
    """
    found: dict[Dimension, str] = {}
    for word in words or ():
        first, _, own = word.partition("=")
        name = next((one for one in DIMENSIONS if one == first), None)
        if name is None or not own:
            raise InputError(
                f"--dimensions: found {word!r}, expected NAME=NAME IN THE FILE, where the first is one of "
                f"{', '.join(DIMENSIONS)}"
            )
        if name in found or own in found.values():
            raise InputError(f"--dimensions: found {word!r} beside another use, expected every name once")
        found[name] = own
    return found
