from __future__ import annotations

import numpy as np
import pytest
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.systems.cylinder import SYSTEM, CylinderSettings, initial_fields, simulate, solve
from weightcast.systems.cylinder_flow import CylinderFlow


def settings(**changes) -> CylinderSettings:
    """A small channel with a cylinder of radius 6 to 14, 16 x 24 cells of size 2."""
    small = {"trajectories": 2, "frames": 3, "length": 64.0, "height": 48.0, "centre": 20.0, "spin_up": 16.0}
    return CylinderSettings(**(small | {"oversampling": 1, "spacing": 2.0} | changes))


def environment(id: str, reynolds: float = 150.0, radius: float = 8.0) -> Environment:
    return Environment(id, {"reynolds": reynolds, "radius": radius}, "visible")


# --- against what is known of the flow; benchmarks/cylinder_validation.py does so at higher resolution


def test_drag_in_a_channel_is_that_of_the_benchmark() -> None:
    """Schaefer and Turek's 2D-1 (Re = 20, steady): drag 5.58, lift 0.0106. With 10 cells per diameter, within 3 %."""
    cells, height = 10, 4.1
    y = (np.arange(41) + 0.5) / 41
    profile = 6 * y * (1 - y)
    flow = CylinderFlow(20, 0.5, (height, 22.0), (2.0, 2.0), "no-slip", cells, cells / 0.055, inlet=profile)
    flow.start(np.stack([np.broadcast_to(profile[:, None], (41, 220)), np.zeros((41, 220))])[:, None])
    flow.advance(round(20 * cells / 0.055))
    drag, lift = flow.force_coefficients()[0]
    assert drag == pytest.approx(5.58, rel=0.03)
    assert lift == pytest.approx(0.0106, abs=0.005)


def test_vortices_are_shed_at_the_known_frequency() -> None:
    """St = 0.167 at Re = 100 (Williamson and Brown 1998). With 8 cells per diameter and blockage 0.08, within 5 %."""
    cells, height, length, samples, speed = 8, 12, 16, 20, 0.1
    flow = CylinderFlow(100, 0.5, (height, length), (6.0, 5.0), "free-slip", cells, cells / speed)
    y, x = ((np.arange(size * cells) + 0.5) / cells for size in (height, length))
    start = np.zeros((2, 1, len(y), len(x)))
    start[0], start[1] = 1, np.exp(-((y[:, None] - 6) ** 2) - (x - 6.5) ** 2) / 2
    flow.start(start)
    forces = []
    for _ in range(80 * samples):
        flow.advance(round(cells / speed / samples))
        forces.append(flow.force_coefficients()[0])
    drag, lift = np.array(forces[40 * samples :]).T
    rises = np.nonzero((lift[:-1] < 0) & (lift[1:] >= 0))[0]
    assert len(rises) >= 6
    assert samples / np.diff(rises).mean() == pytest.approx(0.1666, rel=0.05)
    assert lift.max() == pytest.approx(0.33, rel=0.15)
    assert drag.mean() == pytest.approx(1.34, rel=0.25)  # blockage and the near inlet add a fifth


def test_the_solver_converges_with_its_grid() -> None:
    """Towards three times the cells, each with a velocity inversely proportional to them (for compressibility)."""

    def last(oversampling: int) -> np.ndarray:
        chosen = settings(
            trajectories=1, frames=2, spin_up=32.0, sides="free-slip", oversampling=oversampling,
            lattice_speed=0.12 / oversampling, initial_modes=2,
        )  # fmt: skip
        return simulate([60.0], [10.0], ["a"], chosen)[0, 0, -1]

    fine = last(4)
    errors = [np.sqrt(((last(each) - fine) ** 2).mean() / fine.var()) for each in (1, 2)]
    assert errors[1] < 0.05
    assert errors[0] / errors[1] > 2.5


# --- symmetries


@pytest.mark.parametrize("sides", ["periodic", "free-slip", "no-slip"])
def test_mirrored_starts_give_mirrored_wakes(sides: str) -> None:
    chosen = settings(sides=sides)
    start = initial_fields("a", chosen, seed=0)
    mirrored = start[:, :, ::-1] * np.array([1, -1]).reshape(2, 1, 1, 1)
    (*_, one), (*_, other) = solve(start, 150.0, 8.0, chosen), solve(mirrored, 150.0, 8.0, chosen)
    np.testing.assert_allclose(other[0], one[0, :, ::-1], atol=1e-10)
    np.testing.assert_allclose(other[1], -one[1, :, ::-1], atol=1e-10)


def test_sides_differ() -> None:
    fields = [simulate([150.0], [8.0], ["a"], settings(sides=sides)) for sides in ("periodic", "free-slip", "no-slip")]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(fields[one] - fields[other]).max() > 0.05
    assert np.abs(fields[1][..., 1, 0, :]).max() < 0.2  # v next to a side through which nothing flows
    assert fields[2][..., 0, 0, :].mean() < 0.8  # u next to one that holds the flow back


def test_what_flows_in_flows_on() -> None:
    """The mean of u over a column is 1 in every column once the sound of the start is gone; div u = 0."""
    made = simulate([150.0], [8.0], ["a"], settings(spin_up=160.0, frames=1, lattice_speed=0.05))
    np.testing.assert_allclose(made[0, :, 0, 0].mean(axis=1), 1, atol=0.02)


# --- units and frames


def test_frames_are_averages_over_cells_and_0_in_the_cylinder() -> None:
    chosen = settings(trajectories=1, oversampling=2)
    start = initial_fields("a", chosen, seed=0)
    made = simulate([150.0], [8.0], ["a"], chosen)[0, 0]
    y, x = 2 * (np.arange(24) + 0.5), 2 * (np.arange(32) + 0.5)
    solid = (y[:, None] - 24) ** 2 + (x - 20) ** 2 < 64
    for frame, field in enumerate(solve(start, 150.0, 8.0, chosen)):
        cells = field[:, 0].reshape(2, 24, 2, 32, 2).mean(axis=(2, 4))
        np.testing.assert_allclose(made[frame][:, ~solid], cells[:, ~solid], atol=1e-6)
    assert (made[:, :, solid] == 0).all()
    assert (made[:, 0, ~solid] != 0).all()
    assert 0.8 < made[:, 0, :, 0].mean() < 1.2  # u at the inlet, in units of itself


def test_spin_up_is_what_comes_before_the_first_frame() -> None:
    long, late = settings(spin_up=0.0, frames=5), settings(spin_up=16.0, frames=3)
    np.testing.assert_allclose(
        simulate([150.0], [8.0], ["a"], late), simulate([150.0], [8.0], ["a"], long)[:, :, 2:], atol=1e-6
    )


def test_the_same_time_passes_in_every_environment() -> None:
    """An eddy far from the cylinder is carried on by frame_step, whatever the cylinder asks of the lattice's speed."""
    chosen = settings(trajectories=1, frames=2, spin_up=0.0, sides="free-slip", height=96.0, length=160.0)
    y, x = 2 * (np.arange(48) + 0.5), 2 * (np.arange(80) + 0.5)
    bump = 0.05 * np.exp(-((y[:, None] - 48) ** 2 + (x - 110) ** 2) / 128)
    for radius in (6.0, 12.0):
        still = np.stack([np.ones((48, 80)), np.zeros((48, 80))])[:, None]
        moved = still + np.stack([-(y[:, None] - 48) * bump, (x - 110) * bump])[:, None]
        (*_, without), (*_, carried) = (solve(start, 1000.0, radius, chosen) for start in (still, moved))
        speed = ((carried - without) ** 2).sum(axis=(0, 1))[:, 40:]
        assert (speed * x[40:]).sum() / speed.sum() == pytest.approx(118, abs=1.5)


# --- random starts


def test_starts_are_a_stream_with_eddies_that_rest_at_the_edges() -> None:
    chosen = settings(trajectories=200)
    fields = initial_fields("a", chosen, seed=0)
    assert fields.shape == (2, 200, 24, 32)
    eddies = fields - np.array([1, 0]).reshape(2, 1, 1, 1)
    assert np.sqrt((eddies**2).mean()) == pytest.approx(chosen.initial_amplitude, rel=0.05)
    np.testing.assert_allclose(eddies.mean(axis=(2, 3)), 0, atol=1e-12)
    edge = np.concatenate([eddies[:, :, 0], eddies[:, :, -1]], axis=-1)
    assert np.sqrt((edge**2).mean()) < 0.5 * chosen.initial_amplitude


def test_starts_have_no_divergence() -> None:
    fields = initial_fields("a", settings(trajectories=1, spacing=0.5, initial_modes=2), seed=0)[:, 0]
    stretch_x, stretch_y = np.gradient(fields[0], 0.5, axis=1), np.gradient(fields[1], 0.5, axis=0)
    assert np.abs(stretch_x + stretch_y)[1:-1, 1:-1].max() < 0.01 * np.abs(stretch_x).max()


def test_starts_belong_to_seed_environment_and_trajectory() -> None:
    fields = initial_fields("a", settings(trajectories=3), seed=0)
    np.testing.assert_array_equal(initial_fields("a", settings(trajectories=2), seed=0), fields[:, :2])
    for others in (
        initial_fields("b", settings(trajectories=3), seed=0),
        initial_fields("a", settings(trajectories=3), seed=1),
        fields[:, [1, 2, 0]],
    ):
        assert np.abs(others - fields).max(axis=(0, 2, 3)).min() > 0.1
    finer = initial_fields("a", settings(trajectories=3, oversampling=3), seed=0)
    np.testing.assert_allclose(finer[..., 1::3, 1::3], fields, atol=1e-12)


def test_starts_stay_the_same_between_versions() -> None:
    """A change here changes every study."""
    start = initial_fields("reynolds_200-radius_10", CylinderSettings(trajectories=2), seed=0)
    np.testing.assert_allclose(start[:, 1, 13, 50], [0.7082263357559321, 0.054632117474290136], rtol=1e-10)


def test_environments_and_trajectories_do_not_depend_on_their_batch() -> None:
    chosen = settings(trajectories=3)
    together = simulate([150.0, 80.0], [8.0, 11.0], ["a", "b"], chosen)
    alone = simulate([80.0], [11.0], ["b"], settings(trajectories=2))
    assert together.shape == (2, 3, 3, 2, 24, 32)
    np.testing.assert_allclose(together[1, :2], alone[0], atol=1e-6)


def test_another_environment_in_the_table_changes_no_bit() -> None:
    chosen = settings().model_dump()
    first, second = environment("a"), environment("b", 80.0, 11.0)
    alone = list(SYSTEM.trajectories([second], chosen, 0))
    both = list(SYSTEM.trajectories([first, second], chosen, 0))
    assert [each.environment for each in both] == ["a", "b"]
    np.testing.assert_array_equal(both[1].values, alone[0].values)


# --- as a system


def test_trajectories_describe_themselves() -> None:
    (made,) = SYSTEM.trajectories([environment("a")], settings().model_dump(), 0)
    assert made.channels == ("u", "v")
    assert made.values.shape == (2, 3, 2, 24, 32)
    assert made.parameters == {"reynolds": 150.0, "radius": 8.0}
    np.testing.assert_allclose(made.time, [0, 8, 16])
    np.testing.assert_allclose([made.y[[0, -1]], made.x[[0, -1]]], [[1, 47], [1, 63]])


def test_the_environment_matters() -> None:
    base, viscous, thick = simulate([200.0, 60.0, 200.0], [8.0, 8.0, 10.0], ["a", "a", "a"], settings(spin_up=0.0))
    assert np.abs(base[:, -1] - viscous[:, -1]).max() > 0.05
    assert np.abs(base[:, -1] - thick[:, -1]).max() > 0.5


def test_a_blow_up_names_environment_and_time() -> None:
    with refused("environment b", "at time", "lattice_speed", "oversampling"):
        simulate([150.0, 1e9], [8.0, 8.0], ["a", "b"], settings(frames=40, lattice_speed=0.2))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame_stp": 0.5}, ["frame_stp", "frame_step"]),
        ({"frames": "61"}, ["frames", "'61'"]),
        ({"spacing": 5.0}, ["length 128", "spacing 5"]),
        ({"centre": 128.0}, ["centre 128", "length 128"]),
        ({"lattice_speed": 0.5}, ["lattice_speed", "0.5"]),
        ({"sides": "slip"}, ["sides", "'slip'", "free-slip"]),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(changes: dict, words: list[str]) -> None:
    with refused("cylinder", *words):
        SYSTEM.trajectories([environment("a")], changes, 0)


@pytest.mark.parametrize(
    ("reynolds", "radius", "words"),
    [
        (0.0, 8.0, ["reynolds", "found 0", "above 0"]),
        (-100.0, 8.0, ["reynolds", "found -100"]),
        (float("nan"), 8.0, ["reynolds", "nan"]),
        (200.0, 1.0, ["radius", "found 1", "expected 3 to 29"]),
        (200.0, 31.0, ["radius", "found 31", "height 64"]),
        (200.0, float("nan"), ["radius", "nan"]),
    ],
)
def test_parameters_that_make_no_sense_are_refused(reynolds: float, radius: float, words: list[str]) -> None:
    with refused("environment a", *words):
        SYSTEM.trajectories([environment("a", reynolds, radius)], {}, 0)


def test_a_missing_parameter_is_refused() -> None:
    with refused("environment a", "parameter radius", "found only reynolds"):
        SYSTEM.trajectories([Environment("a", {"reynolds": 100.0}, "visible")], {}, 0)
