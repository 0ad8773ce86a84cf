"""What steps of the flow cost: ordinary and controlled equations, solvers, and the libraries that they stand on alone.

    OMP_NUM_THREADS=1 python benchmarks/flow_steps.py [--quick]

Flows between anchors of the epidemic's densities (config/epidemic.yaml), by turns:

training          a step towards the anchors (`fit_flow`) with an ordinary (ODE) and a controlled (CDE) equation; the
                  fourth-order method in 1 to 8 steps between anchors, and an adaptive method
stretches         eight stretches side by side, as a training step has them, against one after the other
whole path        from the first anchor over all, with gradient, against `torchdiffeq.odeint` and `torchcde.cdeint` with
                  the same field: what one would call without this library
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
import torchcde
from side_by_side import ROOT, Effort, Row, alone, take_turns
from torch import Tensor
from torchdiffeq import odeint

from weightcast.core.run import Run
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.config.flow import FlowArm, FlowSettings
from weightcast.evolution.config.load import load_time_study
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.stages.train_flow import fit_flow, new_flow
from weightcast.evolution.state_space import Counts

NAME = "flow"
SOLVER_STEPS = (1, 2, 4, 8)
ANCHORS = (6, 11, 51)
TRAINING_STEPS = 4
STRETCHES = 8

Dynamics = Literal["ode", "cde"]


def rows(effort: Effort) -> Iterator[Row]:
    """Training by steps of the solver, stretches, whole paths."""
    for steps in SOLVER_STEPS:
        yield from training_rows(steps, effort)
    yield from stretch_rows(effort)
    for count in ANCHORS[:2] if effort.quick else ANCHORS:
        for dynamics in ("ode", "cde"):
            yield from path_rows(dynamics, count, effort)


def training_rows(steps: int, effort: Effort) -> Iterator[Row]:
    """A training step with so many steps of the solver between two anchors; the adaptive method has its own."""
    anchors = anchors_of(11)
    ways: dict[str, Callable[[], object]] = {
        "ODE": _training("ode", {"method": "rk4", "steps": steps}, anchors),
        "CDE": _training("cde", {"method": "rk4", "steps": steps}, anchors),
    }
    if steps == SOLVER_STEPS[0]:
        ways["ODE, adaptive"] = _training("ode", {"method": "dopri5"}, anchors)
        ways["ODE, adjoint"] = _training("ode", {"method": "rk4", "adjoint": True}, anchors)
    turns = take_turns(ways, effort)
    yield from turns.rows(NAME, "training, solver's steps between anchors", steps, per=TRAINING_STEPS)


def stretch_rows(effort: Effort) -> Iterator[Row]:
    """Stretches side by side and one after the other, without gradient."""
    flow, anchors = flow_of("cde", {}, anchors_of(11)), anchors_of(11)
    first = torch.arange(STRETCHES) % 5
    times = flow.grid[first[:, None] + torch.arange(6)]
    start = flow.standardise(anchors.weights)[first]

    @torch.no_grad()
    def one_by_one() -> None:
        for row in range(STRETCHES):
            flow.integrate(start[row : row + 1], times[row : row + 1])

    ways: dict[str, Callable[[], object]] = {
        "side by side": torch.no_grad()(lambda: flow.integrate(start, times)),
        "one by one": one_by_one,
    }
    yield from take_turns(ways, effort).rows(NAME, "stretches of five anchors", STRETCHES)


def path_rows(dynamics: Dynamics, count: int, effort: Effort) -> Iterator[Row]:
    """The whole path over so many anchors and its gradient, solved by the flow and by the library alone."""
    flow = flow_of(dynamics, {"start": "rest"}, anchors_of(count))
    start = flow.standardise(flow.start)

    def gradient_of(path: Callable[[], Tensor]) -> Callable[[], object]:
        def gradient() -> None:
            flow.zero_grad()
            path().square().mean().backward()

        return gradient

    rival = "torchdiffeq alone" if dynamics == "ode" else "torchcde alone"
    ways: dict[str, Callable[[], object]] = {
        "flow": gradient_of(lambda: flow.integrate(start[None], flow.grid[None])[:, 0]),
        rival: gradient_of(lambda: library_path(flow, start)),
    }
    yield from take_turns(ways, effort).rows(NAME, f"whole path, {dynamics.upper()}, anchors", count)


def library_path(flow: WeightFlow, start: Tensor) -> Tensor:
    """Standardised weights at all anchors' times [anchor, parameter], by torchdiffeq or torchcde alone."""
    if flow.control is None:
        return odeint(lambda time, weights: flow.field(time[None], weights[None])[0, 0], start, flow.grid, method="rk4")

    def matrix(time: Tensor, weights: Tensor) -> Tensor:
        return flow.field(time[None], weights[None])[0].T  # [parameter, channel]

    control = flow.control._spline
    return torchcde.cdeint(control, matrix, start, flow.grid, adjoint=False, method="rk4")


def anchors_of(count: int) -> Anchors:
    """Weights at so many times, on a curve around those of a fresh density."""
    study = load_time_study(ROOT / "config" / "epidemic.yaml")
    density = StackedDensity.new(study.density, Counts(52, 3), 0)
    scaled, random = np.linspace(0, 1, count), np.random.default_rng(0)
    curve = np.stack([np.sin(3 * scaled), scaled**2, np.cos(5 * scaled)], axis=1)
    moved = torch.from_numpy(0.3 * curve @ random.normal(size=(3, density.graph.num_parameters))).float()
    return Anchors(scaled, density.initial_weights(0) + moved, density, {"anchors": "joint"})


def flow_of(dynamics: Dynamics, changed: dict[str, Any], anchors: Anchors) -> WeightFlow:
    """An untrained flow with the study's settings; ``start`` may be changed."""
    return new_flow(Run(), anchors, _arm(dynamics, changed), _settings({}), seed=1)


def _training(dynamics: Dynamics, solver: dict[str, Any], anchors: Anchors) -> Callable[[], object]:
    settings, arm = _settings(solver), _arm(dynamics, {})
    random = np.random.default_rng(1)
    samples = [random.integers(0, 52, (100, 3)).astype(float) for _ in anchors.times]
    bridge = Bridge(anchors.times, samples, True, BridgeSettings(per_interval=1), 0)
    flow = new_flow(Run(), anchors, arm, settings, seed=1)

    def train() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            fit_flow(Run(), flow, anchors, bridge, "anchors", settings, 0)

    return train


def _settings(solver: dict[str, Any]) -> FlowSettings:
    plain = load_time_study(ROOT / "config" / "epidemic.yaml").flow.model_dump()
    plain["solver"] |= solver
    plain["anchor_training"] |= {"steps": TRAINING_STEPS, "learning_rate": 1e-6}
    return FlowSettings.model_validate(plain)


def _arm(dynamics: Dynamics, changed: dict[str, Any]) -> FlowArm:
    return FlowArm.model_validate({"dynamics": dynamics, "anchors": "joint", "objective": "anchors"} | changed)


if __name__ == "__main__":
    alone(rows, __doc__)
