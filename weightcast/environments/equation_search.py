"""Sparse equations of all visible environments: one structure, with coefficients of each.

They are a context whose code is the coefficients themselves: of a new environment these are inferred from frames by the
same search as codes are, under the prior of the visible environments' coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from weightcast.core.least_squares import Solution, levenberg_marquardt
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.baselines.coarse_steps import CoarseSteps
from weightcast.environments.baselines.field_terms import FieldTerms
from weightcast.environments.baselines.sparse_equations import (
    Chosen,
    Elimination,
    Increments,
    StateTerms,
    coefficients,
    eliminate,
    parts_of,
    structure,
)
from weightcast.environments.calibration import calibrate
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.equations import FIELD_NUMBERS, UNROLL, EquationsSettings
from weightcast.environments.config.weight_map import LinearMap
from weightcast.environments.context import Calibration, Context, infer
from weightcast.environments.dataset import (
    TrajectoryFolder,
    any_trajectory,
    tensor_digest,
    without_first,
)
from weightcast.environments.explain.polynomials import Array, Monomials
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.map_choice import mean_logarithm
from weightcast.environments.map_errors import forecast_errors, own_errors, trained_residuals
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import LinearWeights, WeightMap, build_weight_map
from weightcast.environments.windows import Windows

WINDOWS, ITERATIONS = 32, 8
"""Rollouts of ``UNROLL`` steps that visible environments' coefficients are fitted to, and iterations: they begin where
the regression ends."""
OF_STATES = RefineSettings(starts=9, iterations=30)
"""The search for coefficients behind a few frames of a state: rates that make up for each other leave narrow, bent
valleys. (Glycolytic oscillator, one trajectory: two of four environments are found from 4 starts in 10 iterations, all
from these.)"""
OF_FIELDS = RefineSettings(starts=1, iterations=6, windows=4)
"""The same of a field, every point of which says as much."""
COARSE = 0.15
"""Part of the increments that is unexplained by all terms together, from which on splines between frames are not what
happened there."""
ROUGH_ITERATIONS, ROUGH_ENVIRONMENTS = 12, 2
"""Of the fit that then takes the place of the regression; environments whose terms it finds."""
MOST_ROUGH = 80
"""Terms of all equations together, beyond which that fit would take hours."""
RIDGES = (1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0)
"""Penalties on the regression that the rough fit begins with, on columns of unit length: which is stable shows."""
NO_POLYNOMIALS = 0.03
"""Part of a state's increments that is unexplained by all polynomials along splines, from which terms and paths are
found in turns, where Hill functions are allowed. (Published Lotka-Volterra, half a time unit between frames: 0.008.)"""
FEW_ENVIRONMENTS = 3
"""Environments up to which nothing is said of how coefficients vary together."""
MATTERS = 1e-3
"""Part of the greatest variation of what terms amount to, or do to rollouts, below which there is none."""
LEAST_EFFECT = 1e-12
"""What squares of effects on rollouts count at least, as a part of the greatest: some coefficients are told apart by
nothing that was seen."""
ENOUGH = 0.05
"""Share of the increments that twice as many substeps may change."""
ENOUGH_OF_STATES = 1e-3
"""The same of states whose frames lie far apart: they may be known that well."""
MOST_SUBSTEPS = 16


class Terms(Protocol):
    """Terms that equations may have, the same for each."""

    @property
    def names(self) -> Sequence[str]:
        """What terms are called."""

    def architecture(self, chosen: Chosen, substeps: int) -> dict[str, Any]:
        """Describe the predictor whose weights are the chosen terms' coefficients, equation after equation."""

    def factors_of(self, term: int) -> list[int]:
        """The channels that a term is a product of, repeated where they are powers."""

    def said(self, weights: Array, scale: Sequence[float]) -> Sequence[str]:
        """What terms are called where all environments have these weights [environment, weight], in physical units."""


class TermsOfFrames(Terms, Protocol):
    """Terms, what they amount to between frames that lie close enough."""

    def increments(self, frames: Tensor) -> Increments:
        """What frames change by, and what terms amount to meanwhile."""

    def doubtful(self) -> list[Chosen]:
        """Families of terms, each bool [term], that are there together or not at all."""


class EquationSearch:
    """What all structures share: data, terms, and what is left as terms go.

    Args:
        run: whose device is used.
        trajectories: of the visible environments.
        ids: of these.
        data: of the study.
        settings: of the equations.
    """

    def __init__(
        self,
        run: Run,
        trajectories: TrajectoryFolder,
        ids: Sequence[str],
        data: DataSettings,
        settings: EquationsSettings,
    ) -> None:
        self.run, self.ids, self.data, self.settings = run, list(ids), data, settings
        self.physical = trajectories.read(self.ids, data, "train", data.trained_frames)
        # Without a shift: a sum of powers of one variable is no sum of as few powers of another.
        usual = Normalisation.of(self.physical)
        self.normalisation = Normalisation((0.0,) * len(usual.mean), usual.scale, (), (usual.mean, usual.scale))
        self.frames = run.place(self.normalisation.apply(self.physical))
        self.space = FrameSpace.of(self.frames)
        held_out = trajectories.read(self.ids, data, "validation", data.trained_frames)
        self.held_out = run.place(self.normalisation.apply(held_out)) if any_trajectory(held_out) else None
        self.is_field = tuple(data.grid) != (1, 1)
        self._of_frames: TermsOfFrames
        if self.is_field:
            self._of_frames = FieldTerms.of(data.channels, data.grid, settings.degree, settings.waves)
        else:
            self._of_frames = StateTerms(Monomials(data.channels, settings.degree))
        self.terms: Terms = self._of_frames  # until others are found in turns
        # What substeps may still change; None: they are as set, splines being near enough to what happened.
        self.enough = ENOUGH if self.is_field else None
        self.refine = OF_FIELDS if self.is_field else OF_STATES

    @cached_property
    def _seen(self) -> Increments:
        return self._of_frames.increments(self.frames)

    def structures(self) -> list[tuple[Chosen, Tensor | None]]:
        """Those that the tolerances lead to, each once; at least one. With coefficients of every environment
        [environment, term], where a regression does not give them."""
        other = self._seen if self.held_out is None else self._of_frames.increments(self.held_out)
        eliminations = [eliminate(self._seen, other, equation) for equation in range(len(self.data.channels))]
        unexplained = max(of.errors[0] for of in eliminations)
        if not self.is_field and self.settings.hill and unexplained > NO_POLYNOMIALS:
            in_turns = self._in_turns()
            if in_turns:
                return in_turns
        if self.is_field and unexplained > COARSE:
            rough = self._rough(eliminations)
            if rough:
                return rough
        found = self._tolerated(eliminations)
        if not found:  # nothing ever changes: the constant of each equation, which will be 0
            chosen = np.zeros((len(self.data.channels), len(self.terms.names)), bool)
            chosen[:, 0] = True
            found = [chosen]
        return [(chosen, None) for chosen in found]

    def _tolerated(self, eliminations: Sequence[Elimination]) -> list[Chosen]:
        """What the tolerances leave of terms, each once; nothing where no term is left."""
        found: dict[bytes, Chosen] = {}
        for tolerance in self.settings.tolerances:
            chosen = structure(eliminations, tolerance, self.settings.most_terms)
            if chosen.any():
                found.setdefault(chosen.tobytes(), chosen)
        return list(found.values())

    def best(
        self, left_out: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> tuple[Chosen, Tensor | None, list[Tensor]]:
        """The structure whose forecasts are best for environments whose coefficients were inferred from a few frames.

        Args:
            left_out: environments that coefficients are known of, and those that judge, by position; the first time
                chooses.

        Returns:
            The structure, its coefficients as `structures` has them, and the errors of each time [judge].
        """
        structures = self.structures()

        def judged(place: int, of: tuple[Sequence[int], Sequence[int]]) -> Tensor:
            chosen, known = structures[place]
            errors = self.errors(self.context(chosen, of[0], known), list(of[1]))
            print(f"equations: {int(chosen.sum())} terms, score {mean_logarithm(errors):.4g}", flush=True)
            return errors

        first = [judged(place, left_out[0]) for place in range(len(structures))]
        least = int(np.argmin([mean_logarithm(errors) for errors in first]))
        return (*structures[least], [first[least], *(judged(least, of) for of in left_out[1:])])

    def errors(self, context: Context, rows: list[int]) -> Tensor:
        """What forecasts for some environments err by, with the most probable coefficients that a few frames give
        [environment]."""
        base = context.base
        posterior = infer(
            base.weight_map,
            base.predictor,
            context.codes,
            self.shown(rows),
            self.space,
            self.refine,
            context.calibration,
        )
        return forecast_errors(base.weight_map(posterior.best), base.predictor, self.judged(rows))

    def shown(self, rows: list[int]) -> Tensor:
        """The first frames of the first training trajectory."""
        return self.frames[rows][:, :1, : self.settings.frames]

    def judged(self, rows: list[int]) -> Tensor:
        """Trajectories that forecasts are compared with: validation's, or all further ones of the training."""
        if self.held_out is not None:
            return self.held_out[rows]
        return without_first(self.frames[rows])

    def context(self, chosen: Chosen, rows: Sequence[int], known: Tensor | None = None) -> Context:
        """Equations of these terms, with the coefficients of some visible environments, by position.

        Args:
            chosen: the terms.
            rows: the environments.
            known: coefficients of all environments to begin with [environment, term]; None: by regression.
        """
        frames = self.frames[list(rows)]
        start = torch.from_numpy(coefficients(self._seen, chosen)) if known is None else known
        start = start.to(frames)[list(rows)]
        architecture = self.terms.architecture(chosen, self._substeps(chosen, frames, start))
        predictor, found = self._predictor(architecture), start
        for steps, windows, iterations in self._stages(frames):
            fitted = self._fitted(predictor, frames, found, steps, windows, iterations)
            found = fitted.unknowns
        weight_map, codes = self._map(chosen, fitted, predictor)
        shown = frames[:, :1, : self.settings.frames]
        least = trained_residuals(weight_map, codes, predictor, shown, self.refine)
        metadata = {
            "weight_map": describe_weight_map(LinearMap(), weight_map.condition),
            "architecture": architecture,
            "normalisation": self.normalisation.metadata(),
            "condition": weight_map.condition.describe(),
            "environments": [self.ids[row] for row in rows],
            "settings": self.settings.model_dump(mode="json"),
            "data_digest": tensor_digest(self.physical),
            "seconds": 0.0,
            "metrics": {},
            "context": {
                "refine": self.refine.model_dump(mode="json"),
                "calibration": asdict(Calibration(1.0, least, [], 0.0)),
            },
        }
        metadata |= self.run.described()
        return Context.of(BaseNetwork(weight_map, predictor, self.normalisation, metadata, self.space.tensors()))

    def calibrated(self, context: Context, rows: list[int], settings: RefineSettings, seed: int) -> Calibration:
        """Temper and model error of equations whose coefficients are not known of these environments.

        Args:
            context: of the others.
            rows: the environments, by position.
            settings: of the search, among whose tempers is chosen.
            seed: of the draws.
        """
        base = context.base
        return calibrate(
            base.weight_map,
            base.predictor,
            context.codes,
            self.shown(rows),
            self.judged(rows),
            self.space,
            settings,
            context.calibration.least_noise,
            seed,
            bounded=self.data.trained_frames - 1,
        )

    def own_error(self, context: Context, rows: Sequence[int]) -> Tensor:
        """What forecasts err by for environments whose coefficients are known; see
        :func:`weightcast.environments.context.own_errors`."""
        return own_errors(context.weights(context.codes), context.base.predictor, self.judged(list(rows)))

    def described(self, chosen: Chosen, context: Context) -> list[str]:
        """The equations in physical units a time step between frames, with the coefficients' range over the visible
        environments: ``du/dt = -0.1 to -0.2 u v + 3 laplacian(u)``.

        Args:
            chosen: the terms.
            context: made of them.
        """
        values, place, lines = context.weights(context.codes).double().cpu(), 0, []
        scale = self.normalisation.scale
        names = self.terms.said(values.numpy(), scale)
        for equation, terms in enumerate(chosen):
            parts = []
            for term in np.flatnonzero(terms):
                factor = scale[equation] / math.prod(scale[one] for one in self.terms.factors_of(int(term)))
                least, greatest = (f"{float(end) * factor:.3g}" for end in torch.aminmax(values[:, place]))
                said = least if least == greatest else f"({least} to {greatest})"
                parts.append(f"{said} {names[int(term)]}")
                place += 1
            lines.append(f"d{self.data.channels[equation]}/dt = {' + '.join(parts) or '0'}")
        return lines

    def _map(self, chosen: Chosen, fitted: Solution, predictor: StackedPredictor) -> tuple[WeightMap, Tensor]:
        """Codes -> coefficients: of few environments the coefficients themselves, else their principal components, as
        far as they matter. What varies from environment to environment is often one rate that stands in several
        equations, while all else is the same for all, and each number of a code is an unknown of every search."""
        found = fitted.unknowns
        count, mean = found.shape[1], torch.zeros(found.shape[1])
        codes, directions = found.cpu(), torch.eye(count)
        if len(found) > FEW_ENVIRONMENTS:
            mean = codes.mean(0)
            weighted, back = self._by_effect(chosen, fitted)
            left, sizes, right = torch.linalg.svd(weighted(codes - mean), full_matrices=False)
            kept = max(1, int((sizes > MATTERS * sizes[0]).sum()))
            codes = (left[:, :kept] * len(found) ** 0.5).float()
            directions = back((sizes[:kept, None] / len(found) ** 0.5) * right[:kept]).float()
        weight_map = build_weight_map(LinearMap(), CodeCondition(codes), mean, predictor.graph.to("cpu"))
        assert isinstance(weight_map, LinearWeights)
        with torch.no_grad():
            weight_map.directions.copy_(directions)
        return self.run.place(weight_map.requires_grad_(False)), codes.to(found)

    def _by_effect(
        self, chosen: Chosen, fitted: Solution
    ) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """Coefficients' differences [row, coefficient] in measures of what they do, and back: in rollouts of a state,
        by the fit's second derivatives; in what terms of a field amount to."""
        if self.is_field:
            squares = [np.square(self._seen.integrals[..., terms]).mean((0, 1)) for terms in chosen]
            lengths = torch.from_numpy(np.concatenate(squares)).sqrt().to(torch.float32).clamp(min=1e-12)
            return lambda rows: rows * lengths, lambda rows: rows / lengths
        values, vectors = torch.linalg.eigh(fitted.normal.mean(0).cpu())
        root = vectors * values.clamp(min=LEAST_EFFECT * float(values[-1])).sqrt()
        return lambda rows: rows.double() @ root, lambda rows: torch.linalg.solve(root, rows, left=False)

    def _stages(self, frames: Tensor) -> list[tuple[int, int, int]]:
        """Steps and number of the rollouts that coefficients are fitted to, one after the other, and iterations."""
        if not self.is_field:
            return [(UNROLL, WINDOWS, ITERATIONS)]
        steps, field = min(UNROLL, frames.shape[2] - 1), frames[:, 0, 0].numel()
        return [
            (length, max(1, min(WINDOWS, FIELD_NUMBERS // (field * length))), iterations)
            for length, iterations in ((1, 3), (steps, 2))
        ]

    def _fitted(
        self, predictor: StackedPredictor, frames: Tensor, start: Tensor, steps: int, windows: int, iterations: int
    ) -> Solution:
        """Coefficients of each environment by the errors of rollouts, from a start [environment, term]."""
        seen = Windows.of(frames, frames, steps, windows)
        with self.run.iterations(iterations, "equations") as count:
            return levenberg_marquardt(lambda unknowns, of: seen.residuals(unknowns, of, predictor), start, count)

    def _predictor(self, architecture: dict[str, Any]) -> StackedPredictor:
        return StackedPredictor(build_predictor(architecture)).to(self.run.device)

    @torch.no_grad()
    def _substeps(self, chosen: Chosen, frames: Tensor, start: Tensor) -> int:
        """So many that twice as many make no difference, and rollouts stay finite; those that are set, where frames of
        states lie close enough for splines."""
        substeps = self.settings.substeps
        if self.enough is None:
            return substeps
        changes = frames.diff(dim=2).square().mean().sqrt()
        first, steps = frames[:, :1, 0], min(UNROLL, frames.shape[2] - 1)
        coarse = self._predictor(self.terms.architecture(chosen, substeps)).rollout(start, first, steps)
        while substeps < MOST_SUBSTEPS:
            fine = self._predictor(self.terms.architecture(chosen, 2 * substeps)).rollout(start, first, steps)
            difference = (fine - coarse)[:, :, 0].square().mean().sqrt()
            if bool(torch.isfinite(coarse).all()) and bool(difference < self.enough * changes):
                break
            substeps, coarse = 2 * substeps, fine
        return substeps

    def _in_turns(self) -> list[tuple[Chosen, Tensor | None]]:
        """Structures of a state whose frames lie far apart, or whose rates saturate; none where no terms explain what
        happens."""
        monomials = Monomials(self.data.channels, self.settings.degree)
        states, judging = (
            None if frames is None else frames.flatten(3).double().cpu().numpy()
            for frames in (self.frames, self.held_out)
        )
        assert states is not None
        search = CoarseSteps(self.run, states, judging, monomials, self.settings.hill, self.settings.most_terms)
        terms, eliminations = search.found()
        found = self._tolerated(eliminations)
        if found:
            self.terms, self.enough = terms, ENOUGH_OF_STATES
        return [(chosen, torch.from_numpy(search.start(terms, chosen))) for chosen in found]

    def _rough(self, eliminations: Sequence[Elimination]) -> list[tuple[Chosen, Tensor | None]]:
        """Structures of a field whose frames lie far apart: all terms, but for families of which the regression leaves
        none, are fitted to steps between frames, and go by what errors of these steps would become. None where they
        are too many."""
        rows = np.unique(np.linspace(0, len(self.ids) - 1, ROUGH_ENVIRONMENTS).round().astype(int))
        frames = self.frames[rows.tolist()]
        nearly: Chosen = np.any(structure(eliminations, min(self.settings.tolerances), 10**6), axis=0)
        kept = np.ones(len(self.terms.names), bool)
        for family in self._of_frames.doubtful():
            if not np.any(nearly & family):
                kept &= ~family
        chosen = np.repeat(kept[None], len(self.data.channels), 0)
        if chosen.sum() > MOST_ROUGH:
            return []
        substeps = self.settings.substeps
        predictor = self._predictor(self.terms.architecture(chosen, 2 * substeps))
        start = self._stable_start(chosen, predictor, frames, rows.tolist())
        rough = self._fitted(predictor, frames, start, 1, WINDOWS, ROUGH_ITERATIONS)
        found: list[tuple[Chosen, Tensor | None]] = []
        changes = frames.diff(dim=2).square().flatten(1).sum(1).double().cpu().numpy()
        for part, values in parts_of(rough, changes, self.settings.tolerances, self.settings.most_terms):
            fewer = chosen.copy()
            fewer[chosen] = part
            predictor = self._predictor(self.terms.architecture(fewer, 2 * substeps))
            begun = torch.from_numpy(values).to(frames)
            fitted = self._fitted(predictor, frames, begun, 1, WINDOWS, 4).unknowns
            known = fitted.mean(0).repeat(len(self.ids), 1)
            known[rows.tolist()] = fitted
            found.append((fewer, known))
        return found

    @torch.no_grad()
    def _stable_start(self, chosen: Chosen, predictor: StackedPredictor, frames: Tensor, rows: Sequence[int]) -> Tensor:
        """Coefficients by the regression, shrunk as much as errors of steps ask for [environment, term]."""
        seen = Windows.of(frames, frames, 1, WINDOWS)
        of = torch.arange(len(frames), device=frames.device)
        starts, errors = [], []
        for ridge in RIDGES:
            start = torch.from_numpy(coefficients(self._seen, chosen, ridge)).to(frames)[list(rows)]
            left = seen.residuals(start, of, predictor).square().mean(1)
            starts.append(start)
            errors.append(torch.nan_to_num(left, nan=torch.inf))
        best = torch.stack(errors).argmin(0)
        return torch.stack(starts)[best, of]
