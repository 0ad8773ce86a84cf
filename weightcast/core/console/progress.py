"""Progress bars of the command line."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Collection[Item], label: str) -> Iterator[Item]:
    """The items, with a bar on stderr while they last if somebody is looking, and no trace of it afterwards."""
    return iter(tqdm(items, label, file=sys.stderr, leave=False, disable=not sys.stderr.isatty()))
