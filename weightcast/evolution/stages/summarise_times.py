"""The stage ``summarise_times``: all errors in one table, what they say, and what everything cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from weightcast.core.artifacts import read_metadata
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.tables import read_metrics
from weightcast.evolution.jobs import SummariseTimes
from weightcast.evolution.summary import summary_over_times

FREE = ("displacement", "sampling-floor")
"""Methods that train nothing."""


@stage("summarise_times")
def summarise_times(
    run: Run,
    settings: SummariseTimes,
    evaluations: list[Path],
    anchors: list[Path],
    flows: list[Path],
    flow_matching: list[Path],
) -> dict[str, Table]:
    """Gather the errors of all methods, and the costs of all artifacts that learned from every observed snapshot."""
    paths = [*anchors, *flows, *flow_matching]
    described = {path: read_metadata(path) for path in paths}
    artifacts = [artifact_cost(path, described[path]) for path in paths]
    methods = pd.DataFrame(
        method_costs(
            [described[path] for path in anchors],
            [described[path] for path in flows],
            settings.interpolations,
            [described[path] for path in flow_matching],
        )
    )
    metrics = pd.concat([read_metrics(path) for path in evaluations], ignore_index=True)
    return {
        "metrics": Table(metrics),
        "summary": Table(summary_over_times(metrics, methods, settings.bootstrap)),
        "costs": Table.of_rows(artifacts),
        "methods": Table(methods),
    }


def artifact_cost(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A row of costs.csv: what training this one artifact took, without what it builds on.

    Args:
        path: of the artifact; its folder is the fold, and that one's folder the stage.
        metadata: as :func:`weightcast.core.artifacts.read_metadata` gives it.
    """
    return {
        "stage": path.parents[1].name,
        "artifact": path.stem,
        "method": "",
        "parameters": metadata["numbers"],
        "members": 1,
        "train_seconds": metadata["seconds"],
        "adapt_seconds": 0.0,
    }


def method_costs(
    anchors: Iterable[Mapping[str, Any]],
    flows: Iterable[Mapping[str, Any]],
    interpolations: Sequence[str],
    flow_matching: Iterable[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Rows of method_costs.csv: means over seeds of what each method took, with all that it builds on.

    Args:
        anchors: metadata of anchors.
        flows: metadata of flows.
        interpolations: of the weights of anchors; they cost what the anchors cost.
        flow_matching: metadata of the baseline OT-CFM, if the study has it.
    """
    seconds: dict[str, list[float]] = {}
    parameters: dict[str, int] = {}

    def add(name: str, metadata: Mapping[str, Any]) -> None:
        seconds.setdefault(name, []).append(metadata.get("seconds_before", 0.0) + metadata["seconds"])
        parameters[name] = metadata["numbers"]

    for metadata in anchors:
        for curve in interpolations:
            add(f"{curve}-{metadata['anchors']}", metadata)
    for metadata in flows:
        add(f"flow-{metadata['arm']}", metadata)
    for metadata in flow_matching:
        add("flow-matching", metadata)
    rows = [
        {"method": name, "parameters": parameters[name], "train_seconds": mean(spent), "adapt_seconds": 0.0}
        for name, spent in seconds.items()
    ]
    free = {"parameters": 0, "train_seconds": 0.0, "adapt_seconds": 0.0}
    return [*rows, *({"method": name, **free} for name in FREE)]
