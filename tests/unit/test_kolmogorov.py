from __future__ import annotations

import numpy as np
import pytest
from refusals import refused
from scipy.optimize import brentq

from weightcast.core.environment_table import Environment
from weightcast.systems.kolmogorov import SYSTEM, KolmogorovSettings, initial_fields, shear_flow, trajectories
from weightcast.systems.vorticity import solve

Field = np.ndarray


def settings(**changes) -> KolmogorovSettings:
    small = {"trajectories": 2, "frames": 3, "grid_size": 16, "oversampling": 2, "spin_up": 0.0}
    return KolmogorovSettings(**(small | changes))


def environment(id: str = "a", reynolds: float = 20.0, wavenumber: float = 2.0) -> Environment:
    return Environment(id, {"reynolds": reynolds, "wavenumber": wavenumber}, "visible")


def laminar_vorticity(reynolds: float, wavenumber: int, drag: float, size: int) -> Field:
    """[y, x]: of the velocity U sin(k y) e_x with U = 1 / (k^2 / Re + drag), by hand."""
    y = 2 * np.pi * np.arange(size) / size
    speed = 1 / (wavenumber**2 / reynolds + drag)
    return np.repeat(-wavenumber * speed * np.cos(wavenumber * y)[:, None], size, axis=1)


# --- the laminar flow


@pytest.mark.parametrize(("reynolds", "wavenumber", "drag"), [(10.0, 1, 0.1), (40.0, 4, 0.1), (3.0, 3, 0.0)])
def test_the_laminar_flow_is_stationary(reynolds: float, wavenumber: int, drag: float) -> None:
    start = laminar_vorticity(reynolds, wavenumber, drag, 32)
    run = np.stack(list(solve(start[None], shear_flow("a", reynolds, wavenumber, drag, 32), settings(frames=5))))
    np.testing.assert_allclose(run, np.broadcast_to(start, run.shape), atol=1e-9 * start.max())


def test_from_rest_the_flow_grows_to_the_laminar_one() -> None:
    """Without advection: U (1 - e^(-r t)) with r = k^2 / Re + drag. The force at y = pi / 2k points along +x."""
    rate = 9 / 20 + 0.1
    run = np.stack(list(solve(np.zeros((1, 32, 32)), shear_flow("a", 20.0, 3, 0.1, 32), settings(frames=4))))
    for frame in range(4):
        exact = laminar_vorticity(20.0, 3, 0.1, 32) * (1 - np.exp(-rate * 0.5 * frame))
        np.testing.assert_allclose(run[frame, 0], exact, atol=1e-11)


# --- its stability


def growth_matrix(reynolds: float, wavenumber: int, drag: float, along: float, offset: float, waves: int = 12) -> Field:
    """The linearised equation for perturbations sum_m a_m exp(i along x + i (offset + k m) y), m from -waves to waves.

    Around the velocity U sin(k y) e_x a perturbation of the vorticity obeys
        omega_t = -U sin(k y) d_x (omega + k^2 lap^-1 omega) + (lap / Re - drag) omega,
    and sin(k y) = (e^(iky) - e^(-iky)) / 2i couples neighbouring m. Nothing of the solver is used.
    """
    speed = 1 / (wavenumber**2 / reynolds + drag)
    squared = along**2 + (offset + wavenumber * np.arange(-waves, waves + 1)) ** 2
    coupling = -speed * along / 2 * (1 - wavenumber**2 / squared)
    return np.diag(-squared / reynolds - drag) + np.diag(coupling[:-1], -1) - np.diag(coupling[1:], 1)


def growth_rate(reynolds: float, wavenumber: int, drag: float, along: float, offset: float) -> float:
    return float(np.linalg.eigvals(growth_matrix(reynolds, wavenumber, drag, along, offset)).real.max())


def fastest(reynolds: float, wavenumber: int, drag: float) -> tuple[float, int, int]:
    """Growth rate and wave of the perturbation that grows fastest in a square box of 2 pi."""
    waves = [(along, offset) for along in range(1, wavenumber + 2) for offset in range(wavenumber)]
    return max((growth_rate(reynolds, wavenumber, drag, *wave), *wave) for wave in waves)


def critical_reynolds(wavenumber: int, drag: float) -> float:
    return float(brentq(lambda reynolds: fastest(reynolds, wavenumber, drag)[0], 1.0, 100.0, xtol=1e-6))


def test_the_linear_theory_here_has_the_onset_of_meshalkin_and_sinai() -> None:
    """Without drag long waves become unstable where U / (nu k) = sqrt 2; here k = 1, so U = Re and Re^2 = sqrt 2."""
    onset = brentq(lambda reynolds: growth_rate(reynolds, 1, 0.0, 0.02, 0.0), 1.0, 2.0)
    assert onset**2 == pytest.approx(np.sqrt(2), rel=2e-3)


@pytest.mark.parametrize(("wavenumber", "drag"), [(2, 0.0), (3, 0.1)])
@pytest.mark.parametrize("above", [False, True], ids=["below", "above"])
def test_perturbations_of_the_laminar_flow_grow_above_the_onset_and_decay_below(
    wavenumber: int, drag: float, above: bool
) -> None:
    """At the rate of the linear theory, once the faster-decaying waves are gone."""
    reynolds = critical_reynolds(wavenumber, drag) * (1.25 if above else 0.8)
    expected, along, offset = fastest(reynolds, wavenumber, drag)
    assert (expected > 0) is above
    laminar = laminar_vorticity(reynolds, wavenumber, drag, 32)
    x = 2 * np.pi * np.arange(32) / 32
    perturbation = 1e-8 * np.cos(along * x + offset * x[:, None] + 0.3)
    chosen = settings(frames=2, spin_up=30.0, frame_step=5.0)
    flow = shear_flow("a", reynolds, wavenumber, drag, 32)
    first, second = (np.abs(field[0] - laminar).std() for field in solve((laminar + perturbation)[None], flow, chosen))
    assert np.log(second / first) / 5 == pytest.approx(expected, abs=1e-3)


def test_wavenumber_1_is_stable_in_this_box() -> None:
    assert max(fastest(reynolds, 1, drag)[0] for reynolds in (10.0, 100.0, 1000.0) for drag in (0.0, 0.1)) < 0


# --- as a system


def test_trajectories_begin_after_the_spin_up_on_the_attractor() -> None:
    """At Reynolds number 5 that is the laminar flow, whatever the start was."""
    chosen = settings(spin_up=40.0, inner_step=0.5).model_dump()
    (made,) = trajectories([environment("a", 5.0, 3.0)], chosen, 0)
    laminar = laminar_vorticity(5.0, 3, 0.1, 16)
    np.testing.assert_allclose(made.values, np.broadcast_to(laminar, made.values.shape), atol=1e-4)


def test_drag_is_a_setting() -> None:
    (made,) = trajectories(
        [environment("a", 5.0, 3.0)], settings(spin_up=15.0, inner_step=0.5, drag=1.0).model_dump(), 0
    )
    np.testing.assert_allclose(made.values[0, 0, 0], laminar_vorticity(5.0, 3, 1.0, 16), atol=1e-4)


def test_starts_are_random_fields_of_unit_size() -> None:
    fields = initial_fields("a", settings(trajectories=300), seed=0)
    assert fields.shape == (300, 32, 32)
    np.testing.assert_allclose(fields.std(), 1, rtol=0.05)
    np.testing.assert_allclose(fields.mean(axis=(1, 2)), 0, atol=1e-12)
    for others in (initial_fields("b", settings(), seed=0), initial_fields("a", settings(), seed=1)):
        assert np.abs(others - fields[:2]).std(axis=(1, 2)).min() > 0.5


def test_starts_stay_the_same_between_versions() -> None:
    """A change here changes every study."""
    np.testing.assert_allclose(
        initial_fields("reynolds_40-wavenumber_3", settings(), seed=0)[1, 3, 5], 0.6452615587091176, rtol=1e-10
    )


def test_trajectories_describe_themselves() -> None:
    (made,) = SYSTEM.trajectories([environment()], settings().model_dump(), 0)
    assert made.channels == SYSTEM.channels == ("vorticity",)
    assert made.values.shape == (2, 3, 1, 16, 16) and made.values.dtype == np.float32
    assert made.parameters == {"reynolds": 20.0, "wavenumber": 2.0}
    np.testing.assert_allclose(made.time, [0, 0.5, 1])
    np.testing.assert_allclose(made.y, 2 * np.pi / 16 * np.arange(16))


def test_another_environment_or_trajectory_changes_no_bit() -> None:
    chosen = settings().model_dump()
    (alone,) = trajectories([environment("b", 30.0, 3.0)], chosen | {"trajectories": 1}, 0)
    both = list(trajectories([environment("a"), environment("b", 30.0, 3.0)], chosen, 0))
    assert [each.environment for each in both] == ["a", "b"]
    np.testing.assert_array_equal(both[1].values[:1], alone.values)


@pytest.mark.parametrize("wavenumber", [2.5, 0.0, -2.0, 8.0, float("nan")])
def test_a_wavenumber_that_is_not_whole_or_beyond_the_grid_is_refused(wavenumber: float) -> None:
    with refused("environment b", "wavenumber", f"found {wavenumber:g}", "whole number from 1 to 7"):
        trajectories([environment(), environment("b", wavenumber=wavenumber)], settings().model_dump(), 0)


@pytest.mark.parametrize("reynolds", [0.0, -10.0, float("nan")])
def test_a_reynolds_number_that_is_not_positive_is_refused(reynolds: float) -> None:
    with refused("environment a", "reynolds", f"found {reynolds:g}", "positive"):
        trajectories([environment(reynolds=reynolds)], {}, 0)


@pytest.mark.parametrize(
    ("changes", "words"), [({"drag": -0.1}, ["drag", "-0.1"]), ({"viscosity": 0.1}, ["viscosity", "drag"])]
)
def test_bad_settings_are_refused_before_anything_runs(changes: dict, words: list[str]) -> None:
    with refused("settings of kolmogorov", *words):
        trajectories([environment()], changes, 0)


def test_a_flow_that_the_grid_cannot_resolve_is_refused() -> None:
    with refused("environment a", "not resolved", "time 20:", "oversampling"):
        list(trajectories([environment(reynolds=2000.0)], settings(oversampling=1, spin_up=20.0).model_dump(), 0))
