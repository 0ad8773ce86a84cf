"""The plan of a study across time: which job computes what. Pure functions of the configuration.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

from weightcast.core.errors import InputError
from weightcast.evolution.config.study import TimeStudy

ALL = "all"
WITHOUT = "without-"


def folds(study: TimeStudy) -> list[str]:
    """What training may see, in turn: all observed snapshots, and all without each of those to be left out."""
    return [ALL, *(f"{WITHOUT}{snapshot}" for snapshot in study.evaluation.leave_out)]


def left_out(fold: str) -> int | None:
    """The number of the snapshot that a fold does without, or None.

    Raises:
        InputError: this is no fold.
    """
    if fold == ALL:
        return None
    number = fold.removeprefix(WITHOUT)
    if number == fold or not number.isdigit():
        raise InputError(f"fold: found {fold!r}, expected {ALL} or {WITHOUT}<number>")
    return int(number)


def evaluation_sources(study: TimeStudy) -> list[str]:
    """Names of the files of errors, each in its fold's folder."""
    seeds = study.flow.seeds
    return [
        f"{fold}/{name}"
        for fold in folds(study)
        for name in [
            *(f"anchors-{kind}-{seed}" for kind in study.anchors.kinds for seed in seeds),
            *(f"flow-{arm}-{seed}" for arm in study.flow.arms for seed in seeds),
            "samples",
        ]
    ]


def anchor_counts(study: TimeStudy, snapshots: int) -> dict[str, int]:
    """Anchors of each kind, for each seed.

    Args:
        study: its configuration.
        snapshots: that training sees.
    """
    bridged = (snapshots - 1) * study.anchors.bridge.per_interval + 1
    return {kind: bridged if kind == "bridged" else snapshots for kind in study.anchors.kinds}
