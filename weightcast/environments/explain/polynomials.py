"""Ordinary differential equations with polynomial right-hand sides: their terms and their flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import PolynomialFeatures

Array = NDArray[np.float64]


class Monomials:
    """All products of a state's components up to a degree, the constant among them.

    Attributes:
        names: of the terms: ``1``, ``prey``, ``prey^2``, ``prey predator``.
        powers: of each component in each term, [term, component].
    """

    def __init__(self, components: Sequence[str], degree: int) -> None:
        features = PolynomialFeatures(degree).fit(np.zeros((1, len(components))))
        self.names = [str(name) for name in features.get_feature_names_out(list(components))]
        self.powers: NDArray[np.int64] = features.powers_
        # Each term but the constant is an earlier one times a component: a product, where a power would cost far more.
        place = {tuple(powers): index for index, powers in enumerate(self.powers.tolist())}
        self._factors = []
        for powers in self.powers[1:].tolist():
            component = next(index for index, power in enumerate(powers) if power)
            powers[component] -= 1
            self._factors.append((place[tuple(powers)], component))

    def __call__(self, states: Array) -> Array:
        """Values of the terms, [..., term], at states [..., component]."""
        values = np.ones((*states.shape[:-1], len(self.names)))
        for index, (earlier, component) in enumerate(self._factors, start=1):
            values[..., index] = values[..., earlier] * states[..., component]
        return values


def flow(coefficients: Array, states: Array, duration: float, substeps: int, monomials: Monomials) -> Array:
    """Solve the equations from given states by the classical Runge-Kutta method of order 4.

    Args:
        coefficients: [component, term].
        states: [state, component].
        duration: of the solution, from its start.
        substeps: equal steps within the duration.
        monomials: the terms.

    Returns:
        [substep + 1, state, component]: the given states first. Solutions that blow up are not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return path_within(lambda state: monomials(state) @ coefficients.T, states, duration, substeps)


def path_within(rate: Callable[[Array], Array], states: Array, duration: float, substeps: int) -> Array:
    """The classical Runge-Kutta method of order 4 from given states, all of its steps.

    Args:
        rate: states -> their rates of change, same shape.
        states: of any shape.
        duration: of the path.
        substeps: equal steps within the duration.

    Returns:
        [substep + 1, ...]: the given states first.
    """
    step = duration / substeps
    path = np.empty((substeps + 1, *states.shape))
    path[0] = states
    for index in range(substeps):
        state = path[index]
        first = rate(state)
        second = rate(state + step / 2 * first)
        third = rate(state + step / 2 * second)
        fourth = rate(state + step * third)
        path[index + 1] = state + step / 6 * (first + 2 * second + 2 * third + fourth)
    return path
