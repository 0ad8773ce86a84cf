"""The configuration of a tiny study across time, and a summary of made-up or measured errors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from weightcast.core.tables import SUMMARY_COLUMNS

SAMPLES = 40
STATES = 64
CONFIG = {
    "study": "tiny",
    "kind": "time",
    "data": {
        "source": "epidemic",
        "state": "counts",
        "states": STATES,
        "dimensions": ["S", "I", "R"],
        "trajectories": {"train": 60, "held_out": 60},
        "observed_every": 3,
    },
    "density": {"hidden": 4},
    "anchors": {
        "kinds": ["aligned", "bridged"],
        "training": {"steps": 40, "learning_rate": 0.05, "batch": 30},
        "bridge": {"per_interval": 2},
    },
    "flow": {
        "seeds": [0],
        "arms": {
            "ode": {"dynamics": "ode", "anchors": "bridged", "objective": "likelihood"},
            "published": {"dynamics": "cde", "anchors": "aligned", "objective": "anchors", "start": "rest"},
        },
        "width": 8,
        "heads": 2,
        "layers": 1,
        "control_path": {"dimensions": 1},
        "solver": {"method": "euler"},
        "anchor_training": {"steps": 3, "learning_rate": 1e-3, "segments": 2, "longest": 2},
        "likelihood_training": {"steps": 3, "learning_rate": 1e-4, "segments": 2, "longest": 2, "batch": 8},
    },
    "evaluation": {"samples": SAMPLES, "interpolations": ["linear", "pchip"], "leave_out": [1], "bootstrap": 100},
}


def summary_of(metrics: pd.DataFrame) -> pd.DataFrame:
    """summary.csv, with intervals that are wide enough for anything."""
    rows = []
    for (name, split, metric), group in metrics.groupby(["method", "split", "metric"]):
        median = group.groupby("seed")["value"].mean().median()
        trained = 0.0 if name in ("displacement", "sampling-floor") else 3.5
        costs = (0 if trained == 0 else 1000, trained, 0.01)
        times = group["environment"].nunique()
        rows.append((name, split, metric, median, 0.8 * median, 1.2 * median, times, np.nan, *costs))
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
