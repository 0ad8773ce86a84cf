"""The stage ``map_path``: paths of weights on two principal components.

One map has all anchors and evolved paths, another the evolved paths alone, each seed apart: seeds start from other
random weights, so that their components would show seeds rather than time.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.jobs import MapPath
from weightcast.evolution.weight_path import WeightPath

POINTS = 101
"""Times along each evolved path, evenly spaced from the first snapshot to the last."""


@stage("map_path")
def map_path(run: Run, settings: MapPath, anchors: list[Anchors], flows: list[WeightPath]) -> Table:
    """Project anchors and evolved paths on their first two principal components."""
    rows = []
    for one in anchors:
        for time, weights in zip(one.times, one.weights.double().numpy(), strict=True):
            rows.append(("anchors", one.metadata["anchors"], one.metadata["seed"], float(time), weights))
    for path in flows:
        times = np.linspace(path.first, path.last, POINTS)
        for time, weights in zip(times, path.to(run.device).weights(times).cpu().double().numpy(), strict=True):
            rows.append(("flow", path.metadata["arm"], path.metadata["seed"], float(time), weights))
    points = pd.DataFrame(rows, columns=["stage", "artifact", "seed", "time", "weights"])
    tables = []
    for _, of_seed in points.groupby("seed"):
        tables.append(_mapped("anchors", of_seed))
        paths = of_seed[of_seed["stage"] == "flow"]
        if len(paths):
            tables.append(_mapped("paths", paths))
    return Table(pd.concat(tables))


def _mapped(space: str, points: pd.DataFrame) -> pd.DataFrame:
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
