"""Complaints about a configuration: one line each, with file, field, what was found and what was expected."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError

Section = TypeVar("Section", bound=Settings)

LONGEST_SHOWN = 300
"""Characters of what was found, in a complaint."""


def validated(section: type[Section], config: Any, source: str | Path) -> Section:
    """A whole configuration, as far as its types can tell.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    if not isinstance(config, dict):
        raise InputError(f"{source}: found {type(config).__name__}, expected a mapping of settings")
    try:
        return section.model_validate(config)
    except ValidationError as error:
        raise InputError(first_line(error, source, section)) from None


def first_line(error: ValidationError, source: str | Path, section: type[Settings], prefix: str = "") -> str:
    """The first complaint of a section; ``prefix`` is the section's own place, with a dot at its end."""
    first = error.errors()[0]
    location, around = _place(section, first["loc"])
    field = prefix + ".".join(location)
    if first["type"] == "extra_forbidden":
        return f"{source}: {field}: unknown key, expected {_known_keys(around, location[-1])}"
    if first["type"] == "missing":
        return f"{source}: {field}: missing, expected a value"
    if first["type"] == "union_tag_invalid":
        found, expected = shown(first["ctx"]["tag"]), first["ctx"]["expected_tags"]
        return f"{source}: {field}.kind: found {found}, expected one of {expected}"
    message = (first["msg"][0].lower() + first["msg"][1:])[:LONGEST_SHOWN]
    return f"{source}: {field}: found {shown(first['input'])}: {message}"


def shown(value: Any) -> str:
    """What was found, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _place(section: type[Settings], location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """The path of keys to a place in a file, and the section around it.

    Pydantic's own path also has the kind of a section that may be of several kinds, which no line of the file has.
    """
    keys: list[str] = []
    model: Any = section
    parts = list(location)
    while parts:
        part = parts.pop(0)
        keys.append(str(part))
        if not parts:
            break
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field is not None else getattr(model, "__args__", [None, None])[-1]
        if field is not None and field.discriminator is not None:
            kind = parts.pop(0)
            model = next(one for one in get_args(model) if kind in get_args(one.model_fields["kind"].annotation))
        elif isinstance(model, UnionType):  # a section that may be missing
            model = next((kind for kind in get_args(model) if hasattr(kind, "model_fields")), model)
    return keys, model


def _known_keys(section: Any, unknown: str) -> str:
    """The key of a section that is nearest in spelling to an unknown one, or all its keys if none is near."""
    keys = list(getattr(section, "model_fields", {}))
    close = get_close_matches(unknown, keys, n=1)
    return f"{close[0]!r}" if close else f"one of {', '.join(keys)}"


def check_once(values: Sequence[Hashable], field: str, source: str | Path) -> None:
    """Refuse an entry that occurs twice.

    Raises:
        InputError: names the field and the entry.
    """
    seen = set()
    for value in values:
        if value in seen:
            raise InputError(f"{source}: {field}: found {value!r} twice, expected every entry once")
        seen.add(value)
