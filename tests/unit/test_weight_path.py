"""The path of weights of a finished study, as a user asks it for a density."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from refusals import refused
from tiny_study import ROOT

from weightcast.core.run import Run
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.flow import FlowSettings
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow_artifact import FlowArtifact
from weightcast.evolution.interpolation import interpolate_weights
from weightcast.evolution.stages.train_flow import new_flow
from weightcast.evolution.state_space import Counts, Reals
from weightcast.evolution.weight_path import WeightPath

TIMES = np.array([2.0, 3.0, 5.0, 8.0])
DENSITY = StackedDensity.new(DensitySettings(hidden=3), Counts(4, 2), seed=0)


def config() -> dict[str, Any]:
    plain: dict[str, Any] = yaml.safe_load((ROOT / "config" / "epidemic.yaml").read_text(encoding="utf-8"))
    plain["flow"] |= {"seeds": [4, 7], "width": 8, "heads": 2, "layers": 1}
    plain["flow"]["arms"] = {
        name: {"dynamics": dynamics, "anchors": "joint"} for name, dynamics in (("main", "cde"), ("other", "ode"))
    }
    return plain


def anchors(seed: int) -> Anchors:
    weights = torch.stack([DENSITY.initial_weights(10 * seed + place) for place in range(len(TIMES))])
    return Anchors(TIMES, weights, DENSITY, {})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder after a run, its flows untrained: splines through anchors that differ between seeds."""
    folder = tmp_path_factory.mktemp("results") / "tiny"
    flow: FlowSettings = parse_time_study(config()).flow
    (folder / "flow" / "all").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config()), encoding="utf-8")
    for name, arm in flow.arms.items():
        for seed in flow.seeds:
            made = new_flow(Run(), anchors(seed), arm, flow.of_arm(name), seed)
            metadata = {"arm": name, "seed": seed, "times": TIMES.tolist(), "dimensions": ["a", "b"]}
            artifact = FlowArtifact(made, DENSITY, arm, flow.of_arm(name), metadata)
            artifact.save(folder / "flow" / "all" / f"{name}-{seed}.safetensors")
    return folder


@pytest.fixture
def path(study: Path) -> WeightPath:
    return WeightPath.load(study)


def test_a_study_gives_its_first_arm_and_seed_unless_another_is_asked(study):
    chosen = [WeightPath.load(study), WeightPath.load(study, seed=7), WeightPath.load(str(study), "other", 4)]
    assert [(path.metadata["arm"], path.metadata["seed"]) for path in chosen] == [
        ("main", 4),
        ("main", 7),
        ("other", 4),
    ]
    alone = WeightPath.load(study / "flow" / "all" / "other-7.safetensors")
    assert (alone.metadata["arm"], alone.metadata["seed"]) == ("other", 7)


def test_a_path_knows_its_times_and_dimensions(path):
    assert (path.first, path.last) == (2.0, 8.0)
    assert path.dimensions == ["a", "b"]


@pytest.mark.filterwarnings("error")
def test_weights_are_asked_in_the_datas_own_time(path):
    wanted = np.array([2.0, 2.4, 3.0, 5.0, 6.5, 8.0])
    expected = interpolate_weights(TIMES, anchors(4).weights, wanted, "cubic")
    torch.testing.assert_close(path.weights(wanted), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(path.weights([8.0, 2.4]), expected[[5, 1]], atol=1e-4, rtol=0)


def test_points_are_carried_along_between_times():
    density = StackedDensity.new(DensitySettings(hidden=3), Reals((0.0, 1.0), (1.0, 2.0), 2), seed=0)
    made = Anchors(TIMES, torch.stack([density.initial_weights(place) for place in range(len(TIMES))]), density, {})
    settings = parse_time_study(config()).flow
    flow = new_flow(Run(), made, settings.arms["main"], settings.of_arm("main"), 4)
    path = WeightPath(flow, density, {"times": TIMES.tolist(), "dimensions": ["a", "b"]})
    points = path.at(2.4).sample(200, seed=1).reshape(10, 20, 2)
    carried = path.carry(points, 2.4, 6.5)
    weights = path.weights([2.4, 6.5])
    assert carried.shape == points.shape and not torch.allclose(carried, points, atol=0.01)
    assert torch.equal(carried.reshape(-1, 2), density.carry(weights[0], weights[1], points.reshape(-1, 2)))
    torch.testing.assert_close(path.carry(carried, 6.5, 2.4), points, rtol=1e-4, atol=1e-4)
    with refused("x", "[10, 20, 3]", "[..., 2]"):
        path.carry(torch.zeros(10, 20, 3), 2.4, 6.5)
    with refused("time", "found 9", "2 to 8"):
        path.carry(points, 2.4, 9)


@pytest.mark.filterwarnings("error")
def test_a_density_at_a_time_has_the_weights_of_that_time(path):
    density = path.at(2.4)
    assert density.time == 2.4
    assert not density.extrapolated
    assert torch.equal(density.weights, path.weights([2.4])[0])
    assert density.sample(5, seed=1).shape == (5, 2)
    assert torch.equal(density.sample(5, seed=1), path.at(2.4).sample(5, seed=1))
    assert torch.isfinite(density.log_prob(torch.tensor([1, 3])))
    assert not path.at(8.0).extrapolated
    assert not path.at(2.0).extrapolated


def test_samples_of_a_time_are_the_same_whichever_other_times_are_asked(path):
    alone, among = path.sample([5.0], 40, seed=3)[0], path.sample([2.4, 3.0, 5.0, 8.0], 40, seed=3)
    assert torch.equal(alone, among[2])
    assert torch.equal(alone, path.at(5.0).sample(40, seed=3))
    assert not torch.equal(among[1], among[2])


def test_a_path_computes_where_it_is_told_and_gives_samples_on_the_cpu(study):
    path = WeightPath.load(study, device="cpu")
    assert path.weights([3.0]).device.type == path.sample([3.0], 2).device.type == "cpu"
    with refused("device", "'gpu'"):
        WeightPath.load(study, device="gpu")


def test_after_the_last_snapshot_a_density_is_marked_and_warned_of(path):
    with pytest.warns(UserWarning, match=r"time 9: extrapolated, after the last snapshot at 8") as caught:
        density = path.at(9.0, extrapolate=True)
    assert caught[0].filename == __file__
    assert density.extrapolated
    assert torch.equal(density.weights[0], path.at(8.0).weights)  # the last law, kept
    assert (density.weights[-1] - path.at(8.0).weights).abs().max() > 1e-3
    assert torch.equal(density.sample(9, seed=1), path.sample([3.0, 9.0], 9, seed=1, extrapolate=True)[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not path.at(8.0, extrapolate=True).extrapolated
        assert torch.equal(path.laws([9.0], extrapolate=True).weights[0], density.weights)


def test_times_out_of_range_are_refused(path):
    with refused("time: found 9", "2 to 8", "--extrapolate"):
        path.at(9.0)
    with refused("time: found 9", "2 to 8"):
        path.weights([3.0, 9.0])
    for time in (1.9, -np.inf, np.nan, np.inf):
        with refused("time: found"):
            path.at(time)
        with refused("time: found"):
            path.at(time, extrapolate=True)
    with pytest.raises(ValueError, match=r"1\.9, expected one from 2 to 8") as caught:
        path.at(1.9, extrapolate=True)
    assert "extrapolate" not in str(caught.value)  # it would not help


def test_unknown_arms_and_seeds_are_refused(study):
    with refused(study / "config.yaml", "flow.arms", "'mane'", "main, other"):
        WeightPath.load(study, "mane")
    with refused(study / "config.yaml", "flow.seeds", "no seed 5", "[4, 7]"):
        WeightPath.load(study, seed=5)


def test_what_is_no_finished_study_is_refused(study, tmp_path):
    with refused(tmp_path / "config.yaml", "no such file", "study that has been run"):
        WeightPath.load(tmp_path)
    with refused(tmp_path / "flow.safetensors", "no such file"):
        WeightPath.load(tmp_path / "flow.safetensors")
    (tmp_path / "config.yaml").write_text((study / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with refused("main-4.safetensors", "no such file"):
        WeightPath.load(tmp_path)
    whole = study / "flow" / "all" / "main-4.safetensors"
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(whole.read_bytes()[:-100])
    with refused(damaged, "damaged"):
        WeightPath.load(damaged)


# --- curves through anchors, which a flow is compared with ---


@pytest.mark.parametrize("kind", ["linear", "cubic", "pchip", "nearest"])
def test_every_curve_goes_through_the_anchors_and_stays_at_the_ends(kind):
    weights = anchors(0).weights
    found = interpolate_weights(TIMES, weights, np.array([*TIMES, -5.0, 99.0]), kind)
    torch.testing.assert_close(found, weights[[0, 1, 2, 3, 0, 3]], atol=1e-6, rtol=0)
    assert found.dtype == weights.dtype


def test_curves_between_anchors_by_hand():
    weights = torch.tensor([[0.0], [1.0], [1.0], [7.0]])
    at = np.array([2.25, 4.0, 6.0, 7.0])
    assert interpolate_weights(TIMES, weights, at, "linear")[:, 0].tolist() == pytest.approx([0.25, 1, 3, 5])
    assert interpolate_weights(TIMES, weights, at, "nearest")[:, 0].tolist() == [0, 1, 1, 7]
    monotone = interpolate_weights(TIMES, weights, np.linspace(2, 8, 61), "pchip")[:, 0]
    assert float(monotone.diff().min()) >= 0
    assert float(interpolate_weights(TIMES, weights, np.linspace(3, 5, 9), "cubic").min()) < 1  # which overshoots
    for kind in ("linear", "cubic", "pchip"):  # between two anchors all are the straight line
        assert interpolate_weights(TIMES[:2], weights[:2], np.array([2.3]), kind).item() == pytest.approx(0.3)
