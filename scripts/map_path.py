"""The path of weights on two principal components: with all anchors, and the evolved paths alone; each seed apart.

Seeds start from other random weights, so that their components would show seeds rather than time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.errors import InputError
from weightcast.core.tables import write_table
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.weight_path import WeightPath

POINTS = 101
"""Times along each evolved path, evenly spaced from the first snapshot to the last."""


def name_and_seed(path: Path) -> tuple[str, int]:
    """What an artifact ``<kind or arm>-<seed>.safetensors`` is called.

    Raises:
        InputError: it is called otherwise.
    """
    name, _, seed = path.stem.rpartition("-")
    if not name or not seed.isdecimal():
        raise InputError(f"{path}: found the name {path.stem!r}, expected <kind or arm>-<seed>")
    return name, int(seed)


def mapped(space: str, points: pd.DataFrame) -> pd.DataFrame:
    """Rows of one space: the first two components of points, rows with stage, artifact, seed, time and weights."""
    weights = np.stack(list(points["weights"]))
    components = PCA(2, random_state=0)
    places = components.fit_transform(weights)
    explained = components.explained_variance_ratio_
    return pd.DataFrame(
        {
            "space": space,
            **{column: points[column] for column in ("stage", "artifact", "seed", "time")},
            "component_1": places[:, 0],
            "component_2": places[:, 1],
            "explained_1": explained[0],
            "explained_2": explained[1],
        }
    )


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anchors", required=True, nargs="+", type=Path, help="<kind>-<seed>.safetensors")
    parser.add_argument("--flows", required=True, nargs="+", type=Path, help="<arm>-<seed>.safetensors")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    rows = []
    for path in arguments.anchors:
        kind, seed = name_and_seed(path)
        anchors = Anchors.load(path)
        for time, weights in zip(anchors.times, anchors.weights.double().numpy(), strict=True):
            rows.append(("anchors", kind, seed, float(time), weights))
    for path in arguments.flows:
        arm, seed = name_and_seed(path)
        flow = WeightPath.load(path)
        times = np.linspace(flow.first, flow.last, POINTS)
        for time, weights in zip(times, flow.weights(times).double().numpy(), strict=True):
            rows.append(("flow", arm, seed, float(time), weights))
    points = pd.DataFrame(rows, columns=["stage", "artifact", "seed", "time", "weights"])
    tables = []
    for _, of_seed in points.groupby("seed"):
        tables.append(mapped("anchors", of_seed))
        paths = of_seed[of_seed["stage"] == "flow"]
        if len(paths):
            tables.append(mapped("paths", paths))
    write_table(pd.concat(tables), arguments.output)


if __name__ == "__main__":
    main()
