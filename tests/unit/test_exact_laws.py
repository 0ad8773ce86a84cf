"""Systems whose law is known at every time: the law against independent solutions, and the simulation against the law.

Chi-square and Kolmogorov-Smirnov tests have fixed seeds and ask for p > 0.001.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from master_equation import assert_drawn_from, exact_distribution
from refusals import refused
from scipy.integrate import solve_ivp
from scipy.stats import binom, kstest, multivariate_normal, norm, poisson

from weightcast.systems.birth_death import BirthDeathLaw, birth_death
from weightcast.systems.cascade import linear_cascade
from weightcast.systems.exact_law import ExactLaw
from weightcast.systems.jump_process import JumpProcess, simulate_jumps
from weightcast.systems.linear_diffusion import LinearDiffusion, simulate_diffusion
from weightcast.systems.ornstein_uhlenbeck import ornstein_uhlenbeck

TIMES = np.array([0.1, 0.7, 2.0, 9.0])
COUNTS = np.arange(120)


def law_of(process: JumpProcess | LinearDiffusion) -> ExactLaw:
    assert process.law is not None
    return process.law


def masses(law: ExactLaw, time: float) -> np.ndarray:
    return np.exp(law.log_prob(COUNTS[:, None], time))


# --- births and deaths


@pytest.mark.parametrize("settings", [{}, {"molecules": 0}, {"birth": 0.0, "molecules": 12}, {"death": 0.2}])
def test_the_law_of_births_and_deaths_solves_the_master_equation(settings: dict[str, float]) -> None:
    """In a box of 0 to 119 molecules, beyond which there is less than 1e-20. Both sides are good to 1e-10."""
    process = birth_death(**settings)
    for time in TIMES:
        solved = exact_distribution(process, (len(COUNTS) - 1,), time)
        np.testing.assert_allclose(masses(law_of(process), time), solved, rtol=0, atol=1e-9)


def test_births_and_deaths_are_simulated_by_their_law() -> None:
    process = birth_death()
    counts = simulate_jumps(process, TIMES, 5000, seed=1)[..., 0]
    for column, time in enumerate(TIMES):
        assert_drawn_from(counts[:, column], masses(law_of(process), time))
    with pytest.raises(AssertionError):  # what the test can tell: births that are 5 % off
        assert_drawn_from(counts[:, 3], masses(law_of(birth_death(birth=8.4)), TIMES[3]))


def test_draws_moments_and_tails_are_those_of_the_masses() -> None:
    law = law_of(birth_death())
    for time in TIMES:
        mass = masses(law, time)
        assert mass.sum() == pytest.approx(1, abs=1e-12)
        mean = mass @ COUNTS
        assert law.mean(time) == pytest.approx([mean], rel=1e-10)
        assert law.variance(time) == pytest.approx([mass @ (COUNTS - mean) ** 2], rel=1e-9)
        for threshold in (-1, 0, 10, 10.5, 25, 40):
            expected = mass[threshold < COUNTS].sum()
            assert law.exceedance(threshold, time) == pytest.approx([expected], rel=1e-6, abs=1e-12)
        drawn = law.sample(time, 5000, seed=2)
        assert drawn.shape == (5000, 1) and drawn.dtype == np.float64
        assert_drawn_from(drawn[:, 0].astype(int), mass)
        assert (law.sample(time, 5000, seed=2) == drawn).all()
        assert (law.sample(time, 5000, seed=3) != drawn).any()


def test_limits_of_births_and_deaths() -> None:
    law = BirthDeathLaw(birth=8.0, death=0.8, molecules=30)
    assert masses(law, 0.0)[30] == 1 and law.variance(0.0) == 0
    assert (law.sample(0.0, 5, seed=0) == 30).all()
    assert law.exceedance(29, 0.0) == 1 and law.exceedance(30, 0.0) == 0
    np.testing.assert_allclose(masses(law, 1000.0), poisson.pmf(COUNTS, 10), atol=1e-12)
    deaths = BirthDeathLaw(birth=0.0, death=0.8, molecules=30)
    np.testing.assert_allclose(masses(deaths, 1.0), binom.pmf(COUNTS, 30, math.exp(-0.8)), atol=1e-12)
    # soon after the start, where 1 - exp(-death t) would lose all digits: one birth in 1e-17 units of time
    assert BirthDeathLaw(8.0, 0.8, 0).mean(1e-17) == pytest.approx([8e-17], rel=1e-12)


def test_far_tails_and_what_is_no_count() -> None:
    law = BirthDeathLaw(birth=8.0, death=0.8, molecules=0)
    far = law.log_prob([[1000]], 1.0)
    assert far == pytest.approx(poisson.logpmf(1000, law.mean(1.0)), rel=1e-9)
    assert np.isfinite(far).all() and np.exp(far) == 0
    assert (law.log_prob([[2.5], [-1.0]], 1.0) == -np.inf).all()


# --- the linear cascade


def test_means_of_the_cascade_solve_their_equation() -> None:
    law = law_of(linear_cascade())

    def slopes(time: float, means: np.ndarray) -> np.ndarray:
        return np.append(10.0, 5 * means[:-1]) - np.append(np.full(14, 6.0), 1.0) * means

    solved = solve_ivp(slopes, (0, 9), np.zeros(15), t_eval=TIMES, rtol=1e-10, atol=1e-13).y.T
    for time, means in zip(TIMES, solved, strict=True):
        np.testing.assert_allclose(law.mean(time), means, atol=1e-9)
        np.testing.assert_array_equal(law.variance(time), law.mean(time))
    assert (law.mean(0.0) == 0).all() and (law.exceedance(0, 0.0) == 0).all()
    assert law.log_prob(np.zeros((1, 15)), 0.0) == 0
    assert law.log_prob(np.full((1, 15), 0.5), 1.0) == -np.inf


def test_the_law_of_the_cascade_solves_the_master_equation_and_is_simulated() -> None:
    """Of three species, up to 15 molecules each, beyond which there is less than 1e-9; chi-square of 4000 samples."""
    process = linear_cascade(production=3.0, transfer=2.0, decay=1.0, species=3)
    shape = (16, 16, 16)
    states = np.indices(shape).reshape(3, -1).T
    for time in (0.4, 2.0):
        mass = np.exp(law_of(process).log_prob(states, time))
        np.testing.assert_allclose(mass, exact_distribution(process, (15, 15, 15), time), atol=1e-6)
        assert law_of(process).exceedance(2, time)[1] == pytest.approx(mass[states[:, 1] > 2].sum(), abs=1e-5)
        drawn = law_of(process).sample(time, 4000, seed=9).astype(int)
        for counts in (simulate_jumps(process, np.array([time]), 4000, seed=9)[:, 0], drawn):
            assert_drawn_from(np.ravel_multi_index(counts.T, shape), mass)


# --- Ornstein-Uhlenbeck


WHOLE = {"rotation": 1.3, "correlation": -0.6, "mean": 0.5, "start": 2.0, "spread": 0.4}


def covariance_by_its_equation(process: LinearDiffusion, time: float) -> np.ndarray:
    """dC/dt = noise - drift C - C drift', from the start."""
    size = len(process.species)

    def slope(_: float, flat: np.ndarray) -> np.ndarray:
        of = flat.reshape(size, size)
        return (process.noise - process.drift @ of - of @ process.drift.T).ravel()

    found = solve_ivp(slope, (0, time), process.start_covariance.ravel(), "DOP853", rtol=1e-11, atol=1e-13)
    return found.y[:, -1].reshape(size, size)


def test_one_dimension_is_as_in_text_books() -> None:
    process = ornstein_uhlenbeck(relaxation=0.7, noise=0.9, mean=-1.0, start=3.0, spread=0.5, dimensions=1)
    law = process.law
    for time in (0.0, *TIMES):
        mean = -1 + 4 * math.exp(-0.7 * time)
        variance = 0.25 * math.exp(-1.4 * time) + 0.81 * (1 - math.exp(-1.4 * time)) / 1.4
        assert law.mean(time) == pytest.approx([mean], rel=1e-12)
        assert law.variance(time) == pytest.approx([variance], rel=1e-12)
        points = np.linspace(-4, 4, 9)
        expected = norm.logpdf(points, mean, math.sqrt(variance))
        np.testing.assert_allclose(law.log_prob(points[:, None], time), expected, rtol=1e-10)
        assert law.exceedance(0.3, time) == pytest.approx([norm.sf(0.3, mean, math.sqrt(variance))], rel=1e-10)


def test_two_dimensions_solve_the_equations_of_their_moments() -> None:
    process = ornstein_uhlenbeck(**WHOLE)
    law = process.law
    for time in TIMES:
        np.testing.assert_allclose(law.covariance(time), covariance_by_its_equation(process, time), atol=1e-9)
        turned = 1.5 * math.exp(-0.6 * time) * np.array([math.cos(1.3 * time), math.sin(1.3 * time)])
        np.testing.assert_allclose(law.mean(time), 0.5 + turned, atol=1e-12)
        np.testing.assert_allclose(law.variance(time), np.diag(law.covariance(time)))
        points = np.random.default_rng(0).normal(size=(20, 2))
        expected = multivariate_normal(law.mean(time), law.covariance(time)).logpdf(points)
        np.testing.assert_allclose(law.log_prob(points, time), expected, rtol=1e-9)


def test_the_density_solves_the_fokker_planck_equation() -> None:
    """By central differences of step h = 1e-3, whose error is of order h^2; the terms themselves are of order 0.1."""
    process = ornstein_uhlenbeck(**WHOLE)
    step, time = 1e-3, 0.8
    points = process.law.sample(time, 10, seed=0)

    def density(of: np.ndarray, at: float = time) -> np.ndarray:
        return np.exp(process.law.log_prob(of, at))

    sides = step * np.eye(2)
    change = (density(points, time + step) - density(points, time - step)) / (2 * step)

    def flux(of: np.ndarray) -> np.ndarray:
        """[sample, dimension]: drift times density."""
        return (of - process.mean) @ process.drift.T * density(of)[:, None]

    drifted = sum((flux(points + sides[i])[:, i] - flux(points - sides[i])[:, i]) / (2 * step) for i in range(2))
    spread = sum(
        0.5 * process.noise[i, j] / (4 * step**2) * (
            density(points + sides[i] + sides[j]) - density(points + sides[i] - sides[j])
            - density(points - sides[i] + sides[j]) + density(points - sides[i] - sides[j])
        )
        for i in range(2) for j in range(2)
    )  # fmt: skip
    assert np.abs(change).max() > 0.05
    np.testing.assert_allclose(change, drifted + spread, atol=1e-4)


def test_two_steps_are_one() -> None:
    """The equation of Chapman and Kolmogorov."""
    process = ornstein_uhlenbeck(**WHOLE)
    (first, early), (second, late), (both, whole) = (process.transition(lag) for lag in (0.3, 0.9, 1.2))
    np.testing.assert_allclose(both, second @ first, atol=1e-14)
    np.testing.assert_allclose(whole, second @ early @ second.T + late, atol=1e-14)
    matrix, added = process.transition(0.0)
    np.testing.assert_allclose(matrix, np.eye(2), atol=1e-15)
    np.testing.assert_allclose(added, 0, atol=1e-15)


@pytest.mark.parametrize("settings", [WHOLE, {"dimensions": 1}, {"spread": 0.0}])
def test_diffusions_are_simulated_by_their_law(settings: dict[str, float]) -> None:
    """Every dimension and, where there are two, their sum."""
    process = ornstein_uhlenbeck(**settings)
    size = len(process.species)
    states = simulate_diffusion(process, TIMES, 20000, seed=4)
    assert states.shape == (20000, len(TIMES), size)
    drawn = np.stack([process.law.sample(time, 20000, seed=5) for time in TIMES], axis=1)
    for samples in (states, drawn):
        for column, time in enumerate(TIMES):
            mean, covariance = process.law.mean(time), process.law.covariance(time)
            for direction in [*np.eye(size), np.ones(size)]:
                marginal = norm(direction @ mean, math.sqrt(direction @ covariance @ direction))
                assert kstest(samples[:, column] @ direction, marginal.cdf).pvalue > 1e-3
    wrong = ornstein_uhlenbeck(**settings | {"noise": 0.88}).law  # what the test can tell: 10 % more noise
    marginal = norm(wrong.mean(9.0)[0], math.sqrt(wrong.variance(9.0)[0]))
    assert kstest(states[:, -1, 0], marginal.cdf).pvalue < 1e-3


def test_a_diffusion_remembers_as_it_should() -> None:
    """Covariance of two times: that of the earlier one, carried on. Standard errors are about 0.01."""
    process = ornstein_uhlenbeck(**WHOLE)
    states = simulate_diffusion(process, np.array([0.5, 1.2]), 20000, seed=6)
    apart = states - states.mean(0)
    found = np.einsum("ni,nj->ij", apart[:, 1], apart[:, 0]) / len(states)
    np.testing.assert_allclose(found, process.transition(0.7)[0] @ process.law.covariance(0.5), atol=0.03)


def test_the_same_arguments_give_the_same_states() -> None:
    process = ornstein_uhlenbeck()
    times = np.array([0.0, 1.0, 1.0, 3.0])
    states = simulate_diffusion(process, times, 50, seed=7)
    assert states.dtype == np.float64
    np.testing.assert_array_equal(simulate_diffusion(process, times, 50, seed=7), states)
    np.testing.assert_allclose(states[:, 1], states[:, 2], atol=1e-7)  # no time has passed
    assert (simulate_diffusion(process, times, 50, seed=8) != states).all()
    assert simulate_diffusion(process, times, 0, seed=7).shape == (0, 4, 2)
    assert simulate_diffusion(process, np.array([]), 3, seed=7).shape == (3, 0, 2)


def test_a_point_at_the_start() -> None:
    law = ornstein_uhlenbeck(spread=0.0).law
    assert law.exceedance(1.0, 0.0).tolist() == [1, 0]
    assert (law.sample(0.0, 4, seed=0) == [3.0, 0.0]).all()
    with refused("law of ornstein-uhlenbeck at time 0", "without a density", "later time"):
        law.log_prob([[3.0, 0.0]], 0.0)
    assert np.isfinite(law.log_prob([[3.0, 0.0]], 1e-3)).all()


# --- refusals


@pytest.mark.parametrize(
    "process", [birth_death(), linear_cascade(), ornstein_uhlenbeck()], ids=lambda process: process.name
)
def test_what_a_law_cannot_answer_is_refused(process: JumpProcess | LinearDiffusion) -> None:
    law, size = law_of(process), len(process.species)
    for time in (-1.0, math.nan, math.inf):
        for ask in (
            law.mean,
            law.variance,
            lambda time: law.exceedance(1.0, time),
            lambda time: law.log_prob(np.ones((2, size)), time),
            lambda time: law.sample(time, 3, seed=0),
        ):
            with refused("time of a law", f"{time:g}", "at least 0"):
                ask(time)
    for shape in ((size,), (4, size + 1)):
        with refused("values of a law", str(shape), f"(samples, {size})"):
            law.log_prob(np.ones(shape), 1.0)
    with refused("draws of a law", "-2"):
        law.sample(1.0, -2, seed=0)


def test_what_cannot_be_simulated_is_refused() -> None:
    process = ornstein_uhlenbeck()
    with refused("trajectories of ornstein-uhlenbeck", "-1"):
        simulate_diffusion(process, np.array([1.0]), -1, seed=0)
    for times in ([-1.0], [1.0, 0.5], [np.nan]):
        with refused("times"):
            simulate_diffusion(process, np.array(times), 1, seed=0)
    with refused("dimensions", "3", "1 or 2"):
        ornstein_uhlenbeck(dimensions=3)
    for key in ("rotation", "correlation"):
        with refused(key, "0.5", "0 in one dimension"):
            ornstein_uhlenbeck(dimensions=1, **{key: 0.5})
    with refused("horizon", "-1"):
        ornstein_uhlenbeck(horizon=-1)


def test_arrays_of_a_diffusion_fit_together() -> None:
    one, good = np.eye(1), np.zeros(1)
    with pytest.raises(ValueError, match="do not fit"):
        LinearDiffusion("test", ("x",), np.zeros(2), one, one, good, one, 1.0)
    with pytest.raises(ValueError, match="lead back"):
        LinearDiffusion("test", ("x",), good, -one, one, good, one, 1.0)
