"""What a report says first, whatever the study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """A headline and the paragraph below it."""

    headline: str
    paragraph: str
