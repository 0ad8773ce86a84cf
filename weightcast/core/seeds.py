"""Random numbers that depend on what they are for, never on the order in which things are done."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed from a chain of names and numbers, the same on every machine and in every process.

    An expert's seed is ``derive_seed(study_seed, "expert", environment_id, member)``: adding an environment, or
    training in other shards, changes no other expert's numbers.
    """
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
