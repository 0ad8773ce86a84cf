"""Samples of many environments: simulated, from a folder or a long table; and what of them is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from families_kit import birth_death_settings, birth_death_table

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.families.cases import cases_of, last_shown, scored_positions
from weightcast.families.config.evaluation import FamilyEvaluationSettings, ShownSettings
from weightcast.families.gathering import import_family, simulate_family
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.sources import source_files
from weightcast.samples.settings import SnapshotSettings
from weightcast.systems.birth_death import birth_death

TABLE = EnvironmentTable(
    (Environment("007", {}, "visible"), Environment("north", {}, "visible"), Environment("new", {}, "interpolation")),
    (),
    Path("places.csv"),
)
LONG = """environment,time,y,x,note
007,0,1,2.5,a
north,3,4,1,b
007,0,2,3.5,c
007,5,3,4.5,d
new,1,1,9,e
new,4,2,8,f
new,2,5,7,g
"""


def settings(file: Path, **further) -> SnapshotSettings:
    return SnapshotSettings(source="csv", file=str(file), state="real", dimensions=["x", "y"], **further)


def shown_rows(snapshots: FamilySnapshots, id: str, number: int, count: int) -> list[int]:
    """Rows that are shown of the first or the second of two snapshots, by the seed's permutation."""
    order = np.random.default_rng(derive_seed(0, "shown", id)).permutation(len(snapshots.environments[id].train[0]))
    return np.array_split(order, 2)[number][:count].tolist()


def assert_same(first: FamilySnapshots, second: FamilySnapshots) -> None:
    assert first.digest == second.digest
    assert (first.dimensions, first.states, first.time_unit) == (second.dimensions, second.states, second.time_unit)
    for id, one in first.environments.items():
        assert one.trajectories == second.environments[id].trajectories


def test_a_long_table_gives_each_environment_its_own_times(tmp_path):
    (tmp_path / "long.csv").write_text(LONG)
    found = import_family(settings(tmp_path / "long.csv", held_out=0.5), TABLE, 0)

    assert list(found.environments) == ["007", "north", "new"]
    first = found.environments["007"]
    assert first.times.tolist() == [0, 5]
    both = sorted([*first.train[0].tolist(), *first.held_out[0].tolist()])
    assert both == [[2.5, 1], [3.5, 2]] and len(first.train[0]) == len(first.held_out[0]) == 1
    assert found.environments["north"].train[0].tolist() == [[1, 4]]  # a single sample is seen, none is held out
    assert found.environments["new"].times.tolist() == [1, 2, 4]


def test_a_folder_is_read_as_the_long_table_of_its_files(tmp_path):
    (tmp_path / "long.csv").write_text(LONG)
    folder = tmp_path / "each"
    folder.mkdir()
    for id in TABLE.ids:
        rows = [line.split(",")[1:4] for line in LONG.splitlines() if line.split(",")[0] == id]
        (folder / f"{id}.csv").write_text("\n".join(["time,y,x", *map(",".join, rows)]))

    assert_same(import_family(settings(folder), TABLE, 0), import_family(settings(tmp_path / "long.csv"), TABLE, 0))
    assert source_files(settings(folder), TABLE) == [str(folder / f"{id}.csv") for id in TABLE.ids]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LONG.replace("new", "old"), "found no row of new"),
        (LONG.replace("north,3", ",3"), "line 3, column environment: found no value"),
        (LONG.replace("4,1,b", "4,?,b"), "line 3, column x: found '?'"),
        (LONG.replace("environment", "place"), "found no column 'environment'"),
    ],
)
def test_long_tables_that_cannot_be_used_are_refused(tmp_path, text, words):
    (tmp_path / "long.csv").write_text(text)
    with pytest.raises(InputError, match=r"long\.csv") as found:
        import_family(settings(tmp_path / "long.csv"), TABLE, 0)
    assert words in str(found.value)


def test_a_missing_file_of_a_folder_is_named(tmp_path):
    (tmp_path / "007.csv").write_text("time,x,y\n0,1,1\n")
    with pytest.raises(InputError, match=r"north\.csv: found no such file"):
        source_files(settings(tmp_path), TABLE)
    with pytest.raises(InputError, match="expected one with a npz file for each environment"):
        source_files(SnapshotSettings(source="npz", file=str(tmp_path / "x"), state="real", dimensions=["x"]), TABLE)


def test_counts_beyond_the_states_are_refused(tmp_path):
    (tmp_path / "long.csv").write_text(LONG)
    counts = SnapshotSettings(source="csv", file=str(tmp_path / "long.csv"), state="counts", states=5, dimensions=["y"])
    with pytest.raises(
        InputError, match="new: time 2: dimension y, sample 0: found 5, expected a whole number from 0 to 4"
    ):
        import_family(counts, TABLE, 0)


def test_simulated_environments_follow_their_own_parameters_and_survive_the_disk(tmp_path):
    table = birth_death_table()
    found = simulate_family(birth_death_settings(), table, seed=3)

    for environment in table:
        law = birth_death(birth=environment.parameters["birth"], death=0.8, molecules=12, horizon=4.2).law
        assert law is not None
        own = found.environments[environment.id]
        deviation = law.variance(4.2)[0] ** 0.5
        # Four standard errors of a mean of 400, of each of seven environments.
        assert own.train[-1].mean() == pytest.approx(law.mean(4.2)[0], abs=4 * deviation / 20)
        assert own.observed.tolist() == [True, False] * 3 + [True]
    found.save(tmp_path / "snapshots.nc")
    assert_same(FamilySnapshots.load(tmp_path / "snapshots.nc"), found)


def test_an_environment_is_simulated_alike_whatever_others_there_are():
    table = birth_death_table()
    few = EnvironmentTable((table["new"], table["a"]), table.parameter_names, table.path)
    whole, part = (simulate_family(birth_death_settings(), one, seed=3) for one in (table, few))
    for id in few.ids:
        np.testing.assert_array_equal(part.environments[id].train[-1], whole.environments[id].train[-1])


def test_a_parameter_that_stands_in_the_settings_too_is_refused():
    both = birth_death_settings().model_copy(update={"settings": {"birth": 3}})
    with pytest.raises(InputError, match=r"data\.settings: found birth"):
        simulate_family(both, birth_death_table(), 0)


def test_shown_snapshots_are_of_other_trajectories_and_scores_come_after_all_of_them():
    snapshots = simulate_family(birth_death_settings(), birth_death_table(), seed=3)
    shown = {
        "early": ShownSettings(times=[0.7, 1.4], samples=150),
        "later": ShownSettings(snapshots=3, samples=20),
    }
    early, later = cases_of(snapshots, ["new", "a"], shown, 0)

    for place, id in enumerate(early.ids):
        first, second = (shown_rows(snapshots, id, position, 150) for position in (0, 1))
        assert not set(first) & set(second)
        for position, rows, values in zip((1, 2), (first, second), early.samples[place], strict=True):
            np.testing.assert_array_equal(snapshots.environments[id].train[position][rows], values)
        assert later.times[place] == tuple(snapshots.environments[id].times[[0, 2, 4]])  # observed ones
    assert [len(values) for values in later.samples[0]] == [20, 20, 20]
    again = cases_of(snapshots, ["a"], shown, 0)[0]
    np.testing.assert_array_equal(again.samples[0][1], early.samples[1][1])  # whatever others are asked for

    evaluation = FamilyEvaluationSettings(shown=shown, times=[1.4, 3.5, 4.2])
    one = snapshots.environments["new"]
    assert [one.times[place] for place in scored_positions(one, "new", last_shown([early, later], 0), evaluation)] == [
        one.times[5],
        one.times[6],
    ]
    with pytest.raises(InputError, match="new: found no time with held-out samples after"):
        scored_positions(one, "new", 4.2, evaluation)
    with pytest.raises(InputError, match=r"evaluation\.shown\.early: new: found no snapshot at 0\.5"):
        cases_of(snapshots, ["new"], {"early": ShownSettings(times=[0.5], samples=3)}, 0)
