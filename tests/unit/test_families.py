"""Families of stochastic systems: how their environments are spread, and that the committed tables are theirs."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from refusals import refused
from tiny_study import ROOT

from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.systems.families import BEYOND, FAMILIES, family_table
from weightcast.systems.stochastic import build_stochastic_system, default_times, simulate

TABLES = ROOT / "data" / "families"


def places(table: EnvironmentTable, system: str, ids: list[str]) -> np.ndarray:
    """Where environments lie in the box of logarithms, [environment, setting]: 0 at the lowest, 1 at the highest."""
    lowest = np.array([setting.lowest for setting in FAMILIES[system]])
    highest = np.array([setting.highest for setting in FAMILIES[system]])
    return np.log(table.parameter_array(ids) / lowest) / np.log(highest / lowest)


def of_role(table: EnvironmentTable, role: str) -> list[str]:
    return [environment.id for environment in table if environment.role == role]


@pytest.mark.parametrize("system", FAMILIES)
def test_environments_are_spread(system: str) -> None:
    """Values are rounded to four digits, which moves a place by less than 0.001."""
    table = family_table(system)
    assert (len(table.visible), len(table.interpolation), len(table.extrapolation)) == (24, 8, 4)
    visible, inside, outside = (
        places(table, system, of_role(table, role)) for role in ("visible", "interpolation", "extrapolation")
    )
    for axis in (0, 1):  # every value once, evenly spaced, both ends among them
        np.testing.assert_allclose(np.sort(visible[:, axis]), np.linspace(0, 1, 24), atol=1e-3)
    between = np.linalg.norm(visible[:, None] - visible, axis=-1) + 9 * np.eye(24)
    assert between.min() > 0.22
    assert inside.min() > 0.1 - 1e-3 and inside.max() < 0.9 + 1e-3
    assert np.linalg.norm(inside[:, None] - visible, axis=-1).min() > 0.12
    for place in outside:
        beyond = np.maximum(place - 1, -place)
        assert beyond.max() == pytest.approx(BEYOND, abs=1e-3)
    assert (outside < 0).any(0).all() and (outside > 1).any(0).all()  # beyond both edges of either setting
    assert ((outside > 1).sum(1) == 2).sum() == 1


@pytest.mark.parametrize("system", FAMILIES)
def test_a_committed_table_is_what_the_function_makes(system: str) -> None:
    table = read_environments(TABLES / f"{system}.csv")
    made = family_table(system)
    assert table.environments == made.environments
    assert table.parameter_names == made.parameter_names == tuple(setting.name for setting in FAMILIES[system])


def test_there_is_a_table_of_every_family_and_no_other() -> None:
    assert {path.name for path in TABLES.iterdir()} == {f"{system}.csv" for system in FAMILIES}


@pytest.mark.parametrize("system", FAMILIES)
def test_parameters_of_every_environment_are_settings_of_the_system(system: str) -> None:
    for environment in family_table(system):
        process = build_stochastic_system(system, environment.parameters)
        states = simulate(process, default_times(process, 3)[:2] / 50, 2, seed=0)
        assert states.shape == (2, 2, len(process.species))


def test_both_settings_matter() -> None:
    """The exact means of births and deaths, and the exact spread of the diffusion, across the visible range."""
    births = [build_stochastic_system("birth-death", environment.parameters) for environment in
              family_table("birth-death").visible]  # fmt: skip
    means = np.array([process.law.mean(5.0)[0] for process in births])
    assert means.max() / means.min() > 5
    noises = [build_stochastic_system("ornstein-uhlenbeck", environment.parameters) for environment in
              family_table("ornstein-uhlenbeck").visible]  # fmt: skip
    spread = np.array([process.law.variance(5.0)[0] for process in noises])
    assert log(spread.max() / spread.min()) > 2


def test_a_table_is_written_and_read(tmp_path) -> None:
    family_table("epidemic").save(tmp_path / "mine.csv")
    assert read_environments(tmp_path / "mine.csv").environments == family_table("epidemic").environments


def test_a_system_without_a_family_is_refused() -> None:
    with refused("family", "'ecology'", "epidemic, toggle-switch"):
        family_table("ecology")
