"""docs/configuration.md says what the types say, about every key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from weightcast.cli.configuration_reference import family_reference, reference, time_reference
from weightcast.studies import json_schema

DOCS = Path(__file__).parents[2] / "docs"
PAGES = pytest.mark.parametrize(
    ("page", "make"),
    [
        ("configuration.md", reference),
        ("configuration-time.md", time_reference),
        ("configuration-families.md", family_reference),
    ],
)


@PAGES
def test_page_is_up_to_date(page: str, make: Callable[[], str]) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == make(), "run `make schema`"


def test_the_pages_have_every_key() -> None:
    pages = reference() + time_reference() + family_reference()
    keys = {key for section in json_schema()["$defs"].values() for key in section.get("properties", {})}
    assert {"study", "kl_weight", "trained_frames", "curvature_penalty"} <= keys
    assert not [key for key in keys if f"| `{key}` |" not in pages]


@PAGES
def test_links_lead_to_headings(page: str, make: Callable[[], str]) -> None:
    lines = make().splitlines()
    anchors = {
        "".join(letter for letter in line.strip("# `").lower().replace(" ", "-") if letter.isalnum() or letter in "-_")
        for line in lines
        if line.startswith("#")
    }
    targets = {part.split(")")[0] for line in lines for part in line.split("](#")[1:]}
    assert targets
    assert targets <= anchors
