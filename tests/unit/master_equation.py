"""Laws of jump processes by their master equation, and whether counts are drawn from a law."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import expm_multiply
from scipy.stats import chi2

from weightcast.systems.jump_process import JumpProcess


def assert_drawn_from(states: np.ndarray, pmf: np.ndarray) -> None:
    """A chi-square test. states: [sample], integers; pmf: [state], where rare states are pooled."""
    expected = pmf * len(states)
    observed = np.bincount(states, minlength=len(pmf))
    assert observed[pmf <= 1e-12].sum() == 0
    rare = expected < 10
    expected = np.append(expected[~rare], max(expected[rare].sum(), 1e-9))
    observed = np.append(observed[~rare], observed[rare].sum())
    if expected[-1] < 10:
        expected, observed = (np.append(x[:-2], x[-2:].sum()) for x in (expected, observed))
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, len(expected) - 1) > 1e-3


def exact_distribution(process: JumpProcess, highest: Sequence[int], time: float) -> np.ndarray:
    """Solve the master equation in the box 0 <= counts <= highest; [state], in the order of `np.ravel_multi_index`."""
    shape = np.array(highest) + 1
    states = np.indices(shape).reshape(len(shape), -1).T

    def generator(at: float) -> csr_matrix:
        rates = process.rates(states, np.full(len(states), at))
        flow = csr_matrix((len(states), len(states)))
        for change, rate in zip(process.changes, rates.T, strict=True):
            target = states + change
            inside = ((target >= 0) & (target < shape)).all(axis=1) & (rate > 0)
            to = np.ravel_multi_index(target[inside].T, shape)
            flow += csr_matrix((rate[inside], (to, np.flatnonzero(inside))), shape=flow.shape)
        return flow - diags(np.asarray(flow.sum(axis=0)).ravel())

    start = np.zeros(len(states))
    start[np.ravel_multi_index(process.initial, shape)] = 1
    if process.rate_bound is None:
        return expm_multiply(generator(0.0) * time, start)
    solution = solve_ivp(lambda at, pmf: generator(at) @ pmf, (0, time), start, "DOP853", rtol=1e-6, atol=1e-9)
    return solution.y[:, -1]
