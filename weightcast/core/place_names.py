"""Ids for names that people give to places, patients or batches."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

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
    """Of those names that mean one of these ids, which it is.

    Case, accents and marks do not count; nor do zeros before a number, where no two ids are the same number.
    """
    plain = {place_id(id).casefold(): id for id in ids}
    numbers = [number for id in ids if (number := whole_number(id)) is not None]
    numbered = {whole_number(id): id for id in ids} if len(set(numbers)) == len(numbers) else {}
    numbered.pop(None, None)
    found = {name: plain.get(place_id(name).casefold()) or numbered.get(whole_number(name)) for name in names}
    return {name: id for name, id in found.items() if name and id is not None}
