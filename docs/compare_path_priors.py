"""When is more than one normal distribution worth it as the prior of codes of paths? Into docs/environments-time.md.

python docs/compare_path_priors.py          three small families, two minutes of one core

Ornstein-Uhlenbeck processes in 24 visible environments whose two parameters lie in a box, on a ring or in three
clusters; 16 others of the same kind are shown by few samples of one early time, and scored at later ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from write_results import ROOT, fill

from weightcast.core.environment_table import Environment, EnvironmentTable, Role
from weightcast.core.run import Run
from weightcast.environments.config.code_prior import CodePriorName
from weightcast.evolution.config.density import DensitySettings
from weightcast.families.bands import mixture_log_prob
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.paths import PathSettings
from weightcast.families.gathering import simulate_family
from weightcast.families.inference import ShownSamples, infer_codes
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import train_paths, with_prior
from weightcast.samples.settings import SnapshotSettings

Array = NDArray[np.float64]
SETS = ("box", "ring", "clusters")
PRIORS: tuple[CodePriorName, ...] = ("gaussian", "mixture", "diffusion")
VISIBLE, UNSEEN = 24, 16
SHOWN_AT, SCORED_AT = 2, (5, 7, 8, 10)
"""Positions of times, every half of a unit."""
SHOWN = (3, 6, 20)
"""Samples."""
CENTRES = np.array([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
DATA = SnapshotSettings.model_validate(
    {
        "source": "ornstein-uhlenbeck",
        "state": "real",
        "dimensions": ["x", "y"],
        "settings": {"rotation": 1.0, "correlation": 0.5},
        "trajectories": {"train": 300, "held_out": 500, "times": 11},
        "observed_every": 2,
    }
)
PATHS = PathSettings.model_validate(
    {"maps": 1, "training": {"steps": 600, "learning_rate": 0.005, "members": 48, "batch": 24}}
)
DENSITY = DensitySettings(hidden=16, components=3)
INFERENCE = InferenceSettings(widened=[1.25])
NAMES = ("relaxation", "noise")


def places(kind: str, count: int, random: np.random.Generator) -> Array:
    """Where environments lie, in either direction from about -1 to 1 [environment, 2]."""
    if kind == "ring":
        angle = random.uniform(0, 2 * np.pi, count)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.03 * random.standard_normal((count, 2))
    if kind == "clusters":
        return CENTRES[random.integers(0, len(CENTRES), count)] + 0.12 * random.standard_normal((count, 2))
    return random.uniform(-1, 1, (count, 2))


def environments(kind: str) -> EnvironmentTable:
    """Visible and unseen ones."""
    random = np.random.default_rng(1)
    rows = []
    roles: tuple[tuple[Role, int], ...] = (("visible", VISIBLE), ("interpolation", UNSEEN))
    for role, count in roles:
        for number, place in enumerate(places(kind, count, random)):
            values = {"relaxation": 0.6 * math.exp(0.7 * place[0]), "noise": 0.7 * math.exp(0.5 * place[1])}
            rows.append(Environment(f"{role}-{number}", values, role))
    return EnvironmentTable(tuple(rows), NAMES, Path(f"{kind}.csv"))


def compare(kind: str) -> Iterator[dict[str, object]]:
    """Negative log-likelihood of later samples in every unseen environment, with every prior."""
    table = environments(kind)
    snapshots = simulate_family(DATA, table, seed=0)
    visible, unseen = ([row.id for row in rows] for rows in (table.visible, table.unseen))
    family, _ = train_paths(
        Run(), "codes", "deep", snapshots, table, visible, PATHS, DENSITY,
        logarithmic=NAMES, widened=INFERENCE.widened[0], seed=1, name=kind,
    )  # fmt: skip
    for prior_kind in PRIORS:
        told = with_prior(Run(), family, prior_kind, INFERENCE.code_diffusion, 3, prior_kind)
        for count in SHOWN:
            shown = [_shown(snapshots, id, count) for id in unseen]
            found = infer_codes(told, ShownSamples.of(shown), INFERENCE, 2, unseen)
            for id, codes in zip(unseen, found.draws.unbind(1), strict=True):
                yield {"set": kind, "prior": prior_kind, "shown": count, "nll": _error(family, snapshots, id, codes)}


def _shown(snapshots: FamilySnapshots, id: str, count: int) -> tuple[list[float], list[Array]]:
    one = snapshots.environments[id]
    return [float(one.times[SHOWN_AT])], [one.train[SHOWN_AT][:count]]


def _error(family: TrainedFamily, snapshots: FamilySnapshots, id: str, codes: torch.Tensor) -> float:
    one = snapshots.environments[id]
    found = [
        -float(mixture_log_prob(family, float(one.times[at]), codes, torch.from_numpy(one.held_out[at])).mean())
        for at in SCORED_AT
    ]
    return float(np.mean(found))


def block(rows: pd.DataFrame) -> str:
    """A row a set and number of samples: the normal distribution's, and how far others are below or above it."""
    lines = [f"| environments | samples shown | {' | '.join(PRIORS)} |", "|---" * (2 + len(PRIORS)) + "|"]
    for (kind, count), group in rows.groupby(["set", "shown"], sort=False):
        errors = {prior: of["nll"].to_numpy() for prior, of in group.groupby("prior")}
        cells = [f"{errors[PRIORS[0]].mean():.3f}"]
        for prior in PRIORS[1:]:
            gain = errors[prior] - errors[PRIORS[0]]
            sure = 2 * gain.std(ddof=1) / np.sqrt(len(gain))
            cells.append(f"{gain.mean():+.3f} ± {sure:.3f}, better in {np.sum(gain < 0)} of {len(gain)}")
        lines.append(f"| {kind} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    torch.set_num_threads(1)
    rows = pd.DataFrame([row for kind in SETS for row in compare(kind)])
    fill(ROOT / "docs" / "environments-time.md", "path-priors", block(rows))


if __name__ == "__main__":
    main()
