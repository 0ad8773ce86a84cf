"""The size of a population: read, kept with the samples, a path through it, its error, and what evolves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from refusals import refused

from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.config.evaluation import TimeEvaluationSettings
from weightcast.evolution.evaluation import MASS_ERROR, TimeTestSet
from weightcast.evolution.mass import MassPath, interpolated_mass
from weightcast.evolution.stages.evaluate_samples import evaluate_displacement, evaluate_floor, evaluate_last_snapshot
from weightcast.samples.read import import_snapshots, read_samples
from weightcast.samples.settings import SnapshotSettings
from weightcast.samples.snapshots import Snapshots, read_snapshots
from weightcast.samples.split import samples_needed

TIMES = np.array([0.0, 1.0, 2.5, 3.0, 4.0])
SIZES = (40, 50, 70, 80, 120)


def rows_of(sizes: tuple[int, ...] = SIZES, column: str = "") -> str:
    """A table of two dimensions, with a column of masses if it is named: ten for each sample."""
    random = np.random.default_rng(0)
    lines = [",".join(["time", "x", "y", *([column] if column else [])])]
    for time, size in zip(TIMES, sizes, strict=True):
        for x, y in random.normal(time, 1.0, (size, 2)):
            lines.append(",".join([f"{time}", f"{x}", f"{y}", *([f"{10 * size}"] if column else [])]))
    return "\n".join(lines) + "\n"


def settings(file: Path, **changes: Any) -> SnapshotSettings:
    given: dict[str, Any] = {"source": "csv", "file": str(file), "state": "real", "dimensions": ["x", "y"]}
    return SnapshotSettings(**(given | changes))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cells.csv"
    path.write_text(rows_of())
    return path


def snapshots(held_out: int = 20, observed: tuple[int, ...] = (1, 1, 1, 1, 1)) -> Snapshots:
    random = np.random.default_rng(1)
    parts = [tuple(random.normal(time, 1.0, (count, 2)) for time in TIMES) for count in (60, held_out)]
    masses = np.exp(0.3 * TIMES + 0.05 * TIMES**2)
    return Snapshots(TIMES, np.array(observed, bool), parts[0], parts[1], ("x", "y"), None, masses=7.0 * masses)


def test_set(of: Snapshots, left: int | None = None, samples: int = 200, forecast: bool = False) -> TimeTestSet:
    position = None if left is None else of.observed_positions[left]
    seen = of.without_last() if forecast else of.without(left)
    chosen = TimeEvaluationSettings(samples=samples)
    return TimeTestSet("study", seen, len(TIMES) - 1 if forecast else position, chosen, forecast)


test_set.__test__ = False  # type: ignore[attr-defined]


# --- read ---


def test_a_study_that_is_told_no_mass_is_told_what_it_was_before(file: Path) -> None:
    chosen = settings(file)
    assert "mass" not in chosen.model_dump(mode="json")
    found = import_snapshots(chosen, 0)
    assert found.masses is None and found.observed_masses is None and found.stated_masses is None
    evaluation = TimeEvaluationSettings().model_dump(mode="json")
    assert not {"draws", "published"} & set(evaluation)


def test_numbers_of_samples_are_masses_whatever_is_held_out(file: Path) -> None:
    found = import_snapshots(settings(file, mass="samples", held_out=0.25), 0)
    np.testing.assert_array_equal(found.masses, SIZES)
    assert found.stated_masses is None  # the bridge counts the samples that it is given
    without = import_snapshots(settings(file, held_out=0.25), 0)
    for one, other in zip(found.train, without.train, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.digest != without.digest


def test_masses_may_be_stated_and_follow_the_observed_times(file: Path) -> None:
    found = import_snapshots(settings(file, mass=[1, 2, 3, "4e0", 5], observed_every=2), 0)
    assert found.masses is not None and found.masses.tolist() == [1, 2, 3, 4, 5]
    assert found.stated_masses is not None and found.stated_masses.tolist() == [1, 3, 5]
    assert found.without(1).observed_masses.tolist() == [1, 5]  # type: ignore[union-attr]


def test_a_column_of_masses_is_no_dimension(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text(rows_of(column="counted"))
    read = read_samples(path, "csv", {"mass_column": "counted"})
    assert read.dimensions == ("x", "y") and read.settings["mass_column"] == "counted"
    found = import_snapshots(settings(path, mass="column", settings={"mass_column": "counted"}), 0)
    np.testing.assert_array_equal(found.masses, 10.0 * np.array(SIZES))


def test_masses_that_cannot_be_are_refused(file: Path, tmp_path: Path) -> None:
    with refused(file, "data.mass", "found 3 numbers", "expected 5"):
        import_snapshots(settings(file, mass=[1, 2, 3]), 0)
    with refused(file, "data.mass", "found column", "mass_column"):
        import_snapshots(settings(file, mass="column"), 0)
    with refused(file, "mass_column", "'counted'", "x, y"):
        import_snapshots(settings(file, mass="column", settings={"mass_column": "counted"}), 0)
    other = tmp_path / "other.csv"
    text = rows_of(column="counted")
    other.write_text(text.replace("400\n", "401\n", 1))
    with refused(other, "column counted", "time 0", "401", "400", "one mass for each time"):
        read_samples(other, "csv", {"mass_column": "counted"})
    other.write_text(text.replace(",400\n", ",0\n"))
    with refused(other, "column counted", "time 0", "found 0", "above 0"):
        read_samples(other, "csv", {"mass_column": "counted"})


def test_masses_lie_with_the_samples(tmp_path: Path) -> None:
    of = snapshots()
    of.save(tmp_path / "snapshots.nc")
    found = read_snapshots(tmp_path / "snapshots.nc")
    np.testing.assert_array_equal(found.masses, of.masses)
    assert found.digest == of.digest
    again = read_samples(tmp_path / "snapshots.nc", "netcdf", {})
    np.testing.assert_array_equal(again.masses, of.masses)


# --- nothing held out ---


def test_where_nothing_is_held_out_all_train(file: Path, tmp_path: Path) -> None:
    found = import_snapshots(settings(file, held_out=0), 0)
    assert found.all_train and [len(part) for part in found.train] == list(SIZES)
    found.save(tmp_path / "snapshots.nc")
    assert read_snapshots(tmp_path / "snapshots.nc").digest == found.digest
    assert samples_needed(0.0) == 20
    file.write_text(rows_of((40, 50, 19, 80, 120)))
    with refused(file, "time 2.5", "found 19 samples", "expected 20"):
        import_snapshots(settings(file, held_out=0), 0)


def test_where_nothing_is_held_out_training_samples_and_those_left_out_are_the_truth() -> None:
    of = snapshots(held_out=0)
    test = test_set(of)
    assert test.positions == [] and test.source_positions == [1, 2, 3, 4]
    assert test.compared(2, as_source=True) == 200
    rows = pd.DataFrame(list(test.rows("flow-a", 0, lambda position: of.train[position])))
    assert set(rows["split"]) == {"source"} and rows["value"].abs().max() < 1e-12
    left = test_set(of, left=2)
    assert left.positions == [2] and left.truth(2) is of.train[2]
    rows = pd.DataFrame(list(left.rows("flow-a", 0, lambda position: of.train[position] + [3.0, 4.0])))
    distance = rows[rows["metric"] == "wasserstein"]
    assert set(rows["split"]) == {"held_out"} and distance["value"].tolist() == pytest.approx([5.0])


def test_the_floor_of_samples_that_all_train_is_their_own_law_drawn_from() -> None:
    """It falls with the number of draws: by the root of ten for ten times as many, at least to two thirds."""
    means = []
    for count in (60, 600):
        rows = pd.DataFrame(list(evaluate_floor(test_set(snapshots(held_out=0), samples=count), 0)))
        assert set(rows["split"]) == {"source"} and set(rows["method"]) == {"sampling-floor"}
        means.append(rows[rows["metric"] == "wasserstein"]["value"].mean())
    assert 0 < means[1] < 0.67 * means[0]


# --- the path ---


def test_a_path_of_mass_is_exponential_growth_where_that_is_what_there_is() -> None:
    path = MassPath(TIMES, 5.0 * np.exp(0.3 * TIMES))
    wanted = np.linspace(0, 4, 33)
    np.testing.assert_allclose(path.relative(wanted), np.exp(0.3 * wanted), rtol=1e-12)
    np.testing.assert_allclose(path.rate(wanted), 0.3, atol=1e-12)
    two = MassPath(TIMES[[0, 2]], np.array([3.0, 12.0]))
    np.testing.assert_allclose(two.relative(np.array([0.0, 1.25, 2.5])), [1.0, 2.0, 4.0], rtol=1e-12)


def test_a_path_of_mass_is_positive_and_goes_through_the_snapshots() -> None:
    masses = np.array([1.0, 1000.0, 0.01, 50.0, 50.0])
    path = MassPath(TIMES, masses)
    assert (path.relative(np.linspace(0, 4, 401)) > 0).all()
    np.testing.assert_allclose(path.relative(TIMES), masses, rtol=1e-12)


def test_a_mass_left_out_is_found_where_growth_changes_slowly() -> None:
    """A clone that rests and one that doubles every 1.4 units: within 2 %, where a line is up to 13 % off."""
    masses = 0.5 + 0.5 * np.exp(0.5 * TIMES)
    errors, of_lines = [], []
    for place in range(1, 4):
        seen = np.arange(5) != place
        at = TIMES[[place]]
        true = masses[place] / masses[0]
        errors.append(abs(MassPath(TIMES[seen], masses[seen]).relative(at)[0] / true - 1))
        of_lines.append(abs(np.interp(at, TIMES[seen], masses[seen] / masses[0])[0] / true - 1))
    assert max(errors) < 0.02 < max(of_lines)
    assert np.mean(errors) < 0.5 * np.mean(of_lines)


def test_growth_comes_to_rest_after_the_last_snapshot() -> None:
    path = MassPath(TIMES, np.exp(0.3 * TIMES))
    later = np.array([4.0, 4.5, 6.0, 1e6])
    np.testing.assert_allclose(path.relative(later)[-1], np.exp(0.3 * 4 + 0.3 * 4), rtol=1e-9)
    assert (np.diff(path.relative(later)) > 0).all() and path.rate(later)[-1] == pytest.approx(0)
    step = 1e-6
    slope = np.log(path.relative(np.array([6 + step])) / path.relative(np.array([6.0])))[0] / step
    assert path.rate(np.array([6.0]))[0] == pytest.approx(slope, rel=1e-4)


def test_a_path_of_mass_is_made_again_from_what_describes_it() -> None:
    path = MassPath(TIMES, np.exp(0.3 * TIMES))
    again = MassPath.described(path.describe())
    np.testing.assert_array_equal(again.masses, path.masses)
    for damaged in (
        {"times": [0, 1], "masses": [1]},
        {"times": [0, 0], "masses": [1, 2]},
        {"times": [0, 1], "masses": [1, 0]},
        {"times": [0], "masses": [1]},
    ):
        with refused("mass", "increase"):
            MassPath.described(damaged)


def test_baselines_interpolate_the_logarithm_of_the_mass() -> None:
    masses = np.exp(TIMES**2 / 10)
    at = np.array([-1.0, 0.5, 2.5, 9.0])
    linear = interpolated_mass(TIMES, masses, at, "linear")
    np.testing.assert_allclose(linear, [1, np.sqrt(masses[1]), masses[2], masses[4]], rtol=1e-12)
    assert interpolated_mass(TIMES, masses, np.array([0.9]), "nearest")[0] == pytest.approx(masses[1])


# --- its error ---


def table(rows: Any) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).set_index(["split", "horizon"])


def test_the_error_of_a_mass_is_relative_to_the_true_one_and_to_the_first_time() -> None:
    of = snapshots(observed=(1, 0, 1, 0, 1))
    true = of.masses / of.masses[0]  # type: ignore[index]
    found = table(test_set(of).mass_rows("flow-a", 3, 1.1 * true))
    assert set(found["metric"]) == {MASS_ERROR} and set(found["seed"]) == {3}
    np.testing.assert_allclose(found["value"], 0.1, rtol=1e-9)
    assert sorted(found.index) == sorted(
        [("observed", 2), ("observed", 4), ("unobserved", 1), ("unobserved", 3)]
        + [("source", place) for place in range(1, 5)]
    )
    exact = table(test_set(of).mass_rows("flow-a", 3, true * (1 + 1e-15)))
    assert (exact["value"] == 0).all()
    nothing = Snapshots(of.times, of.observed, of.train, of.held_out, of.dimensions, None)
    assert list(test_set(nothing).mass_rows("flow-a", 0, true)) == []


def test_what_moves_samples_has_a_mass_as_well() -> None:
    of = snapshots()
    relative = of.masses / of.masses[0]  # type: ignore[index]
    rows = table(row for row in evaluate_displacement(test_set(of, left=1), 0) if row["metric"] == MASS_ERROR)
    line = np.interp(TIMES[1], TIMES[[0, 2]], relative[[0, 2]])
    assert rows.loc[("held_out", 1), "value"] == pytest.approx(abs(line / relative[1] - 1))
    rows = table(row for row in evaluate_last_snapshot(test_set(of, forecast=True), 0) if row["metric"] == MASS_ERROR)
    assert rows.loc[("forecast", 4), "value"] == pytest.approx(1 - relative[3] / relative[4])


# --- the bridge ---


def test_stated_masses_stand_for_numbers_of_samples_between_snapshots() -> None:
    """Two far populations of 60 samples each; the second is stated to have grown to 3: 10,000 draws, within 0.02."""
    random = np.random.default_rng(0)
    parts = [random.normal(0, 0.1, (30, 1)), random.normal(9, 0.1, (30, 1))]
    start, end = np.concatenate(parts), np.concatenate([parts[0], *[parts[1]] * 3])
    chosen = BridgeSettings(per_interval=2, growth=True, relaxation=0.1)
    times = np.array([0.0, 1.0])

    def upper(samples: list[np.ndarray], masses: np.ndarray | None) -> float:
        drawn = Bridge(times, samples, False, chosen, 0, masses).draw(10_000, 1)
        return float((drawn[1] > 5).double().mean())

    counted = upper([start, end], None)
    assert counted == pytest.approx((0.5 + 1.5) / 2 / ((0.5 + 1.5) / 2 + 0.5), abs=0.02)
    assert upper([start, end], np.array([60.0, 120.0])) == pytest.approx(counted, abs=1e-9)
    # as many as before: the upper one has grown by what the lower one has lost
    assert upper([start, end], np.array([1.0, 1.0])) == pytest.approx((0.5 + 0.75) / 2, abs=0.02)
