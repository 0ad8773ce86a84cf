"""Everything that the report of a study across time is built from, read and checked before any figure is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from weightcast.core.errors import InputError
from weightcast.core.methods import method
from weightcast.core.tables import read_artifact_costs, read_metrics, read_summary, read_table, read_training_curves
from weightcast.evolution.config.load import load_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.coupled_file import COUPLINGS
from weightcast.evolution.couplings import Couplings
from weightcast.evolution.report.distributions import read_distributions
from weightcast.evolution.report.kept import KeptPaths, kept_paths
from weightcast.samples.snapshots import Snapshots, read_snapshots

PATH_COLUMNS = (
    "space",
    "stage",
    "artifact",
    "seed",
    "time",
    "component_1",
    "component_2",
    "explained_1",
    "explained_2",
)
"""Columns of weight_path.csv, as the stage ``map_path`` writes them."""


@dataclass(frozen=True)
class TimeResults:
    """The results of a study across time.

    Attributes:
        study: the configuration.
        config: the same as text.
        metrics: metrics.csv with a further column ``time``, in the data's unit.
        summary: summary.csv.
        snapshots: the samples.
        artifact_costs: costs.csv, or None.
        curves: training_curves.csv, or None.
        weight_path: weight_path.csv, or None.
        distributions: distributions.nc, or None.
        couplings: of all snapshots, or None where the study has none.
        kept: whether flows are differential equations or the splines they began from, as far as artifacts are there.
        missing: what was not found among the optional files: attribute name to path within the results folder.
    """

    study: TimeStudy
    config: str
    metrics: pd.DataFrame
    summary: pd.DataFrame
    snapshots: Snapshots
    artifact_costs: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    weight_path: pd.DataFrame | None = None
    distributions: xr.DataArray | None = None
    couplings: Couplings | None = None
    kept: KeptPaths = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def truth_words(self) -> str:
        """What predictions stand beside."""
        return "training samples" if self.snapshots.all_train else "held-out samples"

    @property
    def time_label(self) -> str:
        """The label of an axis of times."""
        return f"time, {self.snapshots.time_unit}" if self.snapshots.time_unit else "time"


def read_time_results(results: Path, snapshots_path: Path) -> TimeResults:
    """Read the results folder of a study.

    Args:
        results: with metrics.csv, summary.csv and config.yaml; report/costs.csv, report/training_curves.csv,
            report/weight_path.csv and report/distributions.nc may be missing.
        snapshots_path: of the samples.

    Raises:
        InputError: a required file is missing, or one that is there cannot be used.
    """
    study = load_time_study(results / "config.yaml")
    metrics = read_metrics(results / "metrics.csv")
    summary = read_summary(results / "summary.csv")
    snapshots = read_snapshots(snapshots_path)
    for name in sorted({*metrics["method"], *summary["method"]}):
        method(name)  # refuses names that nobody knows
    beyond = metrics["horizon"][(metrics["horizon"] < 0) | (metrics["horizon"] >= len(snapshots.times))]
    if len(beyond):
        raise InputError(
            f"{results / 'metrics.csv'}: horizon: found {beyond.iloc[0]}, expected the position of one of the "
            f"{len(snapshots.times)} times of {snapshots_path}"
        )
    optional: dict[str, Any] = {}
    missing = {}
    for name, file, read in (
        ("artifact_costs", "report/costs.csv", lambda path: read_artifact_costs(path, "kept")),
        ("curves", "report/training_curves.csv", read_training_curves),
        ("weight_path", "report/weight_path.csv", _read_weight_path),
        ("distributions", "report/distributions.nc", read_distributions),
    ):
        if (results / file).exists():
            optional[name] = read(results / file)
        else:
            missing[name] = file
    if study.coupled and (results / COUPLINGS).exists():
        optional["couplings"] = Couplings.load(results / COUPLINGS)
    return TimeResults(
        study=study,
        config=(results / "config.yaml").read_text(encoding="utf-8"),
        metrics=metrics.assign(time=snapshots.times[metrics["horizon"].to_numpy(np.int64)]),
        summary=summary,
        snapshots=snapshots,
        kept=kept_paths(results),
        missing=missing,
        **optional,
    )


def _read_weight_path(path: Path) -> pd.DataFrame:
    """Principal components of anchors and of evolved paths."""
    return read_table(path, PATH_COLUMNS)
