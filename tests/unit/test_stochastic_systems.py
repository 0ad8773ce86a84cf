from __future__ import annotations

import inspect
import re
from fractions import Fraction

import numpy as np
import pytest
from refusals import refused
from scipy.integrate import solve_ivp
from tiny_study import ROOT

from weightcast.systems.cascade import linear_cascade, saturating_cascade
from weightcast.systems.ecology import ecology, fitness
from weightcast.systems.epidemic import epidemic
from weightcast.systems.families import FAMILIES
from weightcast.systems.jump_process import JumpProcess, simulate_jumps
from weightcast.systems.linear_diffusion import LinearDiffusion
from weightcast.systems.stochastic import STOCHASTIC_SYSTEMS, build_stochastic_system, default_times, simulate
from weightcast.systems.toggle_switch import toggle_switch


def rates_of(process: JumpProcess, counts: list[int], time: float = 0.0) -> list[float]:
    return process.rates(np.array([counts]), np.array([time]))[0].tolist()


# --- epidemic


def test_rates_of_the_epidemic() -> None:
    """Time 1.5 is a quarter of the season, where it peaks; 4.5 its low."""
    rest = [0.02 * 5, 0.007 * 3, 0.002 * 40, 0.05 * 5, 0.002 * 3]
    for time, strength in ((0.0, 1.0), (1.5, 1.2), (4.5, 0.8)):
        assert rates_of(epidemic(), [40, 5, 3], time) == pytest.approx([0.003 * strength * 40 * 5, *rest])
    bound = epidemic().rate_bound
    assert bound is not None
    assert bound(np.array([[40, 5, 3]]), np.array([4.5]))[0] == pytest.approx([0.003 * 1.2 * 40 * 5, *rest])


def test_people_of_the_epidemic_only_change_or_die() -> None:
    times = np.linspace(0, 50, 401)
    counts = simulate_jumps(epidemic(), times, 1000, seed=1)
    people = counts.sum(axis=2)
    assert (people[:, 0] == 60).all()
    assert (np.diff(people, axis=1) <= 0).all()
    no_deaths = epidemic(susceptible_death=0.0, infected_death=0.0, recovered_death=0.0)
    assert (simulate_jumps(no_deaths, times, 100, seed=1).sum(axis=2) == 60).all()
    # the dead of a trajectory are those expected from its path, apart from a martingale of their own size
    deaths = np.trapezoid(counts @ [0.002, 0.05, 0.002], times, axis=1)
    surplus = 60 - people[:, -1] - deaths
    assert abs(surplus.mean()) < 4 * surplus.std() / np.sqrt(len(surplus))
    over = counts[:, :-1, 1] == 0
    assert (counts[:, 1:, 1][over] == 0).all()


# --- toggle switch


def test_rates_of_the_toggle_switch() -> None:
    process = toggle_switch()
    assert rates_of(process, [1, 1, 3, 10]) == pytest.approx([50, 50, 3, 10, 1e-4 * 3 * 2, 1e-4 * 10 * 9, 0, 0])
    assert rates_of(process, [0, 1, 3, 10]) == pytest.approx([0, 50, 3, 10, 1e-4 * 3 * 2, 0, 0, 0.1])
    assert rates_of(process, [1, 0, 1, 0]) == pytest.approx([50, 0, 1, 0, 0, 0, 0.1, 0])


def test_genes_switch_each_other_off() -> None:
    """In the long run. Limits of the mean field: see below."""
    times = np.linspace(0, 40, 21)
    counts = simulate_jumps(toggle_switch(), times, 1000, seed=2)
    genes, proteins = counts[..., :2], counts[..., 2:]
    assert set(np.unique(genes)) == {0, 1}
    assert (counts >= 85).any(axis=(1, 2)).mean() < 0.01
    late = times > 10
    np.testing.assert_allclose(genes[:, late].mean((0, 1)), genes[:, late].mean(), rtol=0.05)  # x and y are alike
    np.testing.assert_allclose(proteins[:, late].mean((0, 1)), proteins[:, late].mean(), rtol=0.05)
    # exact: a steady state makes as many proteins as decay, and binds as many as it frees
    np.testing.assert_allclose(proteins[:, late].mean(), 50 * genes[:, late].mean(), rtol=0.05)
    assert np.corrcoef(genes[:, -1].T)[0, 1] < -0.1
    # with 50 proteins at all times a gene would be bound 1e-4 50^2 / (1e-4 50^2 + 0.1) = 0.71 of the time; with the
    # share of bound genes b that solves b / (1 - b) = 1e-4 (50 (1 - b))^2 / 0.1, the symmetric mean field, 0.44
    np.testing.assert_allclose(1 - genes[:, late].mean(), 0.44, atol=0.05)


# --- cascades


def test_reactions_of_the_cascades() -> None:
    for process in (linear_cascade(species=3), saturating_cascade(species=3)):
        assert process.changes.tolist() == [[1, 0, 0], [-1, 1, 0], [0, -1, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    assert rates_of(linear_cascade(species=3), [4, 0, 7]) == pytest.approx([10, 20, 0, 4, 0, 7])
    original = saturating_cascade(production=10.0, base=1.0, maximum=100.0, half=10.0, decay=1.0, species=3)
    assert rates_of(original, [10, 0, 7]) == pytest.approx([10, 51, 0, 10, 0, 7])
    assert linear_cascade().changes.shape == (30, 15)


def test_counts_of_the_linear_cascade_are_independent_poisson_variables() -> None:
    process = linear_cascade()
    times = np.array([0.5, 1.5, 10.0])
    counts = simulate_jumps(process, times, 4000, seed=3)
    out = np.append(np.full(14, 6.0), 1.0)

    def slopes(time: float, means: np.ndarray) -> np.ndarray:
        return np.append(10.0, 5 * means[:-1]) - out * means

    exact = solve_ivp(slopes, (0, 10), np.zeros(15), t_eval=times, rtol=1e-9, atol=1e-12).y.T
    error = np.sqrt(exact / 4000)  # of the mean of 4000 Poisson variables
    assert (np.abs(counts.mean(axis=0) - exact) < 4 * error + 1e-3).all()
    # of the variance, whose own variance is (mean + 2 mean^2) / 4000
    assert (np.abs(counts.var(axis=0) - exact) < 4 * np.sqrt((exact + 2 * exact**2) / 4000) + 1e-3).all()
    correlation = np.corrcoef(counts[:, -1].T) - np.eye(15)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(4000)


def test_the_last_species_of_the_saturating_cascade_fills_late_and_counts_stay_modest() -> None:
    process = saturating_cascade()
    counts = simulate_jumps(process, default_times(process), 300, seed=4)
    means = counts.mean(axis=0)
    assert means[40, -1] < 4 < 10 < means[100, -1]
    assert counts.max() < 32
    # molecules are made at a constant rate and lost in proportion to their number
    times = default_times(process)
    exact = 20 / 3 / 0.1 * (1 - np.exp(-0.1 * times))
    total = counts.sum(axis=2)
    error = np.sqrt(exact[1:] / 300)  # the total is a Poisson variable, however molecules are passed on
    assert (np.abs(total.mean(axis=0)[1:] - exact[1:]) < 4 * error).all()


def test_a_cascade_has_species() -> None:
    with refused("cascade-1", "species", 0):
        linear_cascade(species=0)


# --- ecology


def landscape() -> np.ndarray:
    alleles = np.arange(100)
    return fitness(alleles[:, None], alleles)


def test_the_landscape_has_three_peaks() -> None:
    padded = np.pad(landscape(), 1, constant_values=-1)
    neighbours = np.max([padded[i : i + 100, j : j + 100] for i, j in np.ndindex(3, 3)], axis=0)
    peaks = np.argwhere((landscape() == neighbours) & (landscape() > 1e-3))
    assert {tuple(peak) for peak in peaks.tolist()} == {(51, 44), (24, 44), (46, 18)}
    assert np.unravel_index(landscape().argmax(), (100, 100)) == (51, 44)
    assert fitness(51, 44).shape == ()


def test_the_walk_is_in_balance_with_the_landscape() -> None:
    """There and back again: the ratio of the rates is exp(2 N difference), on every edge."""
    process, alleles = ecology(), np.arange(100)
    pairs = np.stack(np.meshgrid(alleles, alleles, indexing="ij"), axis=-1).reshape(-1, 2)
    rates = process.rates(pairs, np.zeros(len(pairs))).reshape(100, 100, 4)
    weight = np.exp(2 * 1000 * landscape())
    np.testing.assert_allclose(weight[:-1] * rates[:-1, :, 0], weight[1:] * rates[1:, :, 1], rtol=1e-9)
    np.testing.assert_allclose(weight[:, :-1] * rates[:, :-1, 2], weight[:, 1:] * rates[:, 1:, 3], rtol=1e-9)
    assert (rates[-1, :, 0] == 0).all() and (rates[0, :, 1] == 0).all()
    assert (rates[:, -1, 2] == 0).all() and (rates[:, 0, 3] == 0).all()
    assert rates[99, 99, 1] == pytest.approx(5.0, rel=1e-2)  # far from all peaks mutations are neutral


def test_the_walk_ends_at_the_highest_peak_and_passes_the_lower_ones() -> None:
    times = np.array([10.0, 50.0, 100.0])
    counts = simulate_jumps(ecology(), times, 1000, seed=5)
    assert counts.min() >= 0 and counts.max() <= 99
    peaks = np.array([(51, 44), (24, 44), (46, 18)])
    near = (((counts[:, :, None] - peaks) ** 2).sum(axis=3) <= 12**2).mean(axis=0)
    # by the master equation
    exact = [[0.044, 0.291, 0.227], [0.578, 0.156, 0.183], [0.850, 0.042, 0.079]]
    np.testing.assert_allclose(near, exact, atol=0.06)  # four standard errors at most


# --- registry


@pytest.mark.parametrize("name", STOCHASTIC_SYSTEMS)
def test_systems_are_built_by_name(name: str) -> None:
    process = build_stochastic_system(name, {"horizon": 2})
    assert process.name == name
    times = default_times(process)
    assert len(times) == 101 and times[0] == 0 and times[-1] == process.horizon == 2
    states = simulate(process, times, 2, seed=0)
    assert states.shape == (2, 101, len(process.species))
    assert (states.dtype == np.int64) == process.counts


def test_settings_change_constants() -> None:
    process = build_stochastic_system("epidemic", {"infection": 1, "infected": 3, "recovered": 0})
    assert process.initial == (50, 3, 0)
    assert rates_of(process, [2, 3, 0])[0] == pytest.approx(6)


@pytest.mark.parametrize("value", [0, 0.0, -1.0, "1", True, None, float("nan"), float("inf")])
def test_a_setting_is_a_positive_number(value: object) -> None:
    with refused("settings of epidemic", "infection", repr(value), "above 0"):
        build_stochastic_system("epidemic", {"infection": value})


@pytest.mark.parametrize(
    ("system", "setting", "value", "expected"),
    [
        ("epidemic", "recovery", -0.1, "a finite number above 0"),
        ("epidemic", "season", 1.1, "a finite number from 0 to 1"),
        ("toggle-switch", "binding", 0, "a finite number above 0"),
        ("toggle-switch", "production", "fast", "a finite number above 0"),
        ("cascade-1", "transfer", -5.0, "a finite number above 0"),
        ("cascade-2", "maximum", float("nan"), "a finite number above 0"),
        ("cascade-1", "species", 0, "a whole number above 0"),
        ("birth-death", "birth", -1, "a finite number of at least 0"),
        ("birth-death", "death", 0, "a finite number above 0"),
        ("birth-death", "molecules", 2.5, "a whole number of at least 0"),
        ("ornstein-uhlenbeck", "relaxation", 0.0, "a finite number above 0"),
        ("ornstein-uhlenbeck", "noise", -0.5, "a finite number above 0"),
        ("ornstein-uhlenbeck", "mean", float("inf"), "a finite number"),
        ("ornstein-uhlenbeck", "correlation", 1.0, "a finite number between -1 and 1"),
        ("ornstein-uhlenbeck", "dimensions", 3, "a whole number from 1 to 2"),
    ],
)
def test_settings_out_of_bounds_are_refused_in_one_line(
    system: str, setting: str, value: object, expected: str
) -> None:
    with refused(f"settings of {system}: {setting}: found {value!r}, expected {expected}"):
        build_stochastic_system(system, {setting: value})


def test_settings_at_their_bounds() -> None:
    assert rates_of(build_stochastic_system("epidemic", {"season": 0}), [2, 3, 0], 1.5)[0] == pytest.approx(0.018)
    assert build_stochastic_system("birth-death", {"birth": 0, "molecules": 0}).initial == (0,)
    process = build_stochastic_system("ornstein-uhlenbeck", {"mean": -1, "start": -2.5, "rotation": -1, "spread": 0})
    assert isinstance(process, LinearDiffusion) and process.start.tolist() == [-2.5, -1]


def test_whole_numbers_of_a_table_are_real() -> None:
    """Parameters of environments are floats."""
    process = build_stochastic_system("birth-death", {"molecules": 12.0})
    assert process.initial == (12,) and isinstance(process.initial[0], int)


def test_systems_with_an_exact_law_say_so() -> None:
    found = {name for name, build in STOCHASTIC_SYSTEMS.items() if build().law is not None}
    assert found == {"cascade-1", "birth-death", "ornstein-uhlenbeck"}


def test_every_setting_is_documented_with_its_default() -> None:
    """In the table of docs/across-time.md; families' settings are bold."""
    text = (ROOT / "docs" / "across-time.md").read_text(encoding="utf-8")
    for name, build in STOCHASTIC_SYSTEMS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", text, re.MULTILINE)
        bold = tuple(setting.name for setting in FAMILIES.get(name, ()))
        for key, parameter in inspect.signature(build).parameters.items():
            written = f"**{key}**" if key in bold else key
            found = re.search(rf"{re.escape(written)} ([\d.e/-]+)", row)
            assert found is not None, (name, key)
            assert float(Fraction(found[1])) == pytest.approx(parameter.default), (name, key)
        assert row.count("**") == 2 * len(bold)


def test_settings_that_do_not_fit_are_refused() -> None:
    with refused("stochastic system", "'epidemics'", "cascade-1"):
        build_stochastic_system("epidemics", {})
    with refused("toggle-switch", "'speed'", "production, decay, binding"):
        build_stochastic_system("toggle-switch", {"speed": 1.0})
    with refused("cascade-1", "species", "2.5", "whole"):
        build_stochastic_system("cascade-1", {"species": 2.5})
    with refused("epidemic", "recovered", "-1", "of at least 0"):
        build_stochastic_system("epidemic", {"recovered": -1})
    with refused("ecology", "second", "100", "0 to 99"):
        build_stochastic_system("ecology", {"second": 100})
    with refused("times of epidemic", "0"):
        default_times(epidemic(), 0)
