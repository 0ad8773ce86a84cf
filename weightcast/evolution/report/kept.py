"""Which of a flow's two paths its artifacts keep: the trained differential equation, or the spline it began from.

A flow that starts from its anchors is their spline until it is trained. Samples that are set aside choose between both
(:func:`weightcast.evolution.stages.train_flow.keep_better`), and a row of a table that is called a flow may then be
mostly splines. So it is counted, and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.methods import FLOW_PREFIX

FOLDS = {"all": "all", "forecast": "forecast"}
"""Folders of trainings; all others left one snapshot out."""
LEFT_OUT = "held_out"
SPLITS = {"held_out": LEFT_OUT, "forecast": "forecast"}
"""Which trainings a split scores; every other split those that all snapshots were seen in."""


@dataclass(frozen=True)
class Kept:
    """Trainings of one arm.

    Attributes:
        flow: in so many the differential equation was kept.
        spline: in so many the spline through the anchors.
    """

    flow: int
    spline: int

    @property
    def words(self) -> str:
        """A few words for a cell of a table."""
        total = self.flow + self.spline
        if total == 1:
            return f"kept: the {'differential equation' if self.flow else 'spline it began from'}"
        return f"kept: the differential equation in {self.flow} of {total}, the spline it began from in {self.spline}"


KeptPaths = Mapping[tuple[str, str], Kept]
"""By the method's name, ``flow-<arm>``, and the trainings: ``all``, ``held_out`` or ``forecast``."""


def kept_paths(results: Path) -> dict[tuple[str, str], Kept]:
    """Count what was kept, of arms of which something was chosen at all.

    Args:
        results: the study's folder; nothing is counted of trainings whose artifacts are no longer in it.

    Raises:
        InputError: an artifact that is there cannot be read.
    """
    found: dict[tuple[str, str], Kept] = {}
    for path in sorted((results / "flow").glob("*/*.safetensors")):
        metadata = ArtifactHeader.load(path).metadata
        if "validation" not in metadata:  # nothing was set aside, or the arm does not begin from its anchors
            continue
        key = f"{FLOW_PREFIX}{metadata['arm']}", FOLDS.get(path.parent.name, LEFT_OUT)
        before = found.get(key, Kept(0, 0))
        spline = metadata["kept"] == "spline"
        found[key] = Kept(before.flow + (not spline), before.spline + spline)
    return found


def kept_in(kept: KeptPaths, name: str, split: str) -> Kept | None:
    """What the trainings kept that a method's row of a split is of; None where nothing was chosen, or is known."""
    return kept.get((name, SPLITS.get(split, "all")))


def kept_sentences(kept: KeptPaths) -> list[str]:
    """A sentence for the verdict, of trainings that saw all snapshots; none where nothing was chosen."""
    parts = [
        f"{name.removeprefix(FLOW_PREFIX)} {one.flow} of {one.flow + one.spline}"
        for (name, trainings), one in kept.items()
        if trainings == "all"
    ]
    if not parts:
        return []
    return [
        "Samples set aside kept the trained differential equation or, if it made them less likely, the spline through "
        f"the anchors that it began from; trainings that kept the differential equation: {', '.join(parts)}."
    ]
