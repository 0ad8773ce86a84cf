"""Train one arm's flow from its anchors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import digest_of
from weightcast.core.provenance import code_digest, file_digest
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Resume
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.config.flow import FlowSettings
from weightcast.evolution.flow_artifact import save_flow
from weightcast.evolution.flow_training import bridge_of, new_flow, train_flow
from weightcast.evolution.plan import left_out
from weightcast.samples.snapshots import read_snapshots


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="flow, bridge, seed")
    parser.add_argument("--arm", required=True)
    parser.add_argument("--anchors", required=True, type=Path)
    parser.add_argument("--snapshots", required=True, type=Path)
    parser.add_argument("--fold", required=True, help="all, or without-<snapshot>")
    parser.add_argument("--seed", required=True, type=int, help="of the flow")
    parser.add_argument("--resume", required=True, type=Path, help="folder for the state of unfinished trainings")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    settings = FlowSettings(**arguments.settings["flow"])
    arm = settings.arms[arguments.arm]
    anchors = Anchors.load(arguments.anchors)
    snapshots = read_snapshots(arguments.snapshots).without(left_out(arguments.fold))
    seed = derive_seed(arguments.settings["seed"], "flow", arguments.seed)
    bridge = bridge_of(snapshots, anchors, arm, BridgeSettings(**arguments.settings["bridge"]), seed)
    flow = new_flow(anchors, arm, settings, seed)

    data = file_digest(arguments.snapshots)
    tensors = anchors.metadata["tensors_digest"]
    key = [arguments.settings, arguments.fold, arguments.seed, tensors, data, code_digest(__file__)]
    resume = Resume(arguments.resume, digest_of(key))
    results = train_flow(flow, anchors, bridge, arm.objective, settings, seed, resume)
    metadata = {
        "arm": arguments.arm,
        "seed": arguments.seed,
        "fold": arguments.fold,
        "times": snapshots.observed_times.tolist(),
        "dimensions": list(snapshots.dimensions),
        "anchors_digest": anchors.metadata["digest"],
        "config_digest": digest_of(arguments.settings),
        "data_digest": data,
        "seconds": sum(result.seconds for result in results.values()),
        "seconds_before": anchors.metadata["seconds"],
        "metrics": {f"last_{name}_loss": float(result.losses[-20:].mean()) for name, result in results.items()},
    }
    save_flow(arguments.output, flow, anchors.density, arm, settings, metadata)
    for name in results:
        resume.part(name).clear()


if __name__ == "__main__":
    main()
