"""The stage ``find_equations``: sparse polynomial equations of all visible environments, with coefficients of each.

They are a context whose code is the coefficients themselves: of a new environment these are inferred from frames by the
same search as codes are, under the prior of the visible environments' coefficients.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightcast.core.least_squares import levenberg_marquardt
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.baselines.sparse_equations import (
    Chosen,
    Increments,
    coefficients,
    described_terms,
    eliminate,
    structure,
)
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.config.weight_map import LinearMap
from weightcast.environments.context import Calibration, Context, forecast_errors, infer, trained_residuals
from weightcast.environments.dataset import Normalisation, TrajectoryFolder, any_trajectory, tensor_digest
from weightcast.environments.explain.polynomials import Monomials
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.jobs import FindEquations
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import Windows
from weightcast.environments.weight_maps import LinearWeights, WeightMap, build_weight_map

REFINE = RefineSettings(iterations=10)
"""The search for coefficients behind a few frames."""
UNROLL, WINDOWS, ITERATIONS = 8, 32, 8
"""Steps and number of the rollouts that visible environments' coefficients are fitted to, and of the iterations: they
begin where the regression ends."""
WORST = 10.0
"""Standard deviations that what blows up counts as."""


@stage("find_equations")
def find_equations(run: Run, settings: FindEquations, trajectories: TrajectoryFolder) -> Context:
    """Find the terms that visible environments need, and the coefficients of each; left-out ones choose how many."""
    started = time.monotonic()
    search = _Search(run, settings, trajectories)
    candidates: dict[bytes, Chosen] = {}
    for tolerance in settings.equations.tolerances:
        chosen = search.structure(tolerance)
        if chosen.any():
            candidates.setdefault(chosen.tobytes(), chosen)
    if not candidates:  # nothing ever changes: the constant of each equation, which will be 0
        chosen = np.zeros((len(settings.data.channels), len(search.monomials.names)), bool)
        chosen[:, 0] = True
        candidates[b""] = chosen
    structures = list(candidates.values())
    scores = [search.judge(chosen) for chosen in structures] if len(structures) > 1 else [0.0]
    for chosen, score in zip(structures, scores, strict=True):
        print(f"{int(chosen.sum())} terms: score {score:.4g}", flush=True)
    best = structures[int(np.argmin(scores))]
    context = search.context(best, [*range(len(settings.ids))])
    metadata = dict(context.base.metadata) | {"seconds": time.monotonic() - started}
    return replace(context, base=replace(context.base, metadata=metadata))


class _Search:
    """What all structures share: data, terms, and what is left as terms go."""

    def __init__(self, run: Run, settings: FindEquations, trajectories: TrajectoryFolder) -> None:
        self.run, self.settings = run, settings
        data, ids = settings.data, settings.ids
        self.physical = trajectories.read(ids, data, "train", data.trained_frames)
        # Without a shift: a sum of powers of one variable is no sum of as few powers of another.
        scale = Normalisation.of(self.physical).scale
        self.normalisation = Normalisation((0.0,) * len(scale), scale)
        self.frames = run.place(self.normalisation.apply(self.physical))
        self.space = FrameSpace.of(self.frames)
        self.monomials = Monomials(data.channels, settings.equations.degree)
        held_out = trajectories.read(ids, data, "validation", data.trained_frames)
        held_out = self.normalisation.apply(held_out) if any_trajectory(held_out) else self.frames
        self.seen, other = (Increments.of(_states(each), self.monomials) for each in (self.frames, held_out))
        self.eliminations = [eliminate(self.seen, other, equation) for equation in range(len(data.channels))]
        self.judged = self.normalisation.apply(
            run.place(trajectories.read_choosing(list(settings.choosing), data, data.trained_frames))
        )

    def structure(self, tolerance: float) -> Chosen:
        return structure(self.eliminations, tolerance, self.settings.equations.most_terms)

    def judge(self, chosen: Chosen) -> float:
        """Mean logarithm of errors of forecasts for left-out environments, whose coefficients were inferred from a few
        frames."""
        ids, left_out = self.settings.ids, self.settings.choosing
        others = [row for row, id in enumerate(ids) if id not in left_out] or [*range(len(ids))]
        context = self.context(chosen, others)
        shown = self.frames[[ids.index(id) for id in left_out], :1, : self.settings.equations.frames]
        base = context.base
        posterior = infer(
            base.weight_map, base.predictor, context.codes, shown, self.space, REFINE, context.calibration
        )
        errors = forecast_errors(base.weight_map(posterior.best), base.predictor, self.judged)
        return float(errors.clamp(1e-9, WORST).log().mean())

    def context(self, chosen: Chosen, rows: Sequence[int]) -> Context:
        """Equations of these terms, with the coefficients of some visible environments, by position."""
        frames, settings = self.frames[list(rows)], self.settings
        architecture: dict[str, Any] = {
            "kind": "polynomial-field",
            "channels": len(settings.data.channels),
            "terms": described_terms(chosen, self.monomials),
            "substeps": settings.equations.substeps,
        }
        predictor = StackedPredictor(build_predictor(architecture)).to(self.run.device)
        start = torch.from_numpy(coefficients(self.seen, chosen)[list(rows)]).to(frames)
        windows = Windows.of(frames, frames, UNROLL, WINDOWS)
        of = torch.arange(len(frames), device=frames.device)

        def residuals(unknowns: Tensor) -> Tensor:
            return windows.residuals(unknowns, of, predictor)

        found = levenberg_marquardt(residuals, start, ITERATIONS).unknowns
        weight_map = self.run.place(_identity(found.cpu(), predictor))
        shown = frames[:, :1, : settings.equations.frames]
        least = trained_residuals(weight_map, found, predictor, shown, REFINE)
        calibration = Calibration(1.0, least, [], 0.0)
        metadata = {
            "weight_map": describe_weight_map(LinearMap(), weight_map.condition),
            "architecture": architecture,
            "normalisation": self.normalisation.metadata(),
            "condition": weight_map.condition.describe(),
            "environments": [settings.ids[row] for row in rows],
            "settings": settings.model_dump(mode="json", exclude={"environments"}),
            "data_digest": tensor_digest(self.physical),
            "seconds": 0.0,
            "metrics": {},
            "context": {"refine": REFINE.model_dump(mode="json"), "calibration": asdict(calibration)},
        }
        metadata |= self.run.described()
        return Context.of(BaseNetwork(weight_map, predictor, self.normalisation, metadata, self.space.tensors()))


def _identity(codes: Tensor, predictor: StackedPredictor) -> WeightMap:
    """Coefficients -> the same coefficients, as weights of the field."""
    count = codes.shape[1]
    weight_map = build_weight_map(LinearMap(), CodeCondition(codes), torch.zeros(count), predictor.graph.to("cpu"))
    assert isinstance(weight_map, LinearWeights)
    with torch.no_grad():
        weight_map.directions.copy_(torch.eye(count))
    return weight_map.requires_grad_(False)


def _states(frames: Tensor) -> np.ndarray:
    """Frames of a grid of one point [environment, trajectory, frame, channel, 1, 1] as states, in double precision."""
    return frames.flatten(3).double().cpu().numpy()
