"""A study that is over in minutes: whether the data are read as they were meant, and what a report looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SHARE = 10
"""Every training has one step in so many."""
FEWEST = 30
"""Steps that trainings have at least, and below which they are left as they are."""
NOTE = """\
# Written with --quick, for a look: trainings have a tenth of their steps, nothing is chosen among several, and there is
# one seed. Its errors say nothing of what a whole study would do: weightcast init without --quick.
"""
_STEPS = re.compile(r"(?<!\w)steps: (\d+)")
_SEEDS = "seeds: [0, 1, 2]"
_FINETUNED = "steps: [20, 100]"


def quick_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """What fills the template, with one of everything that a study chooses among: code sizes, maps, cases, members."""
    first = ("dimensions", "codes", "maps", "observed")
    return dict(values) | {name: values[name][:1] for name in first} | {"members": 1, "choice_folds": 1}


def quick_text(text: str) -> str:
    """A configuration with short trainings and one seed, which says so."""
    head, _, rest = text.partition("\n\n")
    rest = _STEPS.sub(lambda found: f"steps: {_fewer(int(found[1]))}", rest)
    rest = rest.replace(_SEEDS, "seeds: [0]").replace(_FINETUNED, "steps: [20]")
    return f"{head}\n{NOTE}\n{rest}"


def _fewer(steps: int) -> int:
    return min(steps, max(FEWEST, steps // SHARE))
