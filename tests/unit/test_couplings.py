"""Growth rates and velocities between snapshots, against populations whose rates are known, and how they are asked
for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from refusals import refused
from tiny_flows import anchors, flow_of

from weightcast.core.run import Run
from weightcast.evolution.bridge import UnbalancedPlan
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.couplings import Couplings, Pairs
from weightcast.evolution.density import Density, Laws, StackedDensity
from weightcast.evolution.jobs import CoupleSnapshots
from weightcast.evolution.mass import MassPath
from weightcast.evolution.stages.couple_snapshots import couple_snapshots, joined
from weightcast.evolution.state_space import Counts, Reals
from weightcast.evolution.weight_path import WeightPath
from weightcast.samples.snapshots import Snapshots

ROOT = Path(__file__).parents[2]
RATES = (0.5, -0.2)
"""Of the two populations, by a unit of time."""
TIMES = np.array([0.0, 1.0, 2.0])


def two_populations(seed: int = 0, count: int = 30) -> Snapshots:
    """Normal laws around (9, 0) and (0, 0) that drift to y = 1, of which the first grows and the second dies out."""
    random = np.random.default_rng(seed)
    samples, noise = [], 0.15
    for time in TIMES:
        parts = [
            random.normal((centre, time / 2), noise, (round(count * np.exp(rate * time)), 2))
            for centre, rate in zip((9.0, 0.0), RATES, strict=True)
        ]
        samples.append(np.concatenate(parts))
    masses = np.array([float(len(part)) for part in samples])
    held_out = tuple(part[:2] for part in samples)
    return Snapshots(TIMES, np.ones(3, bool), tuple(samples), held_out, ("x", "y"), None, masses=masses)


@pytest.fixture(scope="module")
def coupled() -> tuple[Snapshots, Couplings]:
    snapshots = two_populations()
    settings = CoupleSnapshots(bridge=BridgeSettings(relaxation=1.0), seed=0)
    return snapshots, couple_snapshots(Run(), settings, snapshots)


def test_growth_at_a_point_is_that_of_the_population_there(coupled: tuple[Snapshots, Couplings]) -> None:
    """Within 0.06 of the true rates, of which rounded numbers of samples are 0.02, and 0.1 of the velocity."""
    _, couplings = coupled
    for time in (0.2, 0.5, 1.0, 1.7):
        points = np.array([[9.0, time / 2], [0.0, time / 2]])
        found = couplings.growth(time, points)
        assert found == pytest.approx(RATES, abs=0.06), time
        np.testing.assert_allclose(couplings.velocity(time, points), [[0, 0.5], [0, 0.5]], atol=0.1)


def test_growth_is_that_of_the_whole_in_its_mean(coupled: tuple[Snapshots, Couplings]) -> None:
    snapshots, couplings = coupled
    rate = float(MassPath(TIMES, snapshots.masses).rate(np.array([0.5]))[0])  # type: ignore[arg-type]
    pairs = couplings.pairs[0]
    points, mass = (pairs.start + pairs.end) / 2, pairs.mass(0.5)
    found = couplings.growth(0.5, points, rate)
    assert float(found @ mass / mass.sum()) == pytest.approx(rate, abs=0.01)
    moved = couplings.growth(0.5, points, rate + 1.0)
    np.testing.assert_allclose(moved - found, 1.0, atol=1e-9)


def test_pairs_have_the_masses_of_the_samples_at_both_ends(coupled: tuple[Snapshots, Couplings]) -> None:
    snapshots, couplings = coupled
    for place, pairs in enumerate(couplings.pairs):
        first, second = snapshots.train[place], snapshots.train[place + 1]
        for samples, ends, mass, each in (
            (first, pairs.start, pairs.leaving, 1 / len(first)),
            (second, pairs.end, pairs.arriving, 1 / len(first)),
        ):
            found = [mass[(ends == sample).all(1)].sum() for sample in samples]
            np.testing.assert_allclose(found, each, rtol=1e-9)


def test_fewer_pairs_weigh_and_move_as_all_do(coupled: tuple[Snapshots, Couplings]) -> None:
    pairs = coupled[1].pairs[0]
    few = pairs.fewer(200)
    assert len(few.leaving) <= 200 < len(pairs.leaving)
    for one, other in ((few.leaving, pairs.leaving), (few.arriving, pairs.arriving)):
        assert one.sum() == pytest.approx(other.sum(), rel=1e-9)
    for ends, of_all in ((few.start, pairs.start), (few.end, pairs.end)):
        mean = few.mass(0.5) @ ends / few.mass(0.5).sum()
        np.testing.assert_allclose(mean, pairs.mass(0.5) @ of_all / pairs.mass(0.5).sum(), atol=0.1)
    assert pairs.fewer(10**6) is pairs


def test_samples_that_the_plan_leaves_alone_are_joined_with_the_nearest() -> None:
    start, end = np.array([[0.0], [100.0]]), np.array([[1.0], [2.0], [50.0]])
    plan = np.array([[0.2, 0.3, 0.0], [0.0, 0.0, 0.0]])
    found = joined(UnbalancedPlan(start, end, np.full(2, 0.5), np.full(3, 0.4), plan))
    # The second of the first snapshot goes to the nearest, 50; that one, given nothing before, has it alone.
    assert {(a, b) for a, b in zip(found.start[:, 0], found.end[:, 0], strict=True)} == {(0, 1), (0, 2), (100, 50)}
    np.testing.assert_allclose(found.arriving, 0.4)
    np.testing.assert_allclose(found.leaving, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(found.growth, np.log([2.0, 4 / 3, 0.8]))


def test_couplings_are_read_as_they_were_written(coupled: tuple[Snapshots, Couplings], tmp_path: Path) -> None:
    couplings = coupled[1]
    couplings.save(tmp_path / "couplings.safetensors")
    again = Couplings.load(tmp_path / "couplings.safetensors")
    points = np.array([[9.0, 0.2], [0.3, 0.1]])
    for time in (0.0, 0.7, 2.0):
        np.testing.assert_array_equal(again.growth(time, points), couplings.growth(time, points))
    bad = Couplings(TIMES[:2], couplings.pairs, {})
    bad.save(tmp_path / "bad.safetensors")
    with refused("bad.safetensors", "times, counts"):
        Couplings.load(tmp_path / "bad.safetensors")
    whole = couplings.pairs[0]
    nothing = Pairs(whole.start, whole.end, whole.leaving, np.zeros(1))
    Couplings(TIMES[:2], (nothing,), {}).save(tmp_path / "nothing.safetensors")
    with refused("nothing.safetensors"):
        Couplings.load(tmp_path / "nothing.safetensors")


def test_fates_are_passed_on_from_snapshot_to_snapshot(coupled: tuple[Snapshots, Couplings]) -> None:
    """Two populations keep apart; one that splits evenly has each fate half of the time, within 0.05, and the nearer
    side's at its edges: motion is the cheapest."""
    couplings = coupled[1]
    for time in (0.0, 1.0, 1.5, 2.0):
        points = np.array([[9.0, time / 2], [0.0, time / 2]])
        found = couplings.fates(time, points, lambda ends: (ends[:, 0] > 4.5).astype(int))
        np.testing.assert_allclose(found, [[0, 1], [1, 0]], atol=1e-6)
    random = np.random.default_rng(3)
    start, sides = random.normal(0, 0.1, (60, 2)), np.repeat([[-5.0, 0.0], [5.0, 0.0]], 30, axis=0)
    samples = (start, sides + random.normal(0, 0.1, (60, 2)), 2 * sides + random.normal(0, 0.1, (60, 2)))
    split = Snapshots(TIMES, np.ones(3, bool), samples, samples, ("x", "y"), None, masses=np.ones(3))
    found = couple_snapshots(Run(), CoupleSnapshots(bridge=BridgeSettings(), seed=0), split)
    fates = found.fates(0.0, start, lambda ends: (ends[:, 0] > 0).astype(int))
    np.testing.assert_allclose(fates.sum(1), 1.0)
    assert fates[:, 1].mean() == pytest.approx(0.5, abs=0.05)
    assert fates[start[:, 0].argmax(), 1] > 0.8 and fates[start[:, 0].argmin(), 0] > 0.8


def test_without_masses_what_moves_is_coupled_and_nothing_grows() -> None:
    """Two populations that drift to y = 1 in two units of time, so far apart that each keeps to its side."""
    random = np.random.default_rng(0)
    sides = np.repeat([[9.0, 0.0], [0.0, 0.0]], 40, 0)
    samples = tuple(sides + np.array([0.0, time / 2]) + random.normal(0, 0.15, (80, 2)) for time in TIMES)
    plain = Snapshots(TIMES, np.ones(3, bool), samples, samples, ("x", "y"), None)
    found = couple_snapshots(Run(), CoupleSnapshots(bridge=BridgeSettings(), seed=0), plain)
    points = np.array([[9.0, 0.25], [0.0, 0.25]])
    np.testing.assert_allclose(found.velocity(0.5, points), [[0.0, 0.5]] * 2, atol=0.1)
    np.testing.assert_allclose(found.growth(0.5, points), 0.0, atol=1e-12)
    fates = found.fates(0.0, points, lambda ends: (ends[:, 0] > 4).astype(int))
    np.testing.assert_allclose(fates, [[0.0, 1.0], [1.0, 0.0]], atol=0.01)
    for pairs in found.pairs:
        assert pairs.leaving.sum() == pytest.approx(1.0) and np.array_equal(pairs.leaving, pairs.arriving)


def test_growth_of_a_study_without_masses_is_refused_and_its_velocity_is_not(
    coupled: tuple[Snapshots, Couplings],
) -> None:
    times = anchors().times
    found = path()
    found.couplings = Couplings(times, coupled[1].pairs[:1] * (len(times) - 1), {})
    with refused("growth: found a study without masses", "data.mass"):
        found.growth(times[0], np.zeros((1, 2)))
    assert found.velocity(times[0], np.zeros((3, 2))).shape == (3, 2)


def test_couplings_are_made_where_masses_are_told_or_they_are_asked_for() -> None:
    config = yaml.safe_load((ROOT / "config/gene-network.yaml").read_text(encoding="utf-8"))
    without = config | {"data": config["data"] | {"mass": None}}
    without["anchors"] = config["anchors"] | {"bridge": config["anchors"]["bridge"] | {"growth": False}}
    told, plain, asked = (parse_time_study(one) for one in (config, without, without | {"couplings": True}))
    assert told.coupled and asked.coupled and not plain.coupled
    assert "couplings" not in plain.model_dump() and asked.model_dump()["couplings"]


# --- a path of weights ---


def path(**metadata: Any) -> WeightPath:
    of = anchors()
    described = {"times": of.times.tolist(), "dimensions": ["a", "b"], "arm": "ode"}
    return WeightPath(flow_of(of), of.density, described | metadata)


def test_a_path_of_weights_has_the_mass_that_its_flow_was_trained_with() -> None:
    times = anchors().times
    found = path(mass=MassPath(times, np.exp(0.2 * times)).describe())
    assert found.mass(times[0]) == pytest.approx(1)
    assert found.mass(times[-1]) == pytest.approx(np.exp(0.2 * (times[-1] - times[0])))
    assert found.mass(times[-1] + 1, extrapolate=True) > found.mass(times[-1])
    with refused("time", "extrapolate"):
        found.mass(times[-1] + 1)
    with refused("mass", "data.mass"):
        path().mass(times[0])


def test_growth_and_velocity_need_couplings_and_points_of_the_state(coupled: tuple[Snapshots, Couplings]) -> None:
    times = anchors().times
    found = path(mass=MassPath(times, np.exp(0.2 * times)).describe())
    with refused("couplings", "data.mass"):
        found.growth(times[0], torch.zeros(2))
    moved = Couplings(TIMES + times[0], coupled[1].pairs, {})
    found.couplings = moved
    assert found.growth(times[0] + 0.5, torch.zeros(3, 4, 2)).shape == (3, 4)
    assert found.velocity(times[0] + 0.5, torch.zeros(3, 4, 2)).shape == (3, 4, 2)
    with refused("x", "[3]", "[..., 2]"):
        found.growth(times[0], torch.zeros(3))
    with refused("time", "found nan"):
        found.growth(float("nan"), torch.zeros(2))


def test_the_score_is_the_gradient_of_the_log_density() -> None:
    density = StackedDensity.new(DensitySettings(hidden=4, components=3), Reals((1.0, -2.0), (0.5, 3.0), 3), seed=0)
    one = Density(Laws.of(density, density.initial_weights(1)[None]), 0.0)
    points = torch.tensor([[0.8, -1.0], [1.4, -6.0], [1.0, 2.0]], dtype=torch.float64)
    found = one.score(points)
    step = 1e-3
    for dimension in range(2):
        shift = step * torch.eye(2, dtype=torch.float64)[dimension]
        slope = (one.log_prob(points + shift) - one.log_prob(points - shift)) / (2 * step)
        torch.testing.assert_close(found[:, dimension], slope.double(), rtol=0.02, atol=0.02)
    counts = StackedDensity.new(DensitySettings(hidden=3), Counts(4, 2), seed=0)
    with refused("score", "counts"):
        Density(Laws.of(counts, counts.initial_weights(1)[None]), 0.0).score(torch.zeros(1, 2))


def test_even_draws_have_every_part_of_a_law_as_often_as_it_should_be() -> None:
    """Shares of the first count, of 512 draws: within 2 of what they should be, where random ones are 10 off."""
    density = StackedDensity.new(DensitySettings(hidden=3), Counts(4, 1), seed=0)
    weights = torch.stack([density.initial_weights(seed) for seed in range(6)])
    every = torch.arange(4, dtype=torch.float64)[:, None].expand(6, 4, 1)
    probability = density.log_prob(weights, every).exp()
    off = {}
    for even in (True, False):
        drawn = density.sample(weights, 512, 3, even=even)
        counted = torch.stack([(drawn[..., 0] == value).sum(1) for value in range(4)], dim=1)
        off[even] = float((counted - 512 * probability).abs().max())
    assert off[True] < 3 < off[False]
    again = density.sample(weights, 512, 3, even=True)
    assert torch.equal(again, density.sample(weights, 512, 3, even=True))
    assert not torch.equal(again, density.sample(weights, 512, 4, even=True))
    alone = density.sample(weights[2:3], 512, 3, keys=[2], even=True)
    assert torch.equal(alone[0], again[2])


# --- evolve ---


def test_evolve_writes_masses_and_growth_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coupled: tuple[Snapshots, Couplings], capsys: Any
) -> None:
    import pandas as pd
    import xarray as xr
    import yaml
    from command_line import run
    from tiny_time_study import CONFIG

    results = tmp_path / "results"
    results.mkdir()
    (results / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    times = anchors().times
    found = path(mass=MassPath(times, np.exp(0.2 * times)).describe(), seed=0, digest="d")
    found.couplings = Couplings(np.array([times[0], times[1], times[-1]]), coupled[1].pairs, {})
    monkeypatch.setattr(WeightPath, "load", lambda *arguments, **named: found)
    wanted = ("evolve", results, "--times", f"{times[0]},{times[-1]},{times[-1] + 1}", "-n", "5", "--extrapolate")
    shown, _ = run(capsys, *wanted, "-o", tmp_path / "out.nc")
    assert "with masses from 1 to" in shown and "growth rates at the samples" in shown
    with xr.open_dataset(tmp_path / "out.nc") as written:
        masses = written["mass"].to_numpy()
        np.testing.assert_allclose(masses[:2], np.exp(0.2 * (times[[0, -1]] - times[0])))
        growth = written["growth"].to_numpy()
        assert growth.shape == (3, 5) and np.isfinite(growth[:2]).all() and np.isnan(growth[2]).all()
    run(capsys, *wanted, "-o", tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    np.testing.assert_allclose(table.groupby("time")["mass"].sum(), masses, rtol=1e-6)
    assert table["growth"].isna().sum() == 5
    run(capsys, *wanted, "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_allclose(arrays["mass"], masses)
        assert arrays["growth"].shape == (3, 5)


# --- the report ---


def test_the_report_draws_mass_and_growth_of_a_study_that_has_them(coupled: tuple[Snapshots, Couplings]) -> None:
    from weightcast.evolution.report.figures import draw_growth_map, draw_mass

    snapshots, couplings = coupled
    study = SimpleNamespace(evaluation=SimpleNamespace(leave_out=[1]))
    results: Any = SimpleNamespace(snapshots=snapshots, couplings=couplings, study=study, time_label="time, days")
    for drawn, name in ((draw_mass(results), "mass"), (draw_growth_map(results), "growth_map")):
        assert drawn is not None and drawn.name == name and len(drawn.alt) > 30 and drawn.image.content
    plain = Snapshots(
        snapshots.times, snapshots.observed, snapshots.train, snapshots.held_out, snapshots.dimensions, None
    )
    nothing: Any = SimpleNamespace(snapshots=plain, couplings=None, study=study, time_label="time")
    assert draw_mass(nothing) is None and draw_growth_map(nothing) is None
