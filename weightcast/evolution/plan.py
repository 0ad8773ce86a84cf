"""The plan of a study across time: which job computes what. Pure functions of the configuration.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightcast.core.errors import InputError
from weightcast.evolution.config.study import TimeStudy

if TYPE_CHECKING:
    from weightcast.samples.snapshots import Snapshots

ALL = "all"
FORECAST = "forecast"
"""All observed snapshots but the last one, which is forecast."""
WITHOUT = "without-"


def folds(study: TimeStudy) -> list[str]:
    """What training may see, in turn: all observed snapshots, all without each of those to be left out, and all but the
    last one."""
    inner = [f"{WITHOUT}{snapshot}" for snapshot in study.evaluation.leave_out]
    return [ALL, *inner, *([FORECAST] if study.evaluation.forecast else [])]


def arms_of(study: TimeStudy, fold: str) -> list[str]:
    """Arms of the flow that are trained in a fold: of a forecast the first alone, which is the one that is used."""
    arms = list(study.flow.arms)
    return arms[:1] if fold == FORECAST else arms


def kinds_of(study: TimeStudy, fold: str) -> list[str]:
    """Kinds of anchors that are scored in a fold: of a forecast none, since they only keep the last anchor."""
    return [] if fold == FORECAST else list(study.anchors.kinds)


def seen_in(snapshots: Snapshots, fold: str) -> Snapshots:
    """The samples with what training may see in a fold.

    Raises:
        InputError: this is no fold, or there are too few snapshots for it.
    """
    return snapshots.without_last() if fold == FORECAST else snapshots.without(left_out(fold))


def left_out(fold: str) -> int | None:
    """The number of the inner snapshot that a fold does without, or None.

    Raises:
        InputError: this is no fold.
    """
    if fold in (ALL, FORECAST):
        return None
    number = fold.removeprefix(WITHOUT)
    if number == fold or not number.isdigit():
        raise InputError(f"fold: found {fold!r}, expected {ALL}, {FORECAST} or {WITHOUT}<number>")
    return int(number)


def evaluation_sources(study: TimeStudy) -> list[str]:
    """Names of the files of errors, each in its fold's folder."""
    seeds = study.flow.seeds
    return [
        f"{fold}/{name}"
        for fold in folds(study)
        for name in [
            *(f"anchors-{kind}-{seed}" for kind in kinds_of(study, fold) for seed in seeds),
            *(f"flow-{arm}-{seed}" for arm in arms_of(study, fold) for seed in seeds),
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
