"""What the methods of a study across time cost, read from the metadata that every artifact carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

FREE = ("displacement", "flow-matching", "sampling-floor")


def time_method_costs(
    anchors: Iterable[Mapping[str, Any]], flows: Iterable[Mapping[str, Any]], interpolations: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of method_costs.csv: means over seeds of what each method took, with all that it builds on.

    Args:
        anchors: metadata of anchors.
        flows: metadata of flows.
        interpolations: of the weights of anchors; they cost what the anchors cost.
    """
    seconds: dict[str, list[float]] = {}
    parameters: dict[str, int] = {}
    for metadata in anchors:
        for curve in interpolations:
            name = f"{curve}-{metadata['anchors']}"
            seconds.setdefault(name, []).append(metadata["seconds"])
            parameters[name] = metadata["numbers"]
    for metadata in flows:
        name = f"flow-{metadata['arm']}"
        seconds.setdefault(name, []).append(metadata["seconds_before"] + metadata["seconds"])
        parameters[name] = metadata["numbers"]
    rows = [
        {"method": name, "parameters": parameters[name], "train_seconds": mean(spent), "adapt_seconds": 0.0}
        for name, spent in seconds.items()
    ]
    free = {"parameters": 0, "train_seconds": 0.0, "adapt_seconds": 0.0}
    return [*rows, *({"method": name, **free} for name in FREE)]
