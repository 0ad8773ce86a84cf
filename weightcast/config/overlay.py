"""Settings laid over others, key by key."""

from __future__ import annotations

from typing import Any


def overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``below`` with the keys of ``above``; mappings merge, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlaid(merged[key], value) if nested else value
    return merged
