"""How many anchors a study across time has."""

from __future__ import annotations

from weightcast.evolution.config.study import TimeStudy


def anchor_counts(study: TimeStudy, snapshots: int) -> dict[str, int]:
    """Anchors of each kind, for each seed.

    Args:
        study: its configuration.
        snapshots: that training sees.
    """
    bridged = (snapshots - 1) * study.anchors.bridge.per_interval + 1
    return {kind: bridged if kind == "bridged" else snapshots for kind in study.anchors.kinds}
