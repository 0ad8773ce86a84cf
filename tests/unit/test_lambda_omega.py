from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.core.job import Job
from weightcast.environments.jobs import Simulate
from weightcast.systems import load_system
from weightcast.systems.lambda_omega import LambdaOmegaSettings, initial_fields, simulate, solve
from weightcast.trajectories import read_trajectories

ROOT = Path(__file__).parents[2]


def settings(**changes) -> LambdaOmegaSettings:
    return LambdaOmegaSettings(**({"trajectories": 2, "frames": 5, "grid_size": 16, "initial_modes": 3} | changes))


def last_frame(start, beta, diffusion, chosen: LambdaOmegaSettings) -> np.ndarray:
    *_, last = solve(start, beta, diffusion, chosen)
    return last


def environment(id: str, beta: float = 1.0, diffusion: float = 0.4) -> Environment:
    return Environment(id, {"beta": beta, "D": diffusion}, "visible")


# --- exact solutions


def test_the_limit_cycle_has_amplitude_1_and_angular_frequency_beta() -> None:
    beta = np.array([0.6, 1.4])
    """Over 10 time units, in which the phase drifts by 2e-4 with the default inner step."""
    chosen = settings(frames=21)
    start = np.full((2, 1, 16, 16), np.exp(0.3j))
    for frame, field in enumerate(solve(start, beta, [0.2, 0.8], chosen)):
        exact = np.exp(1j * (0.3 - beta * frame * chosen.frame_step))
        np.testing.assert_allclose(field, np.broadcast_to(exact[:, None, None, None], field.shape), atol=3e-4)
        np.testing.assert_allclose(np.abs(field), 1, atol=1e-4)


@pytest.mark.parametrize("amplitude", [0.3, 1.7])
def test_the_limit_cycle_attracts(amplitude: float) -> None:
    """Without waves the amplitude follows a logistic equation: A2(t) = 1 / (1 + (1 / A2(0) - 1) e^(-2 t))."""
    start = np.full((1, 1, 8, 8), amplitude + 0j)
    chosen = settings(frames=9, inner_step=0.02)
    for frame, field in enumerate(solve(start, [1.0], [0.2], chosen)):
        exact = 1 / (1 + (1 / amplitude**2 - 1) * np.exp(-2 * frame * chosen.frame_step))
        np.testing.assert_allclose(np.abs(field) ** 2, exact, rtol=1e-5)


def plane_wave(beta: float, diffusion: float, time: float, size: int = 16, length: float = 16.0) -> np.ndarray:
    """w = R exp(i (k.x - omega t)), R^2 = 1 - D k^2, omega = beta R^2: see the module's docstring. [1, 1, y, x]"""
    waves_y, waves_x = 1, -2
    x = np.arange(size) / size
    k_squared = (2 * np.pi / length) ** 2 * (waves_y**2 + waves_x**2)
    radius_squared = 1 - diffusion * k_squared
    phase = 2 * np.pi * (waves_y * x[:, None] + waves_x * x) - beta * radius_squared * time
    return np.sqrt(radius_squared) * np.exp(1j * phase)[None, None]


@pytest.mark.parametrize(("beta", "diffusion"), [(0.6, 0.2), (1.4, 0.2), (1.0, 0.8)])
def test_plane_waves_travel_as_they_should(beta: float, diffusion: float) -> None:
    chosen = settings(frames=11)
    start = plane_wave(beta, diffusion, 0.0)
    field = last_frame(start, [beta], [diffusion], chosen)
    np.testing.assert_allclose(field, plane_wave(beta, diffusion, 5.0), atol=2e-4)


def test_the_order_of_convergence_is_4() -> None:
    beta, diffusion = 1.4, 0.5
    start = plane_wave(beta, diffusion, 0.0)
    errors = []
    for inner_step in (0.1, 0.05, 0.025):
        field = last_frame(start, [beta], [diffusion], settings(frames=11, inner_step=inner_step))
        errors.append(np.abs(field - plane_wave(beta, diffusion, 5.0)).max())
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 4, atol=0.2)


# --- symmetries and accuracy


def test_translated_starts_give_translated_solutions() -> None:
    chosen = settings(frames=21)
    start = initial_fields("a", chosen, seed=0)[None]
    shifted = np.roll(start, (3, 5), axis=(2, 3))
    field = last_frame(start, [1.0], [0.4], chosen)
    np.testing.assert_allclose(
        last_frame(shifted, [1.0], [0.4], chosen), np.roll(field, (3, 5), axis=(2, 3)), atol=1e-11
    )


def test_the_default_steps_are_accurate_enough() -> None:
    """The accuracy that the module states, where it is worst: fast rotation."""
    coarse = settings(frames=61, grid_size=32, initial_modes=4)
    fine = settings(frames=61, grid_size=32, initial_modes=4, inner_step=coarse.inner_step / 8)
    approximate, reference = (simulate([1.4], [0.8], ["a"], chosen)[0] for chosen in (coarse, fine))
    error = np.sqrt(((approximate - reference) ** 2).sum(axis=(2, 3, 4)) / (reference**2).sum(axis=(2, 3, 4)))
    assert error.max() < 1.2e-3


def test_a_finer_grid_solves_the_same_problem() -> None:
    coarse, fine = (simulate([1.0], [0.6], ["a"], settings(grid_size=32, oversampling=n)) for n in (1, 2))
    np.testing.assert_allclose(coarse, fine, atol=1e-4)


def test_spin_up_is_what_comes_before_the_first_frame() -> None:
    long = simulate([1.0], [0.4], ["a"], settings(frames=6))
    late = simulate([1.0], [0.4], ["a"], settings(frames=4, spin_up=1.0))
    np.testing.assert_allclose(late, long[:, :, 2:], atol=1e-6)


# --- random starts


def test_starts_are_smooth_fields_of_mean_zero() -> None:
    chosen = LambdaOmegaSettings(trajectories=200)
    fields = initial_fields("a", chosen, seed=0)
    assert fields.shape == (200, 32, 32)
    np.testing.assert_allclose(fields.mean(axis=(1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose([fields.real.std(), fields.imag.std()], chosen.initial_amplitude, rtol=0.05)
    assert abs((fields.real * fields.imag).mean()) < 0.01
    spectra = np.abs(np.fft.fft2(fields))
    assert spectra[:, 5:-4].max() < 1e-12 and spectra[:, :, 5:-4].max() < 1e-12


def test_starts_belong_to_seed_environment_and_trajectory() -> None:
    chosen = settings(trajectories=3)
    fields = initial_fields("a", chosen, seed=0)
    np.testing.assert_array_equal(initial_fields("a", settings(trajectories=2), seed=0), fields[:2])
    finer = initial_fields("a", settings(trajectories=3, grid_size=32), seed=0)
    np.testing.assert_allclose(finer[:, ::2, ::2], fields, atol=1e-13)
    for others in (initial_fields("b", chosen, seed=0), initial_fields("a", chosen, seed=1), fields[[1, 2, 0]]):
        assert np.abs(others - fields).max(axis=(1, 2)).min() > 0.1


def test_starts_stay_the_same_between_versions() -> None:
    """A change here changes every study."""
    start = initial_fields("beta_0.60-D_0.20", LambdaOmegaSettings(trajectories=2), seed=0)
    np.testing.assert_allclose(start[1, 3, 5], -0.5024550996482351 - 0.03221054062714407j, rtol=1e-10)


def test_environments_and_trajectories_do_not_depend_on_their_batch() -> None:
    chosen = settings(trajectories=3)
    together = simulate([0.7, 1.3], [0.2, 0.6], ["a", "b"], chosen)
    alone = simulate([1.3], [0.6], ["b"], settings(trajectories=2))
    assert together.shape == (2, 3, 5, 2, 16, 16)
    np.testing.assert_allclose(together[1, :2], alone[0], atol=1e-6)


def test_another_environment_in_the_table_changes_no_bit() -> None:
    system = load_system("lambda-omega")
    chosen = settings().model_dump()
    first, second = environment("a"), environment("b", 1.2)
    alone = list(system.trajectories([second], chosen, 0))
    both = list(system.trajectories([first, second], chosen, 0))
    assert [each.environment for each in both] == ["a", "b"]
    np.testing.assert_array_equal(both[1].values, alone[0].values)


# --- as a system


def test_trajectories_describe_themselves() -> None:
    (made,) = load_system("lambda-omega").trajectories([environment("a")], settings().model_dump(), 0)
    assert made.channels == ("u", "v")
    assert made.values.shape == (2, 5, 2, 16, 16)
    assert made.parameters == {"beta": 1.0, "D": 0.4}
    np.testing.assert_allclose(made.time, [0, 0.5, 1, 1.5, 2])
    np.testing.assert_array_equal(made.x, np.arange(16.0))


def test_a_blow_up_names_environment_and_time() -> None:
    with refused("environment b", "time 0.5", "inner_step"):
        simulate([1.0, 1.0], [0.4, -50.0], ["a", "b"], settings())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame_stp": 0.5}, ["frame_stp", "frame_step"]),
        ({"frames": "61"}, ["frames", "'61'"]),
        ({"frames": 0}, ["frames", "0"]),
        ({"inner_step": float("nan")}, ["inner_step", "nan"]),
        ({"grid_size": 8}, ["initial_modes", "grid_size"]),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(changes: dict, words: list[str]) -> None:
    with refused("lambda-omega", *words):
        load_system("lambda-omega").trajectories([environment("a")], changes, 0)


def test_a_missing_parameter_is_refused() -> None:
    with refused("environment a", "parameter D", "found only beta"):
        load_system("lambda-omega").trajectories([Environment("a", {"beta": 1.0}, "visible")], {}, 0)


def test_an_unknown_system_is_refused() -> None:
    with refused("'lambda'", "lambda-omega", "era5-sample"):
        load_system("lambda")


def test_simulate_stage(tmp_path: Path) -> None:
    wanted, output = environment("b", 1.2), tmp_path / "out" / "shard.csv"

    def run(chosen: dict[str, object]) -> subprocess.CompletedProcess[str]:
        told = Simulate(environments=(wanted,), source="lambda-omega", settings=chosen, seed=3)
        job = Job("simulate", outputs={"output": str(output)}, settings=told.model_dump(mode="json"))
        command = [sys.executable, str(ROOT / "scripts" / "run_stage.py"), job.to_json()]
        return subprocess.run(command, capture_output=True, text=True)

    chosen = settings().model_dump()
    done = run(chosen)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("job: {")
    assert sorted(path.name for path in output.parent.iterdir()) == [".made", "b.nc", "shard.csv"]
    (expected,) = load_system("lambda-omega").trajectories([wanted], chosen, 3)
    np.testing.assert_array_equal(read_trajectories(output.with_name("b.nc")).values, expected.values)

    refusal = run({"frame_stp": 1.0})
    assert refusal.returncode == 1
    job, error = refusal.stderr.splitlines()
    assert job.startswith("job: {")
    assert error.startswith("weightcast: error: settings of lambda-omega: found unknown key 'frame_stp'")
