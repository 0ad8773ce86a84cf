"""A small density, anchors on a curve, and flows between them: what the tests of flows are made of."""

from __future__ import annotations

import numpy as np
import torch

from weightcast.core.run import Run
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.flow import FlowArm, FlowSettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.stages.train_flow import new_flow
from weightcast.evolution.state_space import Counts
from weightcast.samples.snapshots import Snapshots

DENSITY = StackedDensity.new(DensitySettings(hidden=3), Counts(4, 2), seed=0)
EVEN = np.array([2.0, 3.0, 4.0, 5.0, 6.0])
UNEVEN = np.array([2.0, 2.5, 4.0, 5.5, 10.0])
SHORT = {"steps": 40, "learning_rate": 0.003, "segments": 4, "longest": 3, "batch": 64}


def arm(dynamics: str = "ode", start: str = "anchors", **changes) -> FlowArm:
    return FlowArm(dynamics=dynamics, anchors="joint", start=start, **changes)


def settings(**changes) -> FlowSettings:
    plain = {"arms": {"a": arm()}, "width": 16, "heads": 2, "layers": 1, "anchor_training": SHORT,
             "likelihood_training": SHORT}  # fmt: skip
    return FlowSettings.model_validate(plain | changes)


def anchors(times: np.ndarray = EVEN, size: float = 0.6) -> Anchors:
    """Weights that follow a curve in three dimensions, around those of a freshly initialised density."""
    random = np.random.default_rng(0)
    scaled = (times - times[0]) / (times[-1] - times[0])
    curve = np.stack([np.sin(3 * scaled), scaled**2, np.cos(5 * scaled)], axis=1)
    moved = torch.from_numpy(size * curve @ random.normal(size=(3, DENSITY.graph.num_parameters))).float()
    return Anchors(times, DENSITY.initial_weights(0) + moved, DENSITY, {"anchors": "joint"})


def flow_of(of: Anchors, dynamics: str = "ode", start: str = "anchors", **changes) -> WeightFlow:
    return new_flow(Run(), of, arm(dynamics, start), settings(**changes), seed=1)


def snapshots_of(times: np.ndarray = EVEN, count: int = 100) -> Snapshots:
    """Counts in 0 to 3 whose mean rises with time."""
    random = np.random.default_rng(1)
    shares = np.linspace(0.1, 0.9, len(times))
    train, held_out = (tuple(random.binomial(3, share, (count, 2)).astype(float) for share in shares) for _ in range(2))
    return Snapshots(times, np.ones(len(times), bool), train, held_out, ("a", "b"), 4)
