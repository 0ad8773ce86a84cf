"""Ids for names that people give to places, patients or batches."""

from __future__ import annotations

import re
import unicodedata

from weightcast.core.names import LONGEST_NAME


def place_id(name: str) -> str:
    """An id of an environment for the name of a place: letters without accents, everything else a dash."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    text = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:LONGEST_NAME].rstrip("-._")
