"""Scores of predicted distributions across time, what they cost, and the plan of a study."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from refusals import refused
from scipy.stats import binom
from tiny_study import ROOT

from weightcast.core.run import Run
from weightcast.evolution.commands.data_checks import check_simulator
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.evaluation import TimeEvaluationSettings
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.density import Laws, StackedDensity
from weightcast.evolution.distances.wasserstein import wasserstein
from weightcast.evolution.evaluation import MOMENT_ERRORS, TimeTestSet, evaluate_path
from weightcast.evolution.jobs import EvaluateSamples, TimePlan
from weightcast.evolution.plan import evaluation_sources, folds, left_out
from weightcast.evolution.simulated_system import simulated_system
from weightcast.evolution.stages.evaluate_samples import (
    evaluate_displacement,
    evaluate_exact_law,
    evaluate_floor,
    evaluate_last_snapshot,
    evaluate_samples,
)
from weightcast.evolution.stages.simulate_snapshots import simulated_snapshots
from weightcast.evolution.stages.summarise_times import method_costs
from weightcast.evolution.state_space import Counts, Reals
from weightcast.evolution.summary import summary_over_times
from weightcast.samples.settings import SnapshotSettings
from weightcast.samples.snapshots import Snapshots, read_snapshots, write_snapshots

NO_COSTS = pd.DataFrame({"method": [], "parameters": [], "train_seconds": [], "adapt_seconds": []})
DISTANCES = {"wasserstein", "sliced_wasserstein", "mmd", "jsd", *MOMENT_ERRORS, "tail_error"}


def snapshots(states: int | None = 12, times: int = 9, count: int = 60, every: int = 4) -> Snapshots:
    """Two counts whose means rise with time, seen at every fourth time."""
    random = np.random.default_rng(0)
    parts = [
        tuple(random.binomial(11, 0.1 + 0.8 * place / (times - 1), (count, 2)).astype(float) for place in range(times))
        for _ in range(2)
    ]
    observed = np.arange(times) % every == 0
    return Snapshots(np.arange(times) / 2.0, observed, parts[0], parts[1], ("a", "b"), states)


def test_set(of: Snapshots | None = None, left: int | None = None, **settings) -> TimeTestSet:
    of = snapshots() if of is None else of
    position = None if left is None else of.observed_positions[left]
    chosen = TimeEvaluationSettings.model_validate({"samples": 50} | settings)
    return TimeTestSet("study", of.without(left), position, chosen)


test_set.__test__ = False  # type: ignore[attr-defined]


def table(rows) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def exactly(test: TimeTestSet, part: str = "held_out"):
    """A prediction that is the truth itself."""
    return lambda position: getattr(test.snapshots, part)[position]


# --- which times ---


@pytest.mark.parametrize(("every", "expected"), [(1, list(range(1, 9))), (3, [3, 4, 6, 8]), (100, [4, 8])])
def test_observed_times_and_every_so_many_others_are_scored_but_never_the_first(every, expected):
    test = test_set(every=every)
    assert test.positions == expected
    assert test.source_positions == list(range(1, 9))


def test_of_a_fold_only_the_snapshot_left_out_is_scored():
    test = test_set(left=1)
    assert (test.positions, test.source_positions) == ([4], [])
    found = table(test.rows("flow-a", 0, exactly(test)))
    assert set(found["split"]) == {"held_out"}
    assert set(found["environment"]) == {"t=2"}
    assert set(found["horizon"]) == {4}
    assert not test.snapshots.observed[4]


def test_rows_say_what_was_compared_where():
    test = test_set(every=3)
    found = table(test.rows("flow-a", 7, exactly(test)))
    assert set(found.columns) == {
        "study", "method", "split", "environment", "seed", "horizon", "metric", "value",
    }  # fmt: skip
    assert set(zip(found["study"], found["method"], found["seed"], strict=True)) == {("study", "flow-a", 7)}
    at = {split: sorted(set(part["horizon"])) for split, part in found.groupby("split")}
    assert at == {"observed": [4, 8], "unobserved": [3, 6], "source": list(range(1, 9))}
    assert (found["environment"] == [f"t={position / 2:g}" for position in found["horizon"]]).all()
    metrics = {split: set(part["metric"]) for split, part in found.groupby("split")}
    assert metrics == {"observed": DISTANCES, "unobserved": DISTANCES, "source": {"wasserstein", "jsd", "paper_w"}}
    assert not found.duplicated(["split", "environment", "metric"]).any()
    assert set(table(test.rows("flow-a", 7, exactly(test), as_source=False))["split"]) == {"observed", "unobserved"}


def test_the_paper_w_is_of_counts_alone():
    test = test_set(snapshots(states=None))
    assert "paper_w" not in set(table(test.rows("flow-a", 0, exactly(test)))["metric"])


def test_times_that_differ_little_keep_apart():
    """Seconds since 1970, for instance."""
    plain = snapshots()
    late = Snapshots(1.7e9 + plain.times, *(getattr(plain, name) for name in ("observed", "train", "held_out")),
                     plain.dimensions, plain.states)  # fmt: skip
    test = test_set(late)
    found = table(test.rows("flow-a", 0, exactly(test)))
    assert found[found["split"] == "source"]["environment"].nunique() == 8
    assert not summary_over_times(found, NO_COSTS, draws=100).empty


# --- values ---


def test_the_truth_itself_has_no_error_and_another_part_is_scored_against_its_own():
    test = test_set(samples=60)
    found = table(test.rows("flow-a", 0, exactly(test)))
    own = found[found["split"] != "source"]
    assert own["value"].abs().max() < 1e-9
    source = found[(found["split"] == "source") & (found["metric"] == "wasserstein")]
    for position, value in zip(source["horizon"], source["value"], strict=True):
        expected = wasserstein(test.snapshots.held_out[position], test.snapshots.train[position])
        assert value == pytest.approx(expected)
        assert value > 0


def test_a_shifted_prediction_is_as_far_away_as_it_was_shifted():
    of = snapshots(states=13)
    test = test_set(of, samples=60)
    found = table(test.rows("flow-a", 0, lambda position: of.held_out[position] + [0, 1], as_source=False))
    assert found[found["metric"] == "wasserstein"]["value"].tolist() == pytest.approx([1] * 8)
    spread = np.concatenate(of.observed_train).std(0)[1]
    errors = found[(found["metric"] == "mean_error")].set_index("horizon")["value"]
    for position, error in errors.items():
        assert error == pytest.approx(0.5 / max(of.held_out[position][:, 1].mean(), spread))


def test_predictions_that_are_not_finite_are_infinitely_far_away():
    test = test_set()
    for bad in (np.nan, np.inf):
        broken = np.full((50, 2), 3.0)
        broken[7, 1] = bad
        found = table(test.rows("flow-a", 0, lambda position, broken=broken: broken))
        assert (found["value"] == np.inf).sum() == len(found) - (found["metric"] == "paper_w").sum()
        assert set(found[found["split"] == "observed"]["metric"]) == DISTANCES


def path(weights_of=lambda position: 0.0) -> tuple[StackedDensity, torch.Tensor]:
    density = StackedDensity.new(DensitySettings(hidden=3), Counts(12, 2), seed=0)
    weights = torch.stack([density.initial_weights(0) + weights_of(position) for position in range(9)])
    return density, weights


def test_a_path_of_weights_is_scored_by_its_samples_and_its_likelihood():
    density, weights = path()
    test = test_set(every=3)
    found = table(evaluate_path("flow-a", 2, Laws.of(density, weights), test))
    nll = found[found["metric"] == "nll"].set_index("horizon")["value"]
    assert sorted(nll.index) == [3, 4, 6, 8]
    for position, value in nll.items():
        truth = torch.from_numpy(test.snapshots.held_out[position])
        assert value == pytest.approx(-float(density.log_prob(weights[:1], truth[None]).mean()), rel=1e-5)
    assert set(found[found["metric"] == "nll"]["split"]) == {"observed", "unobserved"}
    again = table(evaluate_path("flow-a", 2, Laws.of(density, weights), test))
    pd.testing.assert_frame_equal(found, again)
    other = table(evaluate_path("flow-a", 3, Laws.of(density, weights), test))
    assert not other["value"].equals(found["value"])


def test_a_path_is_scored_at_each_time_by_the_weights_of_that_time():
    """Weights whose output layer favours the time's own position: samples there are that number."""
    density, weights = path()
    state = density.graph.unflatten(weights.clone())
    for position in range(9):
        state["backbone.head.bias"][position, position] = 60.0
    weights = density.graph.flatten(state)
    test = test_set(every=3)
    found = table(evaluate_path("flow-a", 0, Laws.of(density, weights), test))
    chosen = found[(found["metric"] == "wasserstein") & (found["split"] != "source")].set_index("horizon")["value"]
    for position, value in chosen.items():
        expected = wasserstein(np.full((1, 2), float(position)), test.snapshots.held_out[position])
        assert value == pytest.approx(expected, rel=1e-6)


def test_a_path_that_breaks_down_at_one_time_is_infinitely_far_away_there_alone():
    density, weights = path(lambda position: math.nan if position == 6 else 0.0)
    found = table(evaluate_path("flow-a", 0, Laws.of(density, weights), test_set(every=3)))
    broken = found["horizon"] == 6
    far = found[broken & (found["metric"] != "nll")]
    assert (far["value"] == np.inf).all()
    assert len(far) == len(DISTANCES) + 2
    assert np.isfinite(found[~broken]["value"]).all()
    summary = summary_over_times(found, NO_COSTS, draws=100).set_index(["split", "metric"])
    assert summary.loc[("unobserved", "nll"), "median"] == np.inf
    assert summary.loc[("unobserved", "wasserstein"), "median"] == np.inf
    assert np.isfinite(summary.loc[("observed", "nll"), "median"])


# --- the floor and displacement ---


def test_the_floor_compares_each_part_with_the_other():
    test = test_set(every=3, samples=100)
    found = table(evaluate_floor(test, seed=0))
    assert set(found["method"]) == {"sampling-floor"}
    assert set(found["split"]) == {"observed", "unobserved", "source"}
    chosen = found[found["metric"] == "wasserstein"]
    for split, position, value in zip(chosen["split"], chosen["horizon"], chosen["value"], strict=True):
        assert value == pytest.approx(wasserstein(test.snapshots.train[position], test.snapshots.held_out[position])), (
            split
        )
    assert not found.duplicated(["split", "environment", "metric"]).any()


def test_the_floor_has_as_many_samples_as_predictions_whichever_part_of_the_data_is_larger():
    """The truth's own law in the place of a method is at the floor, with 400 samples to train and 40 held out."""
    random = np.random.default_rng(3)

    def drawn(count: int) -> tuple[np.ndarray, ...]:
        return tuple(random.normal(size=(count, 2)) for _ in range(13))

    of = Snapshots(np.arange(13.0), np.arange(13) % 4 == 0, drawn(400), drawn(40), ("a", "b"), None)
    test = test_set(of, samples=1000)
    floor = table(evaluate_floor(test, seed=0))
    law = table(test.rows("flow-a", 0, lambda position: np.random.default_rng(position).normal(size=(1000, 2))))
    for split in ("unobserved", "source"):
        at_floor, of_law = (
            found[(found["split"] == split) & (found["metric"] == "wasserstein")]["value"].mean()
            for found in (floor, law)
        )
        assert of_law == pytest.approx(at_floor, rel=0.1)  # 1000 against 400 and 400 against 40 differ by far more


def test_the_floor_takes_no_more_samples_than_a_prediction_has():
    few = table(evaluate_floor(test_set(samples=5), seed=0))
    many = table(evaluate_floor(test_set(samples=60), seed=0))
    for split in ("observed", "unobserved", "source"):
        medians = [
            part[(part["metric"] == "wasserstein") & (part["split"] == split)]["value"].median() for part in (few, many)
        ]
        assert medians[0] > 1.5 * medians[1]
    pd.testing.assert_frame_equal(few, table(evaluate_floor(test_set(samples=5), seed=0)))


@pytest.mark.parametrize("left", [None, 1])
def test_displacement_is_near_at_observed_times_and_ends_at_the_last_one(left):
    of = snapshots(times=11, every=4, count=400)  # the last two times lie after the last snapshot
    test = test_set(of, left=left, samples=400)
    found = table(evaluate_displacement(test, seed=0))
    values = found[found["metric"] == "wasserstein"].set_index(["split", "horizon"])["value"]
    if left is not None:
        assert list(values.index) == [("held_out", 4)]
        assert values.iloc[0] < 1
        return
    assert values["observed"].max() < 1
    assert values["unobserved"].loc[[1, 2, 3, 5, 6, 7]].max() < 1
    assert values["unobserved"].loc[10] == pytest.approx(wasserstein(of.train[8], of.held_out[10]), abs=0.3)


# --- the exact law ---


class Binomial:
    """The law that `snapshots` draws from, or one that is off by a little."""

    def __init__(self, off: float = 0.0) -> None:
        self.off = off

    def at(self, time: float) -> float:
        return 0.1 + 0.2 * time + self.off

    def log_prob(self, values: np.ndarray, time: float) -> np.ndarray:
        return binom.logpmf(values, 11, self.at(time)).sum(axis=1)

    def sample(self, time: float, number: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).binomial(11, self.at(time), (number, 2)).astype(float)


def test_the_exact_law_is_scored_as_a_density():
    of = snapshots(count=400)
    test = test_set(of, every=3, samples=400)
    found = table(evaluate_exact_law(test, Binomial(), seed=0))
    assert set(found["method"]) == {"exact-law"}
    assert set(found["metric"]) == {*DISTANCES, "nll", "paper_w"}
    assert set(found["split"]) == {"observed", "unobserved", "source"}
    assert not found.duplicated(["split", "environment", "metric"]).any()
    values = found.set_index(["metric", "split", "horizon"])["value"]
    expected = -binom.logpmf(of.held_out[3], 11, 0.1 + 0.2 * 1.5).sum(axis=1).mean()
    assert values["nll", "unobserved", 3] == pytest.approx(expected)
    # as near as other samples of the truth, and nearer than a law that is off; likelihood tells better than W
    floor = table(evaluate_floor(test, seed=0)).set_index(["metric", "split", "horizon"])["value"]
    wrong = table(evaluate_exact_law(test, Binomial(0.02), seed=0)).set_index(["metric", "split", "horizon"])["value"]
    assert values["wasserstein"].mean() == pytest.approx(floor["wasserstein"].mean(), rel=0.15)
    assert (wrong["nll"] > values["nll"]).mean() > 0.7 and wrong["nll"].mean() > values["nll"].mean()
    pd.testing.assert_frame_equal(found, table(evaluate_exact_law(test, Binomial(), seed=0)))


def test_counts_of_the_exact_law_that_a_study_has_no_state_for_are_its_last():
    of = snapshots(states=13)
    test = test_set(of, samples=50)
    beyond = Binomial()
    beyond.sample = lambda time, number, seed: np.full((number, 2), 40.0)  # type: ignore[method-assign]
    found = table(evaluate_exact_law(test, beyond, seed=0))
    chosen = found[(found["metric"] == "wasserstein") & (found["horizon"] == 8) & (found["split"] == "observed")]
    assert float(chosen["value"].iloc[0]) == pytest.approx(wasserstein(np.full((50, 2), 12.0), of.held_out[8]))


@pytest.mark.parametrize("name", ["birth-death", "ornstein-uhlenbeck"])
def test_studies_of_systems_with_an_exact_law_score_it(name: str):
    """The NLL of fresh samples under the law is its entropy: for a normal one it is known."""
    config = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
    config["data"]["trajectories"] = {"train": 100, "held_out": 2000, "times": 11}
    config["data"]["observed_every"] = 2
    config["evaluation"] |= {"samples": 100, "displacement": False}
    plan = TimePlan(parse_time_study(config))
    settings = EvaluateSamples.of(plan, "all")
    assert (settings.system, settings.system_settings) == (name, config["data"]["settings"])
    found = evaluate_samples(Run(), settings, simulated_snapshots(plan.study.data, 0), None).frame
    assert set(found["method"]) == {"sampling-floor", "exact-law"}
    scored = found[(found["method"] == "exact-law") & (found["metric"] == "nll")]
    law = simulated_system(plan.study.data).law
    assert law is not None
    for position, value in zip(scored["horizon"], scored["value"], strict=True):
        time = position / 2
        draws = law.log_prob(law.sample(time, 20000, seed=1), time)
        # standard errors: of 2000 held-out samples, and of 20000 draws
        assert value == pytest.approx(-draws.mean(), abs=4 * draws.std() / math.sqrt(1800))
        if name == "ornstein-uhlenbeck":
            exact = 1 + math.log(2 * math.pi) + 0.5 * np.linalg.slogdet(law.covariance(time))[1]
            assert -draws.mean() == pytest.approx(exact, abs=0.03)


def test_other_studies_have_no_exact_law():
    config = yaml.safe_load((ROOT / "config" / "epidemic.yaml").read_text(encoding="utf-8"))
    config["data"]["trajectories"] = {"train": 30, "held_out": 30, "times": 5}
    config["data"]["observed_every"] = 2
    config["evaluation"] |= {"samples": 30, "displacement": False}
    plan = TimePlan(parse_time_study(config))
    settings = EvaluateSamples.of(plan, "all")
    found = evaluate_samples(Run(), settings, simulated_snapshots(plan.study.data, 0), None).frame
    assert set(found["method"]) == {"sampling-floor"}
    data = {"source": "csv", "file": "mine.csv", "state": "real", "dimensions": ["x"]}
    assert EvaluateSamples.of(TimePlan(parse_time_study(config | {"data": data})), "all").system is None


def test_settings_out_of_bounds_are_refused_where_a_study_simulates():
    config = yaml.safe_load((ROOT / "config" / "birth-death.yaml").read_text(encoding="utf-8"))
    config["data"]["settings"] = {"death": -1}
    data = parse_time_study(config).data
    with refused("config: data: settings of birth-death: death: found -1, expected a finite number above 0"):
        simulated_snapshots(data, 0)
    with refused("my.yaml: data: settings of birth-death: death: found -1"):
        check_simulator(parse_time_study(config), "my.yaml")
    with refused("my.yaml: data.dimensions: found Y, expected X as birth-death has them"):
        simulated_system(data.model_copy(update={"dimensions": ["Y"], "settings": {}}), "my.yaml")


# --- reading ---


def test_a_test_set_is_read_as_the_pipeline_wrote_it(tmp_path):
    file = tmp_path / "snapshots.nc"
    write_snapshots(file, snapshots())
    settings = TimeEvaluationSettings(samples=20, every=2)
    whole, fold = (TimeTestSet.of("mine", Snapshots.load(file), name, settings) for name in ("all", "without-1"))
    assert (whole.study, whole.settings.samples, whole.left_out) == ("mine", 20, None)
    assert whole.snapshots.observed_positions == [0, 4, 8]
    assert (fold.left_out, fold.positions, fold.snapshots.observed_positions) == (4, [4], [0, 8])
    for part in ("train", "held_out"):
        for found, expected in zip(getattr(whole.snapshots, part), getattr(snapshots(), part), strict=True):
            assert np.array_equal(found, expected)


def test_a_forecast_is_scored_from_the_last_snapshot_but_one_on_beside_that_snapshot_kept():
    test = TimeTestSet.of("mine", snapshots(), "forecast", TimeEvaluationSettings(samples=2000, every=3))
    assert test.snapshots.observed_positions == [0, 4]
    assert test.positions == [6, 8]  # times that training has not seen, the left-out snapshot among them
    assert test.source_positions == []
    found = table(evaluate_last_snapshot(test, 0))
    assert set(found["method"]) == {"last-snapshot"} and set(found["split"]) == {"forecast"}
    values = found[found["metric"] == "wasserstein"].set_index("horizon")["value"]
    # Two binomial laws, of which one lies above the other everywhere: W1 along each dimension is the distance of means.
    for position in (6, 8):
        distance = 11 * 0.8 * (position - 4) / 8
        assert distance - 0.3 < values[position] < 2 * distance + 0.6
    with refused("evaluation.forecast: found 2 snapshots", "3 or more"):
        TimeTestSet.of("mine", snapshots(every=8), "forecast", TimeEvaluationSettings())


@pytest.mark.parametrize("fold", ["without-0", "without-2", "without-3", "without--1", "half"])
def test_folds_that_leave_out_no_inner_snapshot_are_refused(fold, tmp_path):
    write_snapshots(tmp_path / "snapshots.nc", snapshots())
    with refused("found"):
        TimeTestSet.of("mine", Snapshots.load(tmp_path / "snapshots.nc"), fold, TimeEvaluationSettings())


def test_snapshots_that_are_none_are_refused(tmp_path):
    with refused(tmp_path / "none.nc", "no such file"):
        read_snapshots(tmp_path / "none.nc")
    (tmp_path / "bad.nc").write_bytes(b"not NetCDF")
    with refused(tmp_path / "bad.nc", "cannot be read"):
        read_snapshots(tmp_path / "bad.nc")


# --- simulation ---


def simulated(**changes) -> SnapshotSettings:
    plain = {"source": "epidemic", "state": "counts", "states": 61, "dimensions": ["S", "I", "R"],
             "trajectories": {"train": 25, "held_out": 20, "times": 6}, "observed_every": 2}  # fmt: skip
    return SnapshotSettings.model_validate(plain | changes)


def test_simulated_snapshots_are_as_configured_and_fixed_by_the_seed():
    first, again, other = (simulated_snapshots(simulated(), seed) for seed in (1, 1, 2))
    assert first.times == pytest.approx([0, 10, 20, 30, 40, 50])
    assert first.observed_positions == [0, 2, 4]
    assert [len(part) for part in first.train] == [25] * 6
    assert [len(part) for part in first.held_out] == [20] * 6
    assert first.train[0].tolist() == [[50, 10, 0]] * 25
    assert not np.array_equal(first.train[3][:20], first.held_out[3])
    assert np.array_equal(first.train[3], again.train[3])
    assert not np.array_equal(first.train[3], other.train[3])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"infectoin": 3}}, ("settings of epidemic", "'infectoin'", "infection")),
        ({"settings": {"infection": -1}}, ("settings of epidemic: infection", "found -1")),
        ({"dimensions": ["S", "R", "I"]}, ("data.dimensions", "S, R, I", "S, I, R")),
        ({"states": 40}, ("time 0", "found 50", "0 to 39")),
    ],
)
def test_simulations_that_cannot_be_used_are_refused(changes, words):
    with refused(*words):
        simulated_snapshots(simulated(**changes), 0)


# --- costs and plan ---


def test_costs_are_means_over_seeds_with_all_that_a_method_builds_on():
    anchors = [{"anchors": kind, "seconds": seconds, "numbers": 30}
               for kind, seconds in (("joint", 2.0), ("joint", 4.0), ("aligned", 7.0))]  # fmt: skip
    flows = [{"arm": "a", "seconds_before": 3.0, "seconds": second, "numbers": 99} for second in (1.0, 2.0)]
    matching = [{"seconds": 8.0, "numbers": 77}]
    found = {row["method"]: row for row in method_costs(anchors, flows, matching, ["linear", "cubic"])}
    assert {name: row["train_seconds"] for name, row in found.items()} == {
        "linear-joint": 3.0, "cubic-joint": 3.0, "linear-aligned": 7.0, "cubic-aligned": 7.0, "flow-a": 4.5,
        "displacement": 0.0, "last-snapshot": 0.0, "sampling-floor": 0.0, "exact-law": 0.0, "flow-matching": 8.0,
    }  # fmt: skip
    assert (
        found["linear-joint"]["parameters"],
        found["flow-a"]["parameters"],
        found["displacement"]["parameters"],
        found["flow-matching"]["parameters"],
    ) == (30, 99, 0, 77)
    assert all(row["adapt_seconds"] == 0 for row in found.values())
    assert not {"linear-joint", "flow-matching"} & {row["method"] for row in method_costs(anchors, flows, [], [])}


def study(**evaluation):
    config = yaml.safe_load((ROOT / "config" / "epidemic.yaml").read_text(encoding="utf-8"))
    config["evaluation"] |= evaluation
    return parse_time_study(config)


def test_held_out_samples_of_the_snapshot_before_are_carried_to_each_snapshot():
    of = snapshots(states=None)
    test = test_set(of, from_previous=True)
    assert test.previous == [(0, 4), (4, 8)]
    still = table(test.previous_rows("last-snapshot", 0, lambda samples, *_: samples))
    exact = table(test.previous_rows("mine", 0, lambda _, __, position: of.held_out[position][:50]))
    assert set(still.split) == {"previous"} and set(still.metric) == DISTANCES and set(still.horizon) == {4, 8}
    moved = still[still.metric == "wasserstein"].set_index("horizon").value
    for before, position in test.previous:
        assert moved[position] == pytest.approx(wasserstein(of.held_out[before][:50], of.held_out[position]))
    assert (exact[exact.metric == "wasserstein"].value.to_numpy() < 0.5 * moved.to_numpy()).all()
    assert not test_set(of).previous and not test_set(of, left=1, from_previous=True).previous
    floor = table(evaluate_floor(test, 3))
    assert set(floor.split) == {"observed", "unobserved", "source", "previous"}
    displaced = table(evaluate_displacement(test, 3))
    near = displaced[(displaced.split == "previous") & (displaced.metric == "wasserstein")].value.to_numpy()
    assert (near < 0.5 * moved.to_numpy()).all()


def test_a_path_carries_samples_along_its_laws():
    of = snapshots(states=None)
    density = StackedDensity.new(DensitySettings(hidden=4), Reals.of(of.observed_train, 2), 0)
    weights = torch.stack([density.initial_weights(seed) for seed in range(9)])
    weights[8] = torch.nan
    test = test_set(of, from_previous=True)
    rows = table(evaluate_path("flow-mine", 0, Laws.of(density, weights), test))
    found = rows[(rows.split == "previous") & (rows.metric == "wasserstein")].set_index("horizon").value
    carried = density.carry(weights[0], weights[4], torch.from_numpy(of.held_out[0][:50])).numpy()
    assert found[4] == pytest.approx(wasserstein(carried, of.held_out[4])) and math.isinf(found[8])
    assert "previous" not in set(table(evaluate_path("linear-mine", 0, Laws.of(density, weights), test, False)).split)


def test_folds_are_all_snapshots_and_all_without_each_that_is_left_out():
    assert folds(study(forecast=False)) == ["all"]
    assert folds(study(leave_out=[3, 5])) == ["all", "without-3", "without-5", "forecast"]
    assert [left_out(fold) for fold in folds(study(leave_out=[3, 5]))] == [None, 3, 5, None]
    for bad in ("", "without-", "without-x", "without--1", "All", "3"):
        with refused("fold", repr(bad), "without-<number>"):
            left_out(bad)


def test_there_is_a_file_of_errors_for_every_evaluation_of_every_fold_seed_kind_and_arm():
    chosen = study(leave_out=[3])
    sources = evaluation_sources(chosen)
    assert len(set(sources)) == len(sources)
    assert len(sources) == 2 * (3 * 4 + 3 * 3 + 1) + 3 * 1 + 1
    forecasts = [source for source in sources if source.startswith("forecast/")]
    assert forecasts == ["forecast/flow-cde-0", "forecast/flow-cde-1", "forecast/flow-cde-2", "forecast/samples"]
    assert {"all/samples", "all/anchors-joint-2", "without-3/flow-paper-0", "without-3/samples"} <= set(sources)
