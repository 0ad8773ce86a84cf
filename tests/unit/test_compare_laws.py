"""Densities held against laws that theory knows, without sampling."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from docs_scripts import docs_script
from scipy.stats import poisson

from weightcast.systems.stochastic import build_stochastic_system

STATES = 80
TIME = 1.5


@pytest.fixture
def laws() -> Iterator[ModuleType]:
    with docs_script("compare_laws") as script:
        yield script


@pytest.mark.parametrize("states", [STATES, None], ids=["counts", "real"])
def test_a_law_is_no_error_of_its_own(laws: ModuleType, states: int | None) -> None:
    name = "birth-death" if states else "ornstein-uhlenbeck"
    law = build_stochastic_system(name, {}).law
    assert law is not None
    told = laws.Told("itself", "unobserved", law, TIME, lambda x: law.log_prob(x, TIME))
    found = laws.errors(told, states)
    tolerance = 1e-9 if states else 1e-2  # a grid's tails are sums over cells
    assert all(np.all(values < tolerance) for values in found.values()), found
    assert all(values.shape == law.mean(TIME).shape for values in found.values())


def test_a_poisson_law_of_another_mean_is_as_far_off_as_its_tails_are(laws: ModuleType) -> None:
    law = build_stochastic_system("birth-death", {"birth": 8, "death": 0.8, "molecules": 0}).law
    mean = law.mean(TIME)[0]
    other = 1.1 * mean
    told = laws.Told("other", "unobserved", law, TIME, lambda x: poisson.logpmf(x, other).sum(axis=1))
    found = laws.errors(told, STATES)
    assert found["mean"] == pytest.approx(0.1 * mean / np.sqrt(mean), rel=1e-6)
    assert found["variance"] == pytest.approx(0.1, rel=1e-6)
    last = max(k for k in range(STATES) if poisson.sf(k, mean) >= 0.01)
    expected = poisson.sf(last, other) / poisson.sf(last, mean) - 1
    assert found["P(x > k) = 0.01"] == pytest.approx(expected, rel=1e-6)
