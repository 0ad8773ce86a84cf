"""The stage ``train_flow_matching``: the baseline OT-CFM on the snapshots that a fold may see."""

from __future__ import annotations

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.evolution.baselines.flow_matching import FlowMatching, match_flow
from weightcast.evolution.jobs import TrainFlowMatching
from weightcast.evolution.plan import seen_in
from weightcast.samples.snapshots import Snapshots


@stage("train_flow_matching")
def train_flow_matching(run: Run, settings: TrainFlowMatching, snapshots: Snapshots) -> FlowMatching:
    """Train one vector field that carries each snapshot to the next."""
    seen = seen_in(snapshots, settings.fold)
    seed = derive_seed(settings.seed, "flow-matching")
    metadata = {
        "fold": settings.fold,
        "times": seen.observed_times.tolist(),
        "dimensions": list(seen.dimensions),
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return match_flow(run, seen.observed_times, seen.observed_train, seed, metadata=metadata)
