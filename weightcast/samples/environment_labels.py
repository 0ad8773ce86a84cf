"""Which environment a row is of, where a column of labels says it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.core.names import check_name, listed
from weightcast.core.place_names import place_id

SHOWN = 3


def ids_of_labels(path: Path, place: str, labels: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """An id for each label: the label itself where it can be a file's name, else what is left of it.

    Args:
        path, place: named in messages.
        labels: of rows, in their order.

    Returns:
        the ids by label, and a note where ids differ from labels.

    Raises:
        InputError: a label leaves no id, or two of them the same one, upper and lower case being the same.
    """
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        id = _id(path, place, label)
        if id.casefold() in first:
            raise InputError(
                f"{path}: {place}: found {first[id.casefold()]!r} and {label!r}, both with the id {id}, expected "
                "labels that differ in letters or digits"
            )
        first[id.casefold()] = label
        found[label] = id
    renamed = [f"{label} is {id}" for label, id in found.items() if label != id]
    return found, [f"ids of environments: {listed(renamed, SHOWN)}"] if renamed else []


def _id(path: Path, place: str, label: str) -> str:
    try:
        return check_name(label, place, path)
    except InputError:
        return check_name(place_id(label), f"{place}, label {label!r}", path)
