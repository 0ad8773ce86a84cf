"""Names of terms: products of powers of channels, as scikit-learn and pysindy write them, and as readers like them."""

from __future__ import annotations

import re
from collections.abc import Sequence

CONSTANT = "1"
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def ordered_term(term: str, channels: Sequence[str]) -> str:
    """A term with its factors in the order of the channels: ``predator prey`` becomes ``prey predator``."""
    return " ".join(sorted(term.split(), key=lambda factor: [*channels, CONSTANT].index(factor.partition("^")[0])))


def printed_term(term: str) -> str:
    """A term in print: ``prey^2 predator`` becomes ``prey² · predator``."""
    return re.sub(r"\^(\d+)", lambda power: power[1].translate(_SUPERSCRIPT), term).replace(" ", " · ")
