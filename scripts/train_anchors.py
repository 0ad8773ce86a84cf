"""Fit densities to the snapshots that a fold may see."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import digest_of
from weightcast.core.provenance import code_digest, file_digest
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Resume
from weightcast.evolution.anchors import train_anchors
from weightcast.evolution.config.anchors import AnchorSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.plan import left_out
from weightcast.evolution.state_space import state_space_of
from weightcast.samples.snapshots import read_snapshots


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="density, anchors, seed")
    parser.add_argument("--kind", required=True)
    parser.add_argument("--snapshots", required=True, type=Path)
    parser.add_argument("--fold", required=True, help="all, or without-<snapshot>")
    parser.add_argument("--seed", required=True, type=int, help="of the anchors")
    parser.add_argument("--resume", required=True, type=Path, help="folder for the state of unfinished trainings")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    density_settings = DensitySettings(**arguments.settings["density"])
    settings = AnchorSettings(**arguments.settings["anchors"])
    snapshots = read_snapshots(arguments.snapshots).without(left_out(arguments.fold))
    seed = derive_seed(arguments.settings["seed"], "anchors", arguments.seed)
    density = StackedDensity.new(density_settings, state_space_of(snapshots, density_settings), seed)
    data = file_digest(arguments.snapshots)
    key = [arguments.settings, arguments.kind, arguments.fold, arguments.seed, data, code_digest(__file__)]
    resume = Resume(arguments.resume, digest_of(key))
    metadata = {
        "seed": arguments.seed,
        "fold": arguments.fold,
        "times": snapshots.observed_times.tolist(),
        "dimensions": list(snapshots.dimensions),
        "config_digest": digest_of(arguments.settings),
        "data_digest": data,
    }
    anchors = train_anchors(
        arguments.kind,
        density,
        snapshots.observed_times,
        snapshots.observed_train,
        settings,
        seed,
        resume,
        metadata,
    )
    anchors.save(arguments.output)
    resume.clear()


if __name__ == "__main__":
    main()
