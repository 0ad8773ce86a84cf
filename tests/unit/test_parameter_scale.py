from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.environments.commands.parameter_scale import is_logarithmic, logarithmic_parameters


@pytest.mark.parametrize("count", [3, 4, 5, 7, 24, 200])
@pytest.mark.parametrize("ratio", [3.0, 5.0, 10.0, 100.0, 1e6])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e12])
def test_grids(count: int, ratio: float, unit: float) -> None:
    repeats = 3  # environments share the values of a grid, and not all of them have been measured
    assert is_logarithmic(np.repeat(np.geomspace(unit, ratio * unit, count), repeats)[:-1])
    assert not is_logarithmic(np.repeat(np.linspace(unit, ratio * unit, count), repeats)[:-1])


@pytest.mark.parametrize(("ratio", "least"), [(5.0, 0.8), (10.0, 0.85), (100.0, 0.95)])
def test_random_values(ratio: float, least: float) -> None:
    """Of 24 draws, which is what a study has, the scale that they were drawn on is mostly found."""
    random = np.random.default_rng(0)
    uniform = random.uniform(1.0, ratio, (400, 24))
    even = np.exp(random.uniform(0.0, np.log(ratio), (400, 24)))
    assert np.mean([is_logarithmic(values) for values in even]) >= least
    assert np.mean([not is_logarithmic(values) for values in uniform]) >= least


@pytest.mark.parametrize(
    "values",
    [[1.0, 100.0], [1.0], [2.0, 2.0, 2.0], [0.0, 0.1, 1.0, 10.0], [-1.0, 1.0, 10.0], [1.0, 1.4, 2.0], [-8, -4, -2]],
)
def test_what_does_not_speak_for_logarithms(values: list[float]) -> None:
    assert not is_logarithmic(values)


def table(visible: list[float], unseen: list[float]) -> EnvironmentTable:
    rows = [(f"v{number}", "visible", value) for number, value in enumerate(visible)]
    rows += [(f"u{number}", "extrapolation", value) for number, value in enumerate(unseen)]
    environments = tuple(Environment(id, {"even": value, "shift": value - 2.0}, role) for id, role, value in rows)
    return EnvironmentTable(environments, ("even", "shift"), Path("table.csv"))


def test_visible_environments_alone_decide() -> None:
    assert logarithmic_parameters(table([1.0, 3.0, 9.0, 27.0], [7.0, 14.0, 21.0, 28.0])) == ["even"]
    assert logarithmic_parameters(table([7.0, 14.0, 21.0, 28.0], [1.0, 3.0, 9.0, 27.0])) == []
    assert logarithmic_parameters(table([1.0, 3.0, 9.0, 27.0], [0.0])) == []  # it has no logarithm
