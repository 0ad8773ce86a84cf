"""The stage ``show_distributions``: samples of one evolved distribution beside held-out ones, for the report."""

from __future__ import annotations

from weightcast.core.outputs import Dataset
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.evolution.jobs import ShowDistributions
from weightcast.evolution.report.distributions import sample_distributions
from weightcast.evolution.weight_path import WeightPath
from weightcast.samples.snapshots import Snapshots


@stage("show_distributions")
def show_distributions(run: Run, settings: ShowDistributions, flow: WeightPath, snapshots: Snapshots) -> Dataset:
    """Draw samples of a flow at all of the data's times that its snapshots span."""
    samples = sample_distributions(snapshots, flow.to(run.device), settings.samples, settings.seed)
    return Dataset(samples.to_dataset(), {"x": {"zlib": True, "complevel": 4}})
