from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from refusals import refused
from scipy.integrate import simpson, solve_ivp
from scipy.ndimage import convolve

from weightcast.core.environment_table import Environment
from weightcast.systems.gray_scott import SYSTEM, GrayScottSettings, initial_fields, simulate, solve

F, K = 0.035, 0.061
DU, DV = 0.2097, 0.105
STENCIL = np.array([[0.25, 0.5, 0.25], [0.5, -3, 0.5], [0.25, 0.5, 0.25]])


def settings(**changes) -> GrayScottSettings:
    small = {"trajectories": 2, "frames": 3, "frame_step": 20.0, "grid_size": 16}
    return GrayScottSettings(**(small | changes))


def frames(u: np.ndarray, v: np.ndarray, chosen: GrayScottSettings, feed: float = F, kill: float = K) -> np.ndarray:
    """[time, (u, v), y, x] from one start."""
    start = np.stack(np.broadcast_arrays(u, v))[None, None]
    return np.stack(list(solve(start, [feed], [kill], chosen)))[:, 0, 0]


def environment(id: str, feed: float = F, kill: float = K) -> Environment:
    return Environment(id, {"F": feed, "k": kill}, "visible")


# --- exact solutions


def test_a_homogeneous_field_follows_its_ordinary_equations() -> None:
    """Down to the state of rest (1, 0), from a start where u v^2 matters."""
    chosen = settings(frames=7, frame_step=25.0, inner_step=0.25)
    found = frames(np.full((8, 8), 0.6), np.full((8, 8), 0.4), chosen)

    def rate(time: float, state: np.ndarray) -> list[float]:
        u, v = state
        return [-u * v**2 + F * (1 - u), u * v**2 - (F + K) * v]

    times = 25.0 * np.arange(7)
    exact = solve_ivp(rate, (0, 150), [0.6, 0.4], method="DOP853", t_eval=times, rtol=1e-11, atol=1e-13).y.T
    np.testing.assert_allclose(found.std(axis=(2, 3)), 0, atol=1e-13)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), exact, atol=1e-6)
    assert exact[1, 0] < 0.4 and abs(exact[-1, 0] - 1) < 0.03 and exact[-1, 1] < 1e-4


def stencil_eigenvalue(waves_y: int, waves_x: int, size: int) -> float:
    """What the stencil multiplies a plane wave by: applied to it at one point."""
    phase = 2 * np.pi * (waves_y * np.arange(-1, 2)[:, None] + waves_x * np.arange(-1, 2)) / size
    return float((STENCIL * np.cos(phase)).sum())


@pytest.mark.parametrize("waves", [(0, 1), (1, 0), (2, -3), (8, 0), (8, 8), (5, 7)])
@pytest.mark.parametrize("spacing", [1.0, 0.5])
def test_small_waves_on_the_state_of_rest_decay_each_at_its_rate(waves: tuple[int, int], spacing: float) -> None:
    """u - 1 at the rate -Du s + F, v at -Dv s + F + k, s the eigenvalue of the discrete Laplacian."""
    size, small, time = 16, 1e-6, 5.0
    points = 2 * np.pi * np.arange(size) / size
    wave = np.cos(waves[0] * points[:, None] + waves[1] * points + 0.4)
    chosen = settings(frames=2, frame_step=time, grid_spacing=spacing)
    eigenvalue = stencil_eigenvalue(*waves, size) / spacing**2
    found = frames(1 + small * wave, small * wave, chosen)[-1] - [[[1]], [[0]]]
    rates = np.array([DU * eigenvalue - F, DV * eigenvalue - F - K])
    np.testing.assert_allclose(found / small, np.exp(rates * time)[:, None, None] * wave, atol=2e-5)


def test_long_waves_see_the_continuous_laplacian() -> None:
    """The eigenvalue is -k^2 to second order, along the axes and along the diagonal."""
    for waves in ((1, 0), (1, 1)):
        errors = [
            stencil_eigenvalue(*waves, size) * (size / (2 * np.pi)) ** 2 / (waves[0] ** 2 + waves[1] ** 2) + 1
            for size in (16, 32, 64)
        ]
        np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2, atol=0.05)
        assert abs(errors[-1]) < 3e-3


def test_without_v_any_u_obeys_a_linear_equation() -> None:
    """Also far from rest: u - 1 is then the decaying sum of its waves."""
    u = np.random.default_rng(0).uniform(0, 1, (8, 8))
    found = frames(u, np.zeros((8, 8)), settings(frames=2, frame_step=3.0, inner_step=2.0))[-1]
    waves = np.fft.fft2(u - 1)
    for waves_y in range(8):
        for waves_x in range(8):
            waves[waves_y, waves_x] *= np.exp(3.0 * (DU * stencil_eigenvalue(waves_y, waves_x, 8) - F))
    np.testing.assert_allclose(found[0], 1 + np.fft.ifft2(waves).real, atol=1e-12)
    np.testing.assert_allclose(found[1], 0, atol=1e-15)


# --- accuracy


def test_the_stencil_and_another_integrator_agree() -> None:
    """The equations as written, with the 3 x 3 stencil, from CoDA's start: to 1e-5 after 20 units of time."""
    chosen = settings(frames=2, trajectories=1)
    start = initial_fields("a", chosen, seed=0)[0]

    def rate(time: float, state: np.ndarray) -> np.ndarray:
        u, v = state.reshape(2, 16, 16)
        eaten = u * v**2
        u_rate = DU * convolve(u, STENCIL, mode="wrap") - eaten + F * (1 - u)
        return np.stack([u_rate, DV * convolve(v, STENCIL, mode="wrap") + eaten - (F + K) * v]).ravel()

    other = solve_ivp(rate, (0, 20), start.ravel(), method="DOP853", rtol=1e-8, atol=1e-10).y[:, -1]
    np.testing.assert_allclose(frames(*start, chosen)[-1], other.reshape(2, 16, 16), atol=1e-5)


def test_the_mass_of_u_and_v_is_balanced() -> None:
    """d mean(u) / dt = mean(-u v^2 + F (1 - u)) and d mean(v) / dt = mean(u v^2 - (F + k) v)."""
    chosen = settings(frames=321, frame_step=0.125, inner_step=0.125, trajectories=1)
    u, v = np.moveaxis(frames(*initial_fields("a", chosen, seed=0)[0], chosen), 1, 0)
    eaten = u * v**2
    for field, rate in ((u, F * (1 - u) - eaten), (v, eaten - (F + K) * v)):
        change = field[-1].mean() - field[0].mean()
        assert abs(change) > 0.01
        np.testing.assert_allclose(change, simpson(rate.mean(axis=(1, 2)), dx=0.125), atol=1e-6)


def test_the_order_of_convergence_in_time_is_4() -> None:
    chosen = settings(frames=2, trajectories=1, frame_step=32.0)
    start = initial_fields("a", chosen, seed=0)[0]
    found = [frames(*start, chosen.model_copy(update={"inner_step": step}))[-1] for step in (1.0, 0.5, 0.25, 0.125)]
    changes = [np.abs(coarse - fine).max() for coarse, fine in pairwise(found)]
    np.testing.assert_allclose(np.log2(np.divide(changes[:-1], changes[1:])), 4, atol=0.3)


def test_the_order_of_convergence_in_space_is_2() -> None:
    """Towards the continuous equations, from a smooth start on a square of side 32."""
    found = []
    for size in (16, 32, 64, 128):
        x = 2 * np.pi * np.arange(size) / size
        bump = np.exp(2 * (np.cos(x)[:, None] + np.cos(x + 0.5)) - 4)
        chosen = settings(frames=2, frame_step=16.0, inner_step=1.0, grid_spacing=32 / size)
        found.append(frames(1 - 0.5 * bump, 0.5 * bump, chosen)[-1][:, :: size // 16, :: size // 16])
    changes = [np.abs(coarse - fine).max() for coarse, fine in pairwise(found)]
    np.testing.assert_allclose(np.log2(np.divide(changes[:-1], changes[1:])), 2, atol=0.15)


@pytest.mark.parametrize(("feed", "kill"), [(0.03, 0.058), (0.039, 0.062)])
def test_the_default_steps_are_accurate_enough(feed: float, kill: float) -> None:
    """The accuracy that the module states, in CoDA's environments, and patterns that live on."""
    coarse = GrayScottSettings(trajectories=1, frames=5)
    start = initial_fields("a", coarse, seed=0)[0]
    fine = coarse.model_copy(update={"inner_step": 0.125})
    approximate, reference = (frames(*start, chosen, feed, kill) for chosen in (coarse, fine))
    error = np.sqrt(((approximate - reference) ** 2).sum(axis=(1, 2, 3)) / (reference**2).sum(axis=(1, 2, 3)))
    assert error.max() < 5e-6
    assert approximate[-1, 1].std() > 0.05
    assert approximate.min() > -1e-9 and approximate[:, 0].max() < 1 + 1e-9


def test_the_square_has_no_preferred_place_or_direction() -> None:
    chosen = settings(frames=2)
    start = initial_fields("a", chosen, seed=0)[0]
    found = frames(*start, chosen)[-1]
    for change in (lambda a: np.roll(a, (3, 5), (1, 2)), lambda a: np.rot90(a, axes=(1, 2)), lambda a: a[:, ::-1]):
        np.testing.assert_allclose(frames(*change(start), chosen)[-1], change(found), atol=1e-11)


def test_spin_up_is_what_comes_before_the_first_frame() -> None:
    long = simulate([F], [K], ["a"], settings(frames=4))
    late = simulate([F], [K], ["a"], settings(frames=2, spin_up=40.0))
    np.testing.assert_allclose(late, long[:, :, 2:], atol=1e-6)


# --- random starts


def test_starts_are_codas_blocks() -> None:
    chosen = GrayScottSettings(trajectories=300)
    assert (chosen.diffusion_u, chosen.diffusion_v, chosen.grid_spacing, chosen.frame_step) == (DU, DV, 1, 40)
    fields = initial_fields("a", chosen, seed=0)
    u, v = fields[:, 0], fields[:, 1]
    assert fields.shape == (300, 2, 32, 32)
    assert set(np.unique(u)) == {0.0, 0.95} and set(np.unique(v)) == {0.05, 1.0}
    np.testing.assert_array_equal(u == 0, v == 1)
    covered = (v == 1).sum(axis=(1, 2))
    assert covered.min() >= 9 and covered.max() == 27 and (covered == 27).mean() > 0.9
    ever = (v == 1).any(axis=0)
    for side in (ever, ever.T):
        assert side[0].any() and side[:31].any(axis=1).all() and not side[31].any()


def test_starts_belong_to_seed_environment_and_trajectory() -> None:
    chosen = settings(trajectories=3)
    fields = initial_fields("a", chosen, seed=0)
    np.testing.assert_array_equal(initial_fields("a", settings(trajectories=2), seed=0), fields[:2])
    for others in (initial_fields("b", chosen, 0), initial_fields("a", chosen, 1), fields[[1, 2, 0]]):
        assert (others != fields).any(axis=(1, 2, 3)).all()


def test_starts_stay_the_same_between_versions() -> None:
    """A change here changes every study."""
    start = initial_fields("F_0.030-k_0.059", GrayScottSettings(trajectories=2), seed=0)[1, 1]
    expected = np.full((32, 32), 0.05)
    for y, x in ((0, 2), (6, 15), (7, 8)):
        expected[y : y + 3, x : x + 3] = 1
    np.testing.assert_array_equal(start, expected)


def test_another_environment_in_the_table_changes_no_bit() -> None:
    chosen = settings().model_dump()
    first, second = environment("a"), environment("b", 0.03)
    (alone,) = SYSTEM.trajectories([second], chosen, 0)
    both = list(SYSTEM.trajectories([first, second], chosen, 0))
    assert [each.environment for each in both] == ["a", "b"]
    np.testing.assert_array_equal(both[1].values, alone.values)
    together = simulate([F, 0.03], [K, K], ["a", "b"], settings())
    np.testing.assert_allclose(together, [each.values for each in both], atol=1e-6)


# --- as a system


def test_trajectories_describe_themselves() -> None:
    (made,) = SYSTEM.trajectories([environment("a")], settings(grid_spacing=0.5).model_dump(), 0)
    assert made.channels == SYSTEM.channels == ("u", "v")
    assert made.values.shape == (2, 3, 2, 16, 16)
    assert made.parameters == {"F": F, "k": K}
    np.testing.assert_allclose(made.time, [0, 20, 40])
    np.testing.assert_array_equal(made.x, 0.5 * np.arange(16))
    np.testing.assert_array_equal(made.values[:, 0, 0] == 0, made.values[:, 0, 1] == 1)


@pytest.mark.parametrize(("name", "value"), [("F", 0.0), ("k", -0.05)])
def test_a_parameter_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    wrong = Environment("b", {"F": F, "k": K} | {name: value}, "visible")
    with refused("environment b", f"parameter {name}", f"{value:g}", "gray-scott"):
        SYSTEM.trajectories([environment("a"), wrong], {}, 0)
    with refused("environment b", f"parameter {name}"):
        simulate([F, wrong.parameters["F"]], [K, wrong.parameters["k"]], ["a", "b"])


def test_a_missing_parameter_is_refused() -> None:
    with refused("environment a", "parameter k", "found only F"):
        SYSTEM.trajectories([Environment("a", {"F": 0.03}, "visible")], {}, 0)


def test_a_blow_up_names_environment_and_time() -> None:
    with refused("environment b", "out of bounds", "time 20,", "inner_step"):
        simulate([F, 1e307], [K, K], ["a", "b"], settings())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame_stp": 0.5}, ["frame_stp", "frame_step"]),
        ({"frames": "61"}, ["frames", "'61'"]),
        ({"inner_step": 5.0}, ["inner_step", "5.0"]),
        ({"diffusion_u": -0.1}, ["diffusion_u", "-0.1"]),
        ({"block_size": 32}, ["block_size", "grid_size 32"]),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(changes: dict, words: list[str]) -> None:
    with refused("gray-scott", *words):
        SYSTEM.trajectories([environment("a")], changes, 0)
