from __future__ import annotations

import numpy as np
import pytest

from weightcast.systems.etdrk4 import ETDRK4


def solve(linear, nonlinear, state, time, steps):
    solver = ETDRK4(linear, nonlinear, time / steps)
    for _ in range(steps):
        state = solver.advance(state)
    return state


@pytest.mark.parametrize("linear", [0.0, 1.0, -1e-9, -3.0, -1e5, 2j, -1 + 5j])
def test_linear_equations_are_solved_exactly(linear: complex) -> None:
    state = solve(np.array([linear]), np.zeros_like, np.array([1.0 + 0j]), 1.0, 7)
    np.testing.assert_allclose(state, np.exp(linear), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("linear", [0.0, 1e-8, -0.5, -30.0, 3j])
def test_constant_forcing_is_integrated_exactly(linear: complex) -> None:
    """u' = L u + 1 from 0: u(t) = (e^(L t) - 1) / L. Without care the coefficients cancel near L = 0."""
    state = solve(np.array([linear]), np.ones_like, np.zeros(1, np.complex128), 2.0, 5)
    exact = np.expm1(2.0 * linear) / linear if linear else 2.0
    np.testing.assert_allclose(state, exact, rtol=1e-12)


def logistic_error(steps: int) -> float:
    """u' = u - u^2 from 0.1; exact: 1 / (1 + 9 e^-t)."""
    state = solve(np.ones(1), lambda u: -(u**2), np.array([0.1]), 4.0, steps)
    return abs(state[0] - 1 / (1 + 9 * np.exp(-4.0)))


def test_fourth_order_on_the_logistic_equation() -> None:
    errors = [logistic_error(steps) for steps in (10, 20, 40)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 4, atol=0.3)
    assert errors[-1] < 1e-6


def test_fourth_order_on_a_stiff_partial_differential_equation() -> None:
    """Burgers' equation u_t + u u_x = nu u_xx; exact: -2 nu p_x / p with p = 1 + e^(-nu t) cos(x) / 2 (Cole-Hopf)."""
    nu, time, points = 0.5, 1.0, 64
    x = 2 * np.pi * np.arange(points) / points
    wavenumber = np.fft.rfftfreq(points, 1 / points)

    def exact(time: float) -> np.ndarray:
        decay = np.exp(-nu * time) / 2
        return 2 * nu * decay * np.sin(x) / (1 + decay * np.cos(x))

    def advection(modes: np.ndarray) -> np.ndarray:
        return -0.5j * wavenumber * np.fft.rfft(np.fft.irfft(modes) ** 2)

    errors = []
    for steps in (4, 8, 16):
        modes = solve(-nu * wavenumber**2, advection, np.fft.rfft(exact(0.0)), time, steps)
        errors.append(np.abs(np.fft.irfft(modes) - exact(time)).max())
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 4, atol=0.5)
    assert errors[-1] < 1e-6


def test_a_batch_holds_one_linear_part_per_environment() -> None:
    linear = np.array([[0.5], [-20.0]])
    start = np.array([[0.1, 0.4, 0.9], [0.2, 0.3, 0.5]])
    together = solve(linear, lambda u: -(u**3), start, 1.0, 10)
    for row in range(2):
        alone = solve(linear[row], lambda u: -(u**3), start[row], 1.0, 10)
        np.testing.assert_allclose(together[row], alone, rtol=1e-14)
