"""Ids for names that people give to places, patients or batches."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

from weightcast.core.names import LONGEST_NAME


def place_id(name: str) -> str:
    """An id of an environment for the name of a place: letters without accents, everything else a dash."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    text = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:LONGEST_NAME].rstrip("-._")


def whole_number(name: str) -> int | None:
    """The number that a name is, if it is one: 7 of ``007``."""
    return int(name) if name.isascii() and name.isdecimal() else None


def called_alike(names: Iterable[str], ids: Collection[str]) -> dict[str, str]:
    """Find the id that each name means, of those names that mean one.

    Case, accents and marks do not count; nor do spaces and points, or zeros before a number, unless two ids differ by
    these alone.
    """
    keys: tuple[Callable[[str], Any], ...] = (lambda name: place_id(name).casefold(), _letters, whole_number)
    by_key = [_by(key, ids) for key in keys]
    found = {
        name: next((known[key(name)] for key, known in zip(keys, by_key, strict=True) if key(name) in known), None)
        for name in names
    }
    return {name: id for name, id in found.items() if id is not None}


def _letters(name: str) -> str:
    """Letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", place_id(name).casefold())


def _by(key: Callable[[str], Any], ids: Iterable[str]) -> dict[Any, str]:
    """Ids by what counts of them, where that is something, and of one id alone."""
    keys = [(key(id), id) for id in ids]
    often = Counter(one for one, _ in keys)
    return {one: id for one, id in keys if one not in (None, "") and often[one] == 1}
