"""Terms of rates that saturate: products of a state's components, each with and without a Hill function of one of them.

    x y    and    x y / (1 + (z / K)^n)

Rates of enzymes, genes and grazing are of this kind (A. V. Hill, J. Physiol. 40 (1910) iv): with a component as its own
z they grow towards a limit, with another one they are inhibited. The coefficients are linear, K, the state at which the
function is one half, is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightcast.environments.baselines.sparse_equations import Chosen, StateTerms
from weightcast.environments.explain.polynomials import Array, Monomials


@dataclass(frozen=True)
class SaturatingTerms:
    """All monomials, and behind them all of them times the Hill function.

    Attributes:
        monomials: of the components.
        component: z, by position.
        power: n.
        halves: K of each environment [environment], in units of the states.
    """

    monomials: Monomials
    component: int
    power: int
    halves: Array

    @property
    def names(self) -> Sequence[str]:
        """What terms are called."""
        function = f"/ (1 + ({self._inhibitor}/K)^{self.power})"
        return [*self.monomials.names, *(f"{name} {function}" for name in self.monomials.names)]

    def of(self, states: Array, terms: Sequence[int]) -> Array:
        """Values of some terms [term, ..., environment, step], by position, at states [..., environment, step,
        component]."""
        count = len(self.monomials.names)
        values = self._plain.of(states, [term % count for term in terms])
        function = 1.0 / (1.0 + (np.maximum(states[..., self.component], 0.0) / self.halves[:, None]) ** self.power)
        for value, term in zip(values, terms, strict=True):
            if term >= count:
                value *= function
        return values

    def factors_of(self, term: int) -> list[int]:
        """The components that a term is a product of, repeated where they are powers; a Hill function has no unit."""
        return self._plain.factors_of(term % len(self.monomials.names))

    def architecture(self, chosen: Chosen, substeps: int) -> dict[str, Any]:
        """Describe the :class:`weightcast.core.nets.polynomial_field.PolynomialField` of some terms."""
        count = len(self.monomials.names)
        plain, saturated = chosen[:, :count], chosen[:, count:]
        if not saturated.any():
            return self._plain.architecture(plain, substeps)
        places = [(equation, int(term)) for equation, of in enumerate(chosen) for term in np.flatnonzero(of)]
        return {
            "kind": "polynomial-field",
            "channels": len(chosen),
            "terms": [(equation, self.factors_of(term)) for equation, term in places],
            "substeps": substeps,
            "hill": [(self.component, self.power)],
            "saturated": [0 if term >= count else -1 for _, term in places],
        }

    def start(self, chosen: Chosen, coefficients: Array) -> Array:
        """The predictor's weights of all environments [environment, weight], from coefficients [environment, term]."""
        if not chosen[:, len(self.monomials.names) :].any():
            return coefficients
        return np.concatenate([coefficients, np.log(self.halves)[:, None]], 1)

    def said(self, weights: Array, scale: Sequence[float]) -> Sequence[str]:
        """What terms are called, with the range of K in physical units.

        Args:
            weights: of all environments [environment, weight], with a Hill function among the terms or without.
            scale: of the states' units.
        """
        halves = np.exp(weights[:, -1]) * scale[self.component]
        low, high = (f"{end:.3g}" for end in (halves.min(), halves.max()))
        half = low if low == high else f"({low} to {high})"
        return [name.replace(f"{self._inhibitor}/K", f"{self._inhibitor}/{half}") for name in self.names]

    @property
    def _inhibitor(self) -> str:
        return self.monomials.names[1 + self.component]  # the constant stands before the components

    @property
    def _plain(self) -> StateTerms:
        return StateTerms(self.monomials)
