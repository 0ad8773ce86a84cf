"""The stage ``summarise_times``: all errors in one table, what they say, and what everything cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.tables import read_metrics
from weightcast.core.training_curves import training_curves
from weightcast.evolution.jobs import SummariseTimes
from weightcast.evolution.summary import summary_over_times

FREE = ("displacement", "last-snapshot", "sampling-floor", "exact-law")
"""Methods that train nothing."""


@stage("summarise_times")
def summarise_times(
    run: Run,
    settings: SummariseTimes,
    evaluations: list[Path],
    anchors: list[ArtifactHeader],
    flows: list[ArtifactHeader],
    flow_matching: list[ArtifactHeader],
) -> dict[str, Table]:
    """Gather the errors of all methods, and the costs of all artifacts that learned from every observed snapshot."""
    trained = [_of_stage(header) for header in (*anchors, *flows, *flow_matching)]
    anchored, flowed, matched = ([header.metadata for header in headers] for headers in (anchors, flows, flow_matching))
    methods = pd.DataFrame(method_costs(anchored, flowed, matched, settings.interpolations))
    metrics = pd.concat([read_metrics(path) for path in evaluations], ignore_index=True)
    return {
        "metrics": Table(metrics),
        "summary": Table(summary_over_times(metrics, methods, settings.bootstrap)),
        "costs": Table.of_rows(artifact_cost(artifact) | {"kept": kept_path(artifact)} for artifact in trained),
        "methods": Table(methods),
        "curves": Table(training_curves(trained)),
    }


def _of_stage(header: ArtifactHeader) -> ArtifactHeader:
    """Leave the fold out of an artifact's path, so that its folder is the stage."""
    return replace(header, path=header.path.parents[1] / header.path.name)


def artifact_cost(artifact: ArtifactHeader) -> dict[str, Any]:
    """A row of costs.csv: what training this one artifact took, without what it builds on; its folder is the stage."""
    return {
        "stage": artifact.path.parent.name,
        "artifact": artifact.path.stem,
        "method": "",
        "parameters": artifact.metadata["numbers"],
        "members": 1,
        "train_seconds": artifact.metadata["seconds"],
        "adapt_seconds": 0.0,
    }


def kept_path(artifact: ArtifactHeader) -> str:
    """Say of a flow whether samples set aside chose the trained one or the spline it began from; nothing of others."""
    return artifact.metadata["kept"] if "validation" in artifact.metadata else ""


def method_costs(
    anchors: Iterable[Mapping[str, Any]],
    flows: Iterable[Mapping[str, Any]],
    flow_matching: Iterable[Mapping[str, Any]],
    interpolations: Sequence[str],
) -> list[dict[str, Any]]:
    """Rows of method_costs.csv: means over seeds of what each method took, with all that it builds on.

    Args:
        anchors: metadata of anchors.
        flows: metadata of flows.
        flow_matching: metadata of the baseline OT-CFM, if the study has it.
        interpolations: of the weights of anchors; they cost what the anchors cost.
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
