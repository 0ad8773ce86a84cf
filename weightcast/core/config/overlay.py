"""Settings laid over others, key by key."""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator


def overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``below`` with the keys of ``above``; mappings merge, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlaid(merged[key], value) if nested else value
    return merged


def _without_nulls(entries: Any) -> Any:
    if not isinstance(entries, dict):
        return entries  # the type's own check says what is wrong
    return {name: entry for name, entry in entries.items() if entry is not None}


def null_leaves_out(entry: type) -> BeforeValidator:
    """A validator of mappings from names to ``entry``: one that is null is left out.

    So an overlay can take away what a file below it names. The JSON schema knows of it too.
    """
    return BeforeValidator(_without_nulls, json_schema_input_type=dict[str, entry | None])  # type: ignore[valid-type]
