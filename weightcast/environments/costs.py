"""Training costs, read from the metadata that every artifact carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from weightcast.core.methods import SKILL_FLOOR


def artifact_cost(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A row of costs.csv: what training this one artifact took, without what it builds on.

    Args:
        path: of the artifact; its folder is the stage.
        metadata: as :func:`weightcast.core.artifacts.read_metadata` gives it.
    """
    manifest = metadata.get("manifest")
    if manifest is not None:
        seconds, members = sum(entry["seconds"] for entry in manifest), len(manifest)
    else:
        seconds, members = metadata["seconds"], 1
    return {
        "stage": path.parent.name,
        "artifact": path.stem,
        "method": "",
        "parameters": metadata["numbers"],
        "members": members,
        "train_seconds": seconds,
        "adapt_seconds": 0.0,
    }


def method_costs(weights: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of method_costs.csv: means over seeds of what each method took, with all that it builds on.

    Args:
        weights: metadata of ``weights`` artifacts.
    """
    described: dict[str, list[Mapping[str, Any]]] = {}
    for metadata in weights:
        for method in metadata["methods"]:
            described.setdefault(method["method"], []).append(method)
    rows = [
        {
            "method": name,
            "parameters": seeds[0]["parameters"],
            "train_seconds": mean(seed["train_seconds"] for seed in seeds),
            "adapt_seconds": mean(seed["adapt_seconds"] for seed in seeds),
        }
        for name, seeds in described.items()
    ]
    free = {"parameters": 0, "train_seconds": 0.0, "adapt_seconds": 0.0}
    return [*rows, *({"method": name, **free} for name in SKILL_FLOOR)]
