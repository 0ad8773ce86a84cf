"""Visible environments that cannot be tested on are learned from, and never left out to choose."""

from __future__ import annotations

from dataclasses import replace

from families_kit import birth_death_settings, birth_death_table
from refusals import refused

from weightcast.core.run import Run
from weightcast.families.config.study import FamilyStudy
from weightcast.families.gathering import simulate_family
from weightcast.families.jobs import ChooseMap, FamilyPlan
from weightcast.families.scorable import check_cases
from weightcast.families.snapshots import EnvironmentSnapshots, FamilySnapshots
from weightcast.families.stages.choose_map import choose_map


def study(left_out: int) -> FamilyStudy:
    return FamilyStudy.model_validate(
        {
            "study": "births",
            "kind": "environments-time",
            "environments": "births.csv",
            "data": birth_death_settings().model_dump(mode="json"),
            "density": {"hidden": 2},
            "paths": {
                "kinds": ["deep"], "code": 1, "rank": 2, "width": 2, "left_out": left_out,
                "training": {"steps": 1, "learning_rate": 0.01, "members": 2, "batch": 2},
            },
            "evaluation": {"shown": {"two": {"samples": 5}}, "samples": 10, "times": [4.2]},
        }
    )  # fmt: skip


def first_time_alone(one: EnvironmentSnapshots) -> EnvironmentSnapshots:
    return replace(one, times=one.times[:1], observed=one.observed[:1], train=one.train[:1], held_out=one.held_out[:1])


def left_out(snapshots: FamilySnapshots, number: int) -> list[str]:
    settings = ChooseMap.of(FamilyPlan(study(number)), "parameters")
    choice = choose_map(Run(), settings, snapshots, birth_death_table())
    return [*choice.edge, *choice.inside]


def test_an_environment_of_one_time_is_passed_over_and_the_others_are_as_before() -> None:
    table = birth_death_table()
    whole = simulate_family(birth_death_settings(), table, 0)
    before = left_out(whole, 3)
    chosen = before[1]
    found = FamilySnapshots(
        {id: first_time_alone(one) if id == chosen else one for id, one in whole.environments.items()},
        whole.dimensions,
        whole.states,
    )
    after = left_out(found, 3)
    assert chosen not in after and set(before) - {chosen} < set(after)
    assert check_cases(study(3), found, table) == []
    with refused("paths.left_out: found 5 visible environments", "expected 6 or more"):
        check_cases(study(6), found, table)
    with refused("paths.left_out: found 5 visible environments", "expected 6 or more"):
        left_out(found, 6)


def test_times_beyond_all_visible_snapshots_are_a_warning() -> None:
    table = birth_death_table()
    whole = simulate_family(birth_death_settings(), table, 0)
    new = whole.environments["new"]
    later = replace(new, times=new.times + 0.5)
    found = FamilySnapshots(dict(whole.environments) | {"new": later}, whole.dimensions, whole.states)
    moved = study(3).model_copy(update={"evaluation": study(3).evaluation.model_copy(update={"times": None})})
    (warning,) = check_cases(moved, found, table)
    assert warning.startswith("new: found times from 0.5 to 4.7, outside of those of visible snapshots, 0 to 4.2")
