from __future__ import annotations

import numpy as np
import pytest
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.systems.navier_stokes import (
    CODA_SETTINGS,
    SYSTEM,
    NavierStokesSettings,
    diagonal_flow,
    initial_fields,
    trajectories,
)
from weightcast.systems.vorticity import solve

Field = np.ndarray


def settings(**changes) -> NavierStokesSettings:
    return NavierStokesSettings(**({"trajectories": 2, "frames": 3, "grid_size": 16} | changes))


def environment(id: str = "a", viscosity: float = 2e-3, forcing: float = 0.1) -> Environment:
    return Environment(id, {"viscosity": viscosity, "forcing": forcing}, "visible")


def values(chosen: dict | None = None, **parameters: float) -> Field:
    """Of one environment, [trajectory, time, y, x]."""
    (made,) = trajectories([environment(**parameters)], settings(**(chosen or {})).model_dump(), 0)
    return made.values[:, :, 0]


def diagonal_wave(size: int) -> Field:
    x = np.arange(size) / size
    phase = 2 * np.pi * (x + x[:, None])
    return np.sin(phase) + np.cos(phase)


# --- exact solutions


def test_taylor_green_vortices_decay_at_the_exact_rate() -> None:
    x = np.arange(32) / 32
    start = np.outer(np.cos(4 * np.pi * x), np.cos(4 * np.pi * x))[None]
    for frame, field in enumerate(solve(start, diagonal_flow("a", 2e-3, 0.0, 32), settings(frames=6))):
        exact = start * np.exp(-2 * 2e-3 * (4 * np.pi) ** 2 * frame)
        np.testing.assert_allclose(field, exact, atol=1e-6 * exact.max())


def test_from_rest_the_forced_wave_grows_to_its_laminar_amplitude() -> None:
    """A shear along the diagonal has no advection: omega = forcing (1 - e^(-r t)) / r, r = 8 pi^2 viscosity."""
    rate = 8 * np.pi**2 * 2e-2
    run = values({"initial_scale": 0.0, "frames": 4}, viscosity=2e-2, forcing=0.3)
    for frame in range(4):
        exact = 0.3 * diagonal_wave(16) * (1 - np.exp(-rate * frame)) / rate
        np.testing.assert_allclose(run[0, frame], exact, atol=1e-6)


# --- the published settings


def published_scheme(vorticity: Field, viscosity: float, forcing: float, step: float, steps: int) -> Field:
    """CoDA's scheme, written from its description: advection u . grad omega, dealiased, and forcing by
    explicit Euler steps, viscosity by Crank-Nicolson."""
    size = vorticity.shape[-1]
    waves = np.fft.fftfreq(size, 1 / size)
    kx, ky = 2 * np.pi * waves, 2 * np.pi * waves[:, None]
    squared = kx**2 + ky**2
    stream = np.where(squared > 0, 1 / np.where(squared > 0, squared, 1), 0)
    kept = (np.abs(waves) <= size / 3) & (np.abs(waves[:, None]) <= size / 3)
    force = forcing * np.fft.fft2(diagonal_wave(size))
    modes = np.fft.fft2(vorticity)
    for _ in range(steps):
        u, v, along_x, along_y = (
            np.fft.ifft2(factor * modes).real for factor in (1j * ky * stream, -1j * kx * stream, 1j * kx, 1j * ky)
        )
        rate = force - kept * np.fft.fft2(u * along_x + v * along_y)
        implicit = step * viscosity * squared / 2
        modes = ((1 - implicit) * modes + step * rate) / (1 + implicit)
    return np.fft.ifft2(modes).real


def test_codas_own_scheme_converges_to_this_solution() -> None:
    """With its first order in time, from the same start on the same grid: the spatial discretisation is the same."""
    chosen = settings(grid_size=32, trajectories=1, frames=2, initial_scale=5.0, largest_tail=1.0)
    start = initial_fields("a", chosen, seed=0)
    *_, last = solve(start, diagonal_flow("a", 8e-4, 0.1, 32), chosen)
    errors = [
        np.linalg.norm(published_scheme(start[0], 8e-4, 0.1, 1 / steps, steps) - last[0]) / np.linalg.norm(last)
        for steps in (100, 200)
    ]
    assert errors[1] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.1)


def test_codas_settings_are_those_published() -> None:
    chosen = NavierStokesSettings(**CODA_SETTINGS)
    assert (chosen.grid_size, chosen.oversampling, chosen.frames, chosen.frame_step) == (32, 1, 10, 1.0)
    fields = initial_fields("a", chosen, seed=0)
    np.testing.assert_array_equal(initial_fields("b", chosen, seed=0), fields)


def test_codas_environments_begin_with_the_same_frame_and_then_differ() -> None:
    chosen = CODA_SETTINGS | {"trajectories": 1, "frames": 2, "spin_up": 5.0}
    thin, thick = trajectories([environment("a", 8e-4), environment("b", 1.2e-3, 0.3)], chosen, 0)
    np.testing.assert_array_equal(thin.values[:, 0], thick.values[:, 0])
    assert np.abs(thin.values[:, 1] - thick.values[:, 1]).std() > 0.05 * thin.values[:, 1].std()


@pytest.mark.parametrize("key", ["spin_up_viscosity", "spin_up_forcing"])
def test_the_spin_up_can_have_a_viscosity_and_a_forcing_of_its_own(key: str) -> None:
    value = {"spin_up_viscosity": 1e-2, "spin_up_forcing": 0.4}[key]
    spun = values({"spin_up": 2.0, key: value, "frames": 1})
    name = key.removeprefix("spin_up_")
    np.testing.assert_allclose(spun[:, 0], values({"frames": 3}, **{name: value})[:, 2], atol=1e-6)
    assert np.abs(spun - values({"spin_up": 2.0, "frames": 1})).std() > 0.1 * spun.std()


# --- random starts


def test_starts_have_the_published_variance() -> None:
    """7^3 (4 pi^2 k^2 + 49)^(-5/2) for each wave; 0.1852 is the root of its sum."""
    fields = initial_fields("a", settings(trajectories=400, grid_size=32), seed=0)
    np.testing.assert_allclose(fields.std(), 0.1852, rtol=0.03)
    modes = np.fft.fft2(fields, norm="forward")
    for wave in ((0, 1), (2, 1), (-3, 0)):
        expected = 7**3 * (4 * np.pi**2 * (wave[0] ** 2 + wave[1] ** 2) + 49) ** -2.5
        np.testing.assert_allclose((np.abs(modes[:, wave[0], wave[1]]) ** 2).mean(), expected, rtol=0.2)


def test_starts_belong_to_the_environment_unless_they_are_shared() -> None:
    first, second = (initial_fields(id, settings(), seed=0) for id in ("a", "b"))
    assert np.abs(first - second).std() > 0.5 * first.std()
    shared = [initial_fields(id, settings(shared_starts=True), seed) for id, seed in (("a", 0), ("b", 0), ("b", 1))]
    np.testing.assert_array_equal(shared[0], shared[1])
    assert np.abs(shared[1] - shared[2]).std() > 0.5 * first.std()
    np.testing.assert_allclose(initial_fields("a", settings(initial_scale=3.0), seed=0), 3 * first)


def test_starts_stay_the_same_between_versions() -> None:
    """A change here changes every study."""
    start = initial_fields("viscosity_0.0010-forcing_0.10", settings(), seed=0)
    np.testing.assert_allclose(start[1, 3, 5], -0.05906088014634829, rtol=1e-10)


# --- as a system


def test_trajectories_describe_themselves() -> None:
    made = next(SYSTEM.trajectories([environment()], settings(frame_step=0.5, largest_tail=1.0).model_dump(), 0))
    assert made.channels == SYSTEM.channels == ("vorticity",)
    assert made.values.shape == (2, 3, 1, 16, 16) and made.values.dtype == np.float32
    assert made.parameters == {"viscosity": 2e-3, "forcing": 0.1}
    np.testing.assert_allclose(made.time, [0, 0.5, 1])
    np.testing.assert_allclose(made.x, np.arange(16) / 16)


def test_another_environment_or_trajectory_changes_no_bit() -> None:
    chosen = settings().model_dump()
    (alone,) = trajectories([environment("b", 3e-3)], chosen | {"trajectories": 1}, 0)
    both = list(trajectories([environment("a"), environment("b", 3e-3)], chosen, 0))
    assert [each.environment for each in both] == ["a", "b"]
    np.testing.assert_array_equal(both[1].values[:1], alone.values)


def test_a_finer_grid_solves_the_same_problem() -> None:
    coarse, fine = (values({"oversampling": n, "grid_size": 24, "initial_scale": 3.0, "spin_up": 2.0}) for n in (2, 3))
    np.testing.assert_allclose(coarse, fine, atol=2e-3 * fine.std())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame_stp": 0.5}, ["frame_stp", "frame_step"]),
        ({"courant": 1.5}, ["courant", "1.5"]),
        ({"spin_up_viscosity": 0.0}, ["spin_up_viscosity", "0"]),
        ({"inner_step": 0.0}, ["inner_step", "0"]),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(changes: dict, words: list[str]) -> None:
    with refused("settings of navier-stokes", *words):
        trajectories([environment()], changes, 0)


@pytest.mark.parametrize("viscosity", [0.0, -1e-3, float("nan")])
def test_a_viscosity_that_is_not_positive_is_refused(viscosity: float) -> None:
    with refused("environment b", "viscosity", f"found {viscosity:g}", "positive"):
        trajectories([environment(), environment("b", viscosity)], {}, 0)


def test_a_missing_parameter_is_refused() -> None:
    with refused("environment a", "parameter forcing", "found only viscosity"):
        trajectories([Environment("a", {"viscosity": 1e-3}, "visible")], {}, 0)


def test_a_flow_that_the_grid_cannot_resolve_is_refused() -> None:
    with refused("environment b", "not resolved", "time 1:", "oversampling"):
        list(trajectories([environment(), environment("b", 1e-6)], settings(initial_scale=5.0).model_dump(), 0))
