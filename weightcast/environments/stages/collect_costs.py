"""The stage ``collect_costs``: what everything cost, and how its training went, as artifacts say themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import pandas as pd

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.methods import OWN_FLOOR, SKILL_FLOOR
from weightcast.core.outputs import Table
from weightcast.core.stage import stage
from weightcast.core.tables import read_method_costs
from weightcast.core.training_curves import training_curves
from weightcast.environments.jobs import CollectCosts

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("collect_costs")
def collect_costs(
    run: Run,
    settings: CollectCosts,
    bases: list[ArtifactHeader],
    zoos: list[ArtifactHeader],
    references: list[ArtifactHeader],
    vaes: list[ArtifactHeader],
    diffusions: list[ArtifactHeader],
    tuned: list[ArtifactHeader],
    weights: list[ArtifactHeader],
    regressions: Path | None = None,
) -> dict[str, Table]:
    """Gather costs and curves: a row an artifact, a row a method with all that it builds on, a row a point."""
    methods = pd.DataFrame(method_costs(artifact.metadata for artifact in weights))
    if regressions is not None:  # they end as forecasts, and so have no artifact that would say it
        methods = pd.concat([methods, read_method_costs(regressions)], ignore_index=True)
    trained = [*bases, *zoos, *references, *vaes, *diffusions, *tuned]
    return {
        "costs": Table.of_rows(artifact_cost(artifact) for artifact in trained),
        "methods": Table(methods),
        "curves": Table(training_curves([*trained, *weights])),
    }


def artifact_cost(artifact: ArtifactHeader) -> dict[str, Any]:
    """A row of costs.csv: what training this one artifact took, without what it builds on."""
    metadata = artifact.metadata
    manifest = metadata.get("manifest")
    if manifest is not None:
        seconds, members = sum(entry["seconds"] for entry in manifest), len(manifest)
    else:
        seconds, members = metadata["seconds"], 1
    return {
        "stage": artifact.path.parent.name,
        "artifact": artifact.path.stem,
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
    return [*rows, *({"method": name, **free} for name in (*SKILL_FLOOR, *OWN_FLOOR))]
