from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.systems.vorticity import Flow, VorticitySettings, highest_wave, random_vorticity, simulate, solve

Field = np.ndarray


def settings(**changes) -> VorticitySettings:
    """Whether a spectrum is resolved has tests of its own; the others may use coarse grids."""
    return VorticitySettings(**({"trajectories": 2, "frames": 3, "frame_step": 0.5, "largest_tail": 1.0} | changes))


def grid(size: int, length: float = 2 * np.pi) -> tuple[Field, Field]:
    """x and y of every point, [y, x]."""
    points = length / size * np.arange(size)
    return points[None, :] + 0 * points[:, None], points[:, None] + 0 * points[None, :]


def smooth_field(size: int, seed: int = 0) -> Field:
    """Waves up to 3 on a square of 2 pi, of a standard deviation near 1, the same on every grid; [1, y, x]."""
    x, y = grid(size)
    amplitudes = np.random.default_rng(seed).standard_normal((4, 7, 2)) / 5
    waves = [(kx, ky) for kx in range(4) for ky in range(-3, 4) if (kx, ky) > (0, 0)]
    return sum(
        amplitudes[kx, ky, 0] * np.cos(kx * x + ky * y) + amplitudes[kx, ky, 1] * np.sin(kx * x + ky * y)
        for kx, ky in waves
    )[None]


def flow(size: int, viscosity: float = 0.02, drag: float = 0.05, forcing: Field | float = 0.0, **changes) -> Flow:
    values = {"environment": "a", "length": 2 * np.pi} | changes
    return Flow(viscosity=viscosity, drag=drag, forcing=np.broadcast_to(forcing, (size, size)), **values)


def frames(start: Field, equation: Flow, **changes) -> Field:
    """[frame, trajectory, y, x]."""
    return np.stack(list(solve(start, equation, settings(**changes))))


# --- exact solutions


@pytest.mark.parametrize("size", [16, 27])
def test_taylor_green_vortices_decay_at_the_exact_rate(size: int) -> None:
    """omega = cos(k x) cos(k y) has no advection, so it decays with 2 nu k^2 and the drag; in a box of any length."""
    length, viscosity, drag = 3.0, 0.01, 0.1
    x, y = grid(size, length)
    k = 2 * np.pi / length * 2
    start = (np.cos(k * x) * np.cos(k * y))[None]
    equation = flow(size, viscosity, drag, length=length)
    for frame, field in enumerate(frames(start, equation, frames=5)):
        exact = start * np.exp(-(2 * viscosity * k**2 + drag) * 0.5 * frame)
        np.testing.assert_allclose(field, exact, atol=1e-6 * np.abs(exact).max())


def test_a_forced_flow_with_advection_stays_as_it_is() -> None:
    """psi = a cos x + b cos 2y: omega = a cos x + 4 b cos 2y, u = -2 b sin 2y, v = a sin x, so that u . grad omega is
    2 a b sin x sin 2y - 8 a b sin x sin 2y. The forcing balances it, viscosity and drag."""
    a, b, viscosity, drag = 0.7, -0.4, 0.1, 0.2
    x, y = grid(24)
    steady = a * np.cos(x) + 4 * b * np.cos(2 * y)
    advection = -6 * a * b * np.sin(x) * np.sin(2 * y)
    forcing = advection + viscosity * (a * np.cos(x) + 16 * b * np.cos(2 * y)) + drag * steady
    moved = frames(steady[None], flow(24, viscosity, drag, forcing))
    np.testing.assert_allclose(moved, np.broadcast_to(steady, moved.shape), atol=1e-10)


def test_drag_and_steady_forcing_are_integrated_exactly_at_any_step() -> None:
    """A shear flow has no advection: from rest, omega = f (1 - e^(-r t)) / r with r = nu k^2 + mu."""
    _, y = grid(16)
    forcing, rate = np.cos(3 * y), 0.02 * 9 + 0.05
    last = frames(np.zeros((1, 16, 16)), flow(16, forcing=forcing), frames=2, frame_step=4.0, inner_step=4.0)[-1]
    np.testing.assert_allclose(last[0], forcing * (1 - np.exp(-4 * rate)) / rate, atol=1e-12)


def test_the_mean_of_forcing_and_start_has_no_effect() -> None:
    start, forcing = smooth_field(24), smooth_field(24, seed=1)[0]
    with_means = frames(start + 3, flow(24, forcing=forcing + 2))
    np.testing.assert_allclose(with_means, frames(start, flow(24, forcing=forcing)), atol=1e-11)
    np.testing.assert_allclose(with_means.mean(axis=(2, 3)), 0, atol=1e-13)


# --- budgets


def velocity(vorticity: Field) -> tuple[Field, Field, Field]:
    """Stream function, u and v of a vorticity [..., y, x] on a square of 2 pi, by full complex transforms."""
    waves = np.fft.fftfreq(vorticity.shape[-1], 1 / vorticity.shape[-1])
    kx, ky = waves[None, :], waves[:, None]
    squared = kx**2 + ky**2
    squared[0, 0] = 1
    psi = np.fft.fft2(vorticity) / squared
    return np.fft.ifft2(psi).real, np.fft.ifft2(1j * ky * psi).real, np.fft.ifft2(-1j * kx * psi).real


def gradient_squared(field: Field) -> Field:
    waves = 1j * np.fft.fftfreq(field.shape[-1], 1 / field.shape[-1])
    modes = np.fft.fft2(field)
    return np.fft.ifft2(waves * modes).real ** 2 + np.fft.ifft2(waves[:, None] * modes).real ** 2


def test_energy_and_enstrophy_change_by_injection_dissipation_and_drag_alone() -> None:
    """dE/dt = <psi f> - 2 nu Z - 2 mu E and dZ/dt = <omega f> - nu <|grad omega|^2> - 2 mu Z, with E = <u^2 + v^2> / 2
    and Z = <omega^2> / 2; the rates by fourth-order differences of five frames."""
    step, viscosity, drag = 0.01, 0.03, 0.2
    forcing = 2 * smooth_field(32, seed=5)[0]
    run = frames(4 * smooth_field(32), flow(32, viscosity, drag, forcing), frames=5, frame_step=step, inner_step=0.002)
    psi, u, v = velocity(run[:, 0])
    energy, enstrophy = (u**2 + v**2).mean(axis=(1, 2)) / 2, (run[:, 0] ** 2).mean(axis=(1, 2)) / 2
    middle = run[2, 0]
    of_energy = (psi[2] * forcing).mean() - 2 * viscosity * enstrophy[2] - 2 * drag * energy[2]
    of_enstrophy = (middle * forcing - viscosity * gradient_squared(middle)).mean() - 2 * drag * enstrophy[2]
    differences = np.array([1, -8, 0, 8, -1]) / (12 * step)
    np.testing.assert_allclose(differences @ energy, of_energy, rtol=1e-6)
    np.testing.assert_allclose(differences @ enstrophy, of_enstrophy, rtol=1e-6)


@pytest.mark.parametrize("size", [24, 25, 26])
def test_without_viscosity_drag_and_forcing_energy_and_enstrophy_are_conserved(size: int) -> None:
    """In all kept waves, which aliasing would break: the start fills them all up to the shortest."""
    start = random_vorticity(0, "a", 1, size, 2 * np.pi, 1.01, 1.0)
    start *= 2 / start.std()
    run = frames(start, flow(size, 0.0, 0.0), frames=2, frame_step=1.0, inner_step=0.01)[:, 0]
    assert np.abs(run[1] - run[0]).std() > 1  # it has moved
    _, u, v = velocity(run)
    for invariant in (u**2 + v**2, run**2):
        before, after = invariant.mean(axis=(1, 2))
        np.testing.assert_allclose(after, before, rtol=1e-6)


# --- symmetries

Transform = Callable[[Field], Field]


@pytest.mark.parametrize(
    "transform",
    [
        lambda field: np.roll(field, (3, -5), axis=(-2, -1)),
        lambda field: -np.roll(field[..., ::-1], 1, axis=-1),  # x -> -x: vorticity changes its sign
        lambda field: -field.swapaxes(-2, -1),  # x <-> y
        lambda field: np.roll(np.rot90(field, axes=(-2, -1)), 1, axis=-2),  # a quarter turn about the origin
    ],
    ids=["shifted", "reflected", "transposed", "rotated"],
)
def test_transformed_starts_and_forcings_give_transformed_flows(transform: Transform) -> None:
    start, forcing = 2 * smooth_field(24), smooth_field(24, seed=1)[0]
    run = frames(start, flow(24, forcing=forcing))
    np.testing.assert_allclose(
        frames(transform(start), flow(24, forcing=transform(forcing))), transform(run), atol=1e-9
    )
    assert np.abs(run[-1] - run[0]).std() > 0.3


def test_a_larger_domain_with_a_larger_viscosity_is_the_same_flow() -> None:
    """Lengths times 5, viscosity times 25: the vorticity's history is the same."""
    start, forcing = 2 * smooth_field(24), smooth_field(24, seed=1)[0]
    run = frames(start, flow(24, 0.02, forcing=forcing))
    larger = frames(start, flow(24, 0.5, forcing=forcing, length=10 * np.pi))
    np.testing.assert_allclose(larger, run, atol=1e-11)


# --- accuracy


def test_the_order_in_time_is_4() -> None:
    """Of a flow so slow that the Courant number does not shorten the steps."""
    start, forcing = smooth_field(24) / 2, smooth_field(24, seed=1)[0] / 2

    def last(inner_step: float) -> Field:
        return frames(start, flow(24, forcing=forcing), frames=2, frame_step=1.6, inner_step=inner_step)[-1]

    reference = last(0.00625)
    errors = [np.abs(last(inner_step) - reference).max() for inner_step in (0.2, 0.1, 0.05)]
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 4, atol=0.2)
    assert errors[-1] < 1e-6


def test_convergence_in_space_is_faster_than_any_power() -> None:
    """Each of these grids, half as fine again as the last, gains more digits than the one before."""

    def last(size: int) -> Field:
        forcing = smooth_field(size, seed=1)[0]
        run = frames(2 * smooth_field(size), flow(size, 0.1, forcing=forcing), frames=2, inner_step=0.02)
        return run[-1, 0, :: size // 4, :: size // 4]

    reference = last(96)
    errors = np.array([np.abs(last(size) - reference).max() for size in (16, 24, 36, 56)])
    orders = np.log(errors[:-1] / errors[1:]) / np.log([24 / 16, 36 / 24, 56 / 36])
    assert np.all(np.diff(orders) > 0) and orders[-1] > 8
    assert errors[-1] < 1e-6


def test_fast_flows_get_short_steps() -> None:
    """The inner step of 0.1 crosses 15 cells of the grid here; the Courant number keeps the solution right."""
    start = 30 * smooth_field(32)
    run, reference = (
        frames(start, flow(32), frames=2, frame_step=0.1, inner_step=inner_step)[-1] for inner_step in (0.1, 0.001)
    )
    assert np.abs(reference - start).std() > 5
    assert np.abs(run - reference).std() < 2e-3 * reference.std()


# --- refusals


def test_an_unresolved_flow_names_environment_and_time() -> None:
    with refused("environment a", "not resolved", "time 1:", "largest_tail", "oversampling"):
        frames(5 * smooth_field(24), flow(24, 1e-4), spin_up=1.0, largest_tail=1e-3)


def test_the_start_itself_may_be_rough() -> None:
    start = random_vorticity(0, "a", 1, 24, 2 * np.pi, 1.01, 1.0)
    assert np.isfinite(frames(start, flow(24, 0.5), largest_tail=1e-3)).all()


@pytest.mark.parametrize(("forcing", "words"), [(1e9, "blows up"), (1e200, "finite"), (np.nan, "finite")])
def test_a_blow_up_names_environment_and_time(forcing: float, words: str) -> None:
    _, y = grid(24)
    with refused("environment a", "time 0.1", words):
        frames(smooth_field(24), flow(24, forcing=forcing * np.cos(y)))


# --- what belongs to what


def test_trajectories_do_not_depend_on_their_batch() -> None:
    start = np.concatenate([smooth_field(24), 3 * smooth_field(24, seed=1)])
    together = frames(start, flow(24))
    for index in range(2):
        np.testing.assert_array_equal(frames(start[index : index + 1], flow(24))[:, 0], together[:, index])


def test_spin_up_is_what_comes_before_the_first_frame() -> None:
    start = smooth_field(24)
    long = frames(start, flow(24), frames=4)
    np.testing.assert_allclose(frames(start, flow(24), frames=2, spin_up=1.0), long[2:], atol=1e-12)


def test_the_spin_up_may_have_an_equation_of_its_own() -> None:
    start, other = smooth_field(24), flow(24, 0.2)
    spun = frames(start, other, frames=2)[-1]
    *_, last = solve(start, flow(24), settings(frames=2, spin_up=0.5), other)
    np.testing.assert_allclose(last, frames(spun, flow(24), frames=2)[-1], atol=1e-12)


def test_frames_are_every_nth_point_of_the_solvers_grid() -> None:
    environment = Environment("a", {"viscosity": 0.02}, "visible")
    chosen = settings(grid_size=12, oversampling=2, frames=2)
    made = simulate(environment, smooth_field(24), flow(24), chosen)
    exact = frames(smooth_field(24), flow(24), frames=2)
    assert made.values.dtype == np.float32 and made.values.shape == (1, 2, 1, 12, 12)
    np.testing.assert_allclose(made.values[0, :, 0], exact[:, 0, ::2, ::2], atol=1e-6)
    np.testing.assert_allclose(made.x, 2 * np.pi / 12 * np.arange(12))
    np.testing.assert_allclose(made.time, [0, 0.5])
    assert made.channels == ("vorticity",) and made.parameters == {"viscosity": 0.02}


# --- random starts


def test_random_vorticity_has_the_stated_spectrum() -> None:
    length, alpha, tau, size = 2.0, 2.0, 3.0, 13
    fields = random_vorticity(0, "a", 2000, size, length, alpha, tau)
    modes = np.fft.fft2(fields, norm="forward")
    waves = np.fft.fftfreq(size, 1 / size)
    squared = waves[:, None] ** 2 + waves**2
    expected = ((2 * np.pi / length) ** 2 * squared + tau**2) ** -alpha / length**2
    kept = (np.maximum(np.abs(waves[:, None]), np.abs(waves)) <= highest_wave(size)) & (squared > 0)
    np.testing.assert_allclose((np.abs(modes) ** 2).mean(axis=0)[kept], expected[kept], rtol=0.15)
    assert np.abs(modes[:, ~kept]).max() < 1e-15
    assert np.abs((modes**2).mean(axis=0)[kept] / expected[kept]).max() < 0.15  # real and imaginary parts are alike


def test_starts_belong_to_seed_key_and_trajectory_and_not_to_the_grid() -> None:
    chosen = {"length": 1.0, "smoothness": 2.5, "inverse_length": 7.0}
    fields = random_vorticity(0, "a", 3, 12, **chosen)
    np.testing.assert_array_equal(random_vorticity(0, "a", 2, 12, **chosen), fields[:2])
    coarse, fine = (np.fft.fft2(each, norm="forward") for each in (fields, random_vorticity(0, "a", 3, 24, **chosen)))
    np.testing.assert_allclose(fine[:, :4, :4], coarse[:, :4, :4], atol=1e-15)
    for others in (
        random_vorticity(0, "b", 3, 12, **chosen),
        random_vorticity(1, "a", 3, 12, **chosen),
        fields[[1, 2, 0]],
    ):
        assert np.abs(others - fields).max(axis=(1, 2)).min() > 0.5 * fields.std()


@pytest.mark.parametrize("size", [4, 12, 13, 24, 31, 32, 33, 64])
def test_the_shortest_kept_waves_are_the_largest_without_aliasing(size: int) -> None:
    """Products of two kept waves reach 2 K, which the grid confuses with 2 K - size: that must not be kept."""
    highest = highest_wave(size)
    assert size - 2 * highest > highest
    assert size - 2 * (highest + 1) <= highest + 1
