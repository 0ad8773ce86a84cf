"""docs/configuration.md says what the types say, about every key."""

from __future__ import annotations

from pathlib import Path

from weightcast.config.reference import reference
from weightcast.config.kinds import json_schema

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `make schema`"


def test_page_has_every_key() -> None:
    page = reference()
    schema = json_schema()
    keys = {key for section in [schema, *schema["$defs"].values()] for key in section.get("properties", {})}
    assert {"study", "kl_weight", "trained_frames"} <= keys
    assert not [key for key in keys if f"| `{key}` |" not in page]


def test_links_lead_to_headings() -> None:
    lines = reference().splitlines()
    anchors = {
        "".join(letter for letter in line.strip("# `").lower() if letter.isalnum() or letter in "-_")
        for line in lines
        if line.startswith("#")
    }
    targets = {part.split(")")[0] for line in lines for part in line.split("](#")[1:]}
    assert targets
    assert targets <= anchors
