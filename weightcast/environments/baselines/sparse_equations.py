"""Which terms polynomial equations need that describe all visible environments, each with coefficients of its own.

    dx/dt = Theta(x) Xi_e

Sparse identification of nonlinear dynamics (S. L. Brunton, J. L. Proctor and J. N. Kutz, PNAS 113 (2016) 3932) with one
structure for a group of systems (S. Rudy, A. Alla, S. L. Brunton and J. N. Kutz, SIAM J. Appl. Dyn. Syst. 18 (2019)
643): a term is there for all environments or for none. Regressed are increments between frames on integrals of the
terms along splines through the frames, since derivatives are not observed; terms go one by one, the one first whose
loss raises the squared errors of all environments least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import simpson
from scipy.interpolate import CubicSpline
from torch import Tensor

from weightcast.core.least_squares import Solution
from weightcast.environments.explain.polynomials import Array, Monomials

RESOLUTION = 1e-3
"""Part of the increments (root mean square) that does not count as unexplained: splines are no truer."""
POINTS_BETWEEN = 8
"""Of the integrals between two frames."""
_RIDGE = 1e-10  # on columns of unit length

Chosen = NDArray[np.bool_]  # [equation, term]


@dataclass(frozen=True)
class Increments:
    """What states change by between frames, and what terms amount to meanwhile.

    Attributes:
        integrals: of each term over each step [environment, step, term], time counted in steps.
        changes: of the components [environment, step, component].
    """

    integrals: Array
    changes: Array

    @classmethod
    def of(cls, states: Array, monomials: Monomials) -> Increments:
        """The increments of states [environment, trajectory, frame, component], two frames or more."""
        frames = states.shape[2]
        steps = np.arange(frames, dtype=float)
        fine = np.linspace(0.0, frames - 1, POINTS_BETWEEN * (frames - 1) + 1)
        path = CubicSpline(steps, states, axis=2)(fine)
        places = np.arange(frames - 1)[:, None] * POINTS_BETWEEN + np.arange(POINTS_BETWEEN + 1)
        integrals = simpson(monomials(path)[:, :, places], dx=1 / POINTS_BETWEEN, axis=3)
        environments, components = len(states), states.shape[3]
        return cls(
            integrals.reshape(environments, -1, len(monomials.names)),
            np.diff(states, axis=2).reshape(environments, -1, components),
        )


@dataclass(frozen=True)
class Elimination:
    """What is left of one equation as terms go, at first all of them, at last none.

    Attributes:
        chosen: which terms are left [size, term].
        errors: root mean square of held-out changes that is left, over that of the changes, all environments together
            [size].
    """

    chosen: Chosen
    errors: Array


def eliminate(seen: Increments, held_out: Increments, equation: int) -> Elimination:
    """Take the terms of an equation away one by one."""
    lengths = np.sqrt(np.square(seen.integrals).sum((0, 1)))
    lengths = np.where(lengths > 0, lengths, 1.0)
    columns, others = seen.integrals / lengths, held_out.integrals / lengths
    target, other = seen.changes[..., equation], held_out.changes[..., equation]
    gram, right = np.einsum("est,esu->etu", columns, columns), np.einsum("est,es->et", columns, target)
    whole = np.square(other).sum()
    left = np.ones(columns.shape[2], bool)
    chosen, errors = [], []
    while True:
        values, loss = _fit(gram, right, left)
        rest = np.square(other - np.einsum("est,et->es", others[..., left], values)).sum()
        chosen.append(left.copy())
        errors.append(np.sqrt(rest / whole) if whole > 0 else 0.0)
        if not left.any():
            return Elimination(np.stack(chosen), np.array(errors))
        left[np.flatnonzero(left)[loss.argmin()]] = False


def _fit(gram: Array, right: Array, left: Chosen, ridge: float = _RIDGE) -> tuple[Array, Array]:
    """Coefficients of the terms that are left [environment, term], and the rise of all environments' squared errors,
    each over its own least one, if one more of them went [term]."""
    part = gram[:, left][:, :, left]
    part = part + ridge * np.eye(part.shape[1])
    inverse = np.linalg.inv(part)
    values = np.einsum("etu,eu->et", inverse, right[:, left])
    rises = np.square(values) / np.maximum(np.diagonal(inverse, axis1=1, axis2=2), 1e-300)
    return values, rises.sum(0)


def structure(eliminations: Sequence[Elimination], tolerance: float, most: int) -> Chosen:
    """The terms that each equation needs.

    Args:
        eliminations: of the equations.
        tolerance: how much larger its held-out error may be than the least, or than the resolution.
        most: terms of all equations together; beyond, the ones go that are missed least.
    """
    places = []
    for of in eliminations:
        allowed = tolerance * max(float(of.errors.min()), RESOLUTION)
        places.append(int(np.flatnonzero(of.errors <= allowed)[-1]))
    while sum(int(of.chosen[place].sum()) for of, place in zip(eliminations, places, strict=True)) > most:
        following = [
            of.errors[place + 1] if place + 1 < len(of.errors) else np.inf
            for of, place in zip(eliminations, places, strict=True)
        ]
        places[int(np.argmin(following))] += 1
    return np.stack([of.chosen[place] for of, place in zip(eliminations, places, strict=True)])


def parts_of(solution: Solution, changes: Array, tolerances: Sequence[float], most: int) -> list[tuple[Chosen, Array]]:
    """Fewer terms than a fit had, for all environments together.

    Terms go one by one, the one first whose loss raises the squared errors of all environments least, as they are to
    second order around the fit.

    Args:
        solution: the fit, one problem an environment.
        changes: sum of squares of what was fitted, by which errors count [environment].
        tolerances: how much larger the errors may become.
        most: terms.

    Returns:
        For each tolerance, where it makes a difference, which terms are left [unknown], and their coefficients
        [environment, term].
    """
    normal, values = solution.normal.cpu().numpy(), solution.unknowns.double().cpu().numpy()
    cost = np.maximum(solution.cost.double().cpu().numpy(), RESOLUTION**2 * changes)
    lengths = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-300))
    gram, scaled = normal / lengths[:, :, None] / lengths[:, None], values * lengths
    right = np.einsum("etu,eu->et", gram, scaled)
    whole = np.einsum("et,et->e", right, scaled)
    left = np.ones(values.shape[1], bool)
    parts, errors = [], []
    while left.any():
        fitted, rises = _fit(gram / cost[:, None, None], right / cost[:, None], left, 1e-9 / cost.max())
        lost = whole / cost - np.einsum("et,et->e", fitted, right[:, left] / cost[:, None])
        parts.append((left.copy(), fitted / lengths[:, left]))
        errors.append(float(np.sqrt((1.0 + np.maximum(lost, 0.0)).max())))
        left[np.flatnonzero(left)[rises.argmin()]] = False
    found: dict[bytes, tuple[Chosen, Array]] = {}
    for tolerance in tolerances:
        place = max(number for number, error in enumerate(errors) if error <= tolerance * errors[0])
        place = max(place, values.shape[1] - most)
        found.setdefault(parts[place][0].tobytes(), parts[place])
    return list(found.values())


def coefficients(seen: Increments, chosen: Chosen, ridge: float = _RIDGE) -> Array:
    """Least squares of each environment's changes on the chosen terms, equation after equation [environment, term],
    with a penalty on columns of unit length."""
    columns = []
    for equation, terms in enumerate(chosen):
        for_terms = seen.integrals[..., terms]
        lengths = np.sqrt(np.square(for_terms).sum((0, 1), keepdims=True))
        lengths = np.where(lengths > 0, lengths, 1.0)
        scaled = for_terms / lengths
        gram = np.einsum("est,esu->etu", scaled, scaled) + ridge / len(scaled) * np.eye(scaled.shape[2])
        right = np.einsum("est,es->et", scaled, seen.changes[..., equation])
        columns.append(np.linalg.solve(gram, right[..., None])[..., 0] / lengths[:, 0])
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True)
class StateTerms:
    """Monomials, as terms of ordinary differential equations.

    Attributes:
        monomials: of the components.
    """

    monomials: Monomials

    @property
    def names(self) -> Sequence[str]:
        """What terms are called."""
        return self.monomials.names

    def of(self, states: Array, terms: Sequence[int]) -> Array:
        """Values of some terms [term, ...], by position, at states [..., component]."""
        components, values = np.moveaxis(states, -1, 0).copy(), np.ones((len(terms), *states.shape[:-1]))
        for value, term in zip(values, terms, strict=True):
            for one in self.factors_of(term):
                value *= components[one]
        return values

    def increments(self, frames: Tensor) -> Increments:
        """What states do, as frames [environment, trajectory, frame, component, 1, 1]."""
        return Increments.of(frames.flatten(3).double().cpu().numpy(), self.monomials)

    def factors_of(self, term: int) -> list[int]:
        """The components that a term is a product of, repeated where they are powers."""
        return [one for one, power in enumerate(self.monomials.powers[term]) for _ in range(power)]

    def doubtful(self) -> list[Chosen]:
        """None: polynomials are of one kind."""
        return []

    def start(self, chosen: Chosen, coefficients: Array) -> Array:
        """The weights of predictors of some terms [environment, weight]: their coefficients."""
        return coefficients

    def said(self, weights: Array, scale: Sequence[float]) -> Sequence[str]:
        """Their names, whatever the weights."""
        return self.names

    def architecture(self, chosen: Chosen, substeps: int) -> dict[str, Any]:
        """Describe the :class:`weightcast.core.nets.polynomial_field.PolynomialField` of some terms."""
        terms = [
            (equation, self.factors_of(int(term))) for equation, of in enumerate(chosen) for term in np.flatnonzero(of)
        ]
        return {"kind": "polynomial-field", "channels": len(chosen), "terms": terms, "substeps": substeps}
