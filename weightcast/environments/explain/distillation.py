"""Distillation: sparse polynomial differential equations whose flow over one step is a predictor's one-step map.

    dx/dt = Theta(x) Xi,    x(h) = F(x(0))

(S. L. Brunton, J. L. Proctor and J. N. Kutz, Discovering governing equations from data by sparse identification of
nonlinear dynamical systems, PNAS 113 (2016) 3932.) A predictor knows no derivative, and its step h is not small:
divided differences of its rollouts would bias every coefficient. So derivatives are never formed.

1. *Integral form* (H. Schaeffer and S. G. McCalla, Sparse model selection via integral terms, Phys. Rev. E 96 (2017)
   023302). F(x) - x is the integral of Theta(x(s)) Xi over the step, linear in Xi. The path x(s) within the step is
   first the chord from x to F(x); then, in turns, all terms are fitted to the integrals along the last path, and the
   next path is the flow of these equations, bent to end in F(x). (Without the bend, this converges half as fast, and
   for coarse steps not at all.) On the exact flow of Lotka-Volterra with 25 steps a period, the integrals end up exact
   to seven digits.
2. *Sparsity*, equation by equation. Terms are taken away one by one, the least needed first (stepwise sparse
   regression, L. Boninsegna, F. Nueske and C. Clementi, J. Chem. Phys. 148 (2018) 241723; here of pysindy), columns
   scaled to one length. As there, the error on held-out rollouts says where to stop: before the term without which it
   rises sharply, `NEEDED` times. What a network does wrong is smooth in the state, and more terms always fit some of
   it. The least held-out error and the one-standard-error rule take that for dynamics: choosing the threshold of
   sequentially thresholded least squares, they left 6 and 2 false terms in networks trained on Lotka-Volterra, with
   errors of 0.5 to 3 % of a step; the rule here none. Nor does it look for what is below a given resolution.
3. *Coefficients* of the terms that are left, together, by nonlinear least squares on the one-step map itself. With 12
   steps a period or more this changes little; with 6, paths may settle beside the true ones, with coefficients that are
   6 % off, and this puts them right.

What the equations leave of the predictor's steps says how far they are to be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import simpson
from scipy.optimize import least_squares

from weightcast.core.extras import require
from weightcast.environments.explain.polynomials import Array, Monomials, flow

NEEDED = 3.0
"""A term stays if the held-out error without it is that many times as large: if it does nearly three times as much
(the root of 8) as all that remains unexplained."""
FOLDS = 5
"""Of the cross-validation over starts."""
_SUBSTEPS = 16  # of the path within a step
_MOST_PATHS = 40  # 4 do on the exact flow of Lotka-Volterra with 25 steps a period, 15 with 6
_SAME_PATH = 1e-7  # relative change of the integrals
_RIDGE = 1e-8  # on columns of unit length: picks one of many solutions where terms depend on each other
_MOST_EVALUATIONS = 50
_BLOWN_UP = 1e6  # stands for an infinite residual in the least squares, which need finite ones

Chosen = NDArray[np.bool_]  # [equation, term]


@dataclass(frozen=True)
class StepPairs:
    """States and where the predictor takes them in one step.

    Attributes:
        before: [pair, component].
        after: [pair, component].
        start: number of the start whose rollout a pair is from, [pair].
    """

    before: Array
    after: Array
    start: NDArray[np.int64]


@dataclass(frozen=True)
class DistilledEquations:
    """Sparse equations and how well they describe the predictor.

    Attributes:
        terms: names; see `Monomials`.
        coefficients: [equation, term], 0 where an equation lacks a term. Equations are in the order of the components.
        residuals: [equation]; root mean square of the predictor's step minus that of the equations, over that of the
            predictor's step. 0: the equations say it all; 1: no more than that nothing changes.
    """

    terms: list[str]
    coefficients: Array
    residuals: Array


def pairs_within(rollouts: NDArray[np.floating], low: Array, high: Array) -> StepPairs:
    """The steps of rollouts, each rollout up to where it leaves the range in which its predictor was trained.

    Args:
        rollouts: [start, frame, component]; may contain what is not finite.
        low: least value of each component in the range, [component].
        high: greatest value, [component].
    """
    states = np.asarray(rollouts, np.float64)
    inside = np.all((states >= low) & (states <= high), axis=2)[:, :-1]
    used = np.logical_and.accumulate(inside, axis=1) & np.isfinite(states[:, 1:]).all(axis=2)
    return StepPairs(states[:, :-1][used], states[:, 1:][used], np.nonzero(used)[0])


def distil(
    pairs: StepPairs, frame_step: float, components: Sequence[str], degree: int, resolution: float
) -> DistilledEquations:
    """Find the equations.

    Args:
        pairs: of the predictor; the states should cover those that it was trained for.
        frame_step: time that a step stands for.
        components: names.
        degree: the highest one of terms.
        resolution: part of a step (root mean square) that does not count as unexplained.

    Returns:
        The equations. If there are too few pairs to tell (fewer than two for each term, or from fewer starts than
        `FOLDS`), no terms and infinite residuals.

    Raises:
        InputError: pysindy is not installed.
    """
    monomials = Monomials(components, degree)
    shape = (len(components), len(monomials.names))
    if len(pairs.before) < 2 * shape[1] or len(np.unique(pairs.start)) < FOLDS:
        return DistilledEquations(monomials.names, np.zeros(shape), np.full(len(components), np.inf))
    integrals = _integrals(pairs, frame_step, monomials)
    chosen = _choose(integrals, pairs.after - pairs.before, pairs.start, resolution)
    coefficients = _regress(integrals, pairs.after - pairs.before, chosen)
    coefficients, residuals = _refine(coefficients, chosen, pairs, frame_step, monomials)
    return DistilledEquations(monomials.names, coefficients, residuals)


def _integrals(pairs: StepPairs, frame_step: float, monomials: Monomials) -> Array:
    """Integral of each term over each step, [pair, term]."""
    increments = pairs.after - pairs.before
    everything = np.ones((increments.shape[1], len(monomials.names)), bool)
    fraction = np.linspace(0.0, 1.0, _SUBSTEPS + 1)[:, None, None]
    chords = pairs.before + fraction * increments
    extent = np.ptp(np.concatenate([pairs.before, pairs.after]), axis=0)
    integrals = simpson(monomials(chords), dx=frame_step / _SUBSTEPS, axis=0)
    for _ in range(_MOST_PATHS):
        coefficients = _regress(integrals, increments, everything)
        path = flow(coefficients, pairs.before, frame_step, _SUBSTEPS, monomials)
        with np.errstate(invalid="ignore", over="ignore"):
            path += fraction * (pairs.after - path[-1])
            lost = ~np.all(np.abs(path - chords) <= extent, axis=(0, 2))
        path[:, lost] = chords[:, lost]
        before, integrals = integrals, simpson(monomials(path), dx=frame_step / _SUBSTEPS, axis=0)
        if np.linalg.norm(integrals - before) <= _SAME_PATH * np.linalg.norm(integrals):
            break
    return integrals


def _regress(integrals: Array, increments: Array, chosen: Chosen) -> Array:
    """Least squares of each equation's increments [pair, equation] on its chosen terms' integrals [pair, term]."""
    coefficients = np.zeros(chosen.shape)
    for equation, terms in enumerate(chosen):
        columns = integrals[:, terms]
        lengths = _lengths(columns)
        solution = np.linalg.lstsq(columns / lengths, increments[:, equation], rcond=_RIDGE)[0]
        coefficients[equation, terms] = solution / lengths
    return coefficients


def _reduce(integrals: Array, increments: Array) -> tuple[Array, Array]:
    """As many rows as columns, with the same sums of squares and products: all that least squares look at."""
    triangle = np.linalg.qr(np.hstack([integrals, increments])).R
    return triangle[:, : integrals.shape[1]], triangle[:, integrals.shape[1] :]


def _lengths(columns: Array) -> Array:
    """Root of the sum of squares of each column; 1 for a column of zeros."""
    lengths = np.linalg.norm(columns, axis=0)
    return np.where(lengths > 0, lengths, 1.0)


def _eliminations(integrals: Array, increments: Array) -> list[Chosen]:
    """Which terms are left, at first all, then one less each time, at last none."""
    require("pysindy", "symbolic", "explain: distillation")
    from pysindy.optimizers import SSR

    columns, targets = integrals / _lengths(integrals), increments / _lengths(increments)
    stepwise = SSR(criteria="model_residual", alpha=_RIDGE, max_iter=columns.shape[1], unbias=False)
    stepwise.fit(columns, targets)
    left = [coefficients != 0 for coefficients in stepwise.history_[1:]]
    everything = np.ones((targets.shape[1], columns.shape[1]), bool)
    return [everything, *left, ~everything]


def _choose(integrals: Array, increments: Array, starts: NDArray[np.int64], resolution: float) -> Chosen:
    """The terms that each equation needs, by cross-validation over starts."""
    fold = np.unique(starts, return_inverse=True)[1] % FOLDS
    unexplained = np.zeros((integrals.shape[1] + 1, increments.shape[1]))  # [terms taken away, equation]
    for held_out in (fold == number for number in range(FOLDS)):
        seen, other = (_reduce(integrals[rows], increments[rows]) for rows in (~held_out, held_out))
        for away, chosen in enumerate(_eliminations(*seen)):
            unexplained[away] += np.square(other[1] - other[0] @ _regress(*seen, chosen).T).sum(axis=0)
    whole = np.square(increments).sum(axis=0)
    errors = np.maximum(np.sqrt(unexplained / np.where(whole > 0, whole, 1.0)), resolution)
    eliminations = _eliminations(*_reduce(integrals, increments))
    needed = errors[1:] >= NEEDED * errors[:-1]  # the error rises sharply when one more term goes
    return np.stack(
        [
            eliminations[int(np.argmax(rises)) if rises.any() else len(rises)][equation]
            for equation, rises in enumerate(needed.T)
        ]
    )


def _refine(
    coefficients: Array, chosen: Chosen, pairs: StepPairs, frame_step: float, monomials: Monomials
) -> tuple[Array, Array]:
    """Coefficients whose flow comes nearest to the predictor's steps, and what it leaves of them in each equation."""
    size = _lengths(pairs.after - pairs.before)

    def written(values: Array) -> Array:
        whole = np.zeros(chosen.shape)
        whole[chosen] = values
        return whole

    def residuals(values: Array) -> Array:
        end = flow(written(values), pairs.before, frame_step, _SUBSTEPS, monomials)[-1]
        with np.errstate(invalid="ignore"):
            left = (end - pairs.after) / size
        return np.where(np.abs(left) < _BLOWN_UP, left, _BLOWN_UP).ravel()

    values = coefficients[chosen]
    if values.size:
        values = least_squares(residuals, values, x_scale="jac", max_nfev=_MOST_EVALUATIONS).x
    left = residuals(values).reshape(pairs.before.shape)
    return written(values), np.linalg.norm(left, axis=0)
