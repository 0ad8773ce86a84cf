"""Which visible environments are left out of a training, and what prior of codes they choose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from families_kit import normal_family
from refusals import refused

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.run import Run
from weightcast.families.cases import cases_of
from weightcast.families.config.evaluation import FamilyEvaluationSettings
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.study import FamilyStudy
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.jobs import ChooseMap, FamilyPlan
from weightcast.families.left_out import choose_judges
from weightcast.families.snapshots import EnvironmentSnapshots, FamilySnapshots
from weightcast.families.stages.choose_map import choose_prior

EVALUATION = {"shown": {"one": {"times": [1], "samples": 2}}, "samples": 100}


def normal_samples(means: dict[str, float], scale: float = 1.0) -> FamilySnapshots:
    """Normal laws that stay as they are, at times 1 and 2."""
    draws = np.random.default_rng(0)
    environments = {}
    for id, mean in means.items():
        train, held_out = (tuple(mean + scale * draws.standard_normal((200, 1)) for _ in range(2)) for _ in range(2))
        environments[id] = EnvironmentSnapshots(np.array([1.0, 2.0]), np.array([True, True]), train, held_out, False)
    return FamilySnapshots(environments, ("x",), None)


def table_of(means: dict[str, float], parameters: bool) -> EnvironmentTable:
    """Parameters, where there are any, are the means."""
    rows = tuple(Environment(id, {"mean": mean} if parameters else {}, "visible") for id, mean in means.items())
    return EnvironmentTable(rows, ("mean",) if parameters else (), Path("normal.csv"))


@pytest.mark.parametrize("parameters", [True, False])
def test_half_of_the_judges_lie_at_the_edge(parameters: bool) -> None:
    means = {f"e{place}": float(mean) for place, mean in enumerate([0, 1, -9, 2, -1, 9, -2, 0.5])}
    evaluation = FamilyEvaluationSettings.model_validate(EVALUATION)
    told = (normal_samples(means), table_of(means, parameters))
    edge, inside = choose_judges(*told, 3, evaluation, [], Draws("cpu", "judges"))
    assert edge == ["e2", "e5"] and len(inside) == 1 and not set(edge) & set(inside)
    others = [choose_judges(*told, 3, evaluation, [], Draws("cpu", seed))[1] for seed in range(20)]
    assert len({one[0] for one in others}) > 3
    with refused("paths.left_out: found 8 visible environments", "expected 9 or more"):
        choose_judges(*told, 9, evaluation, [], Draws("cpu", "judges"))


def test_an_environment_that_cannot_be_tested_on_is_no_judge() -> None:
    means = {f"e{place}": float(mean) for place, mean in enumerate([0, 1, -9, 2, -1, 9])}
    snapshots = normal_samples(means)
    own = snapshots.environments["e5"]
    cut = EnvironmentSnapshots(own.times[:1], own.observed[:1], own.train[:1], own.held_out[:1], False)
    less = FamilySnapshots({**snapshots.environments, "e5": cut}, ("x",), None)
    evaluation = FamilyEvaluationSettings.model_validate(EVALUATION)
    edge, inside = choose_judges(less, table_of(means, True), 3, evaluation, [], Draws("cpu", "judges"))
    assert "e2" in edge and "e5" not in [*edge, *inside]


@pytest.mark.parametrize(("means", "expected"), [((-0.3, 0.2, 0.1), 1.0), ((-8.0, 8.0, 7.0), 8.0)])
def test_a_prior_is_as_wide_as_left_out_environments_need_it(means: tuple[float, ...], expected: float) -> None:
    """Codes are means, about as far apart as 1; two samples of a normal law as wide as 2 say little of one."""
    family = normal_family(2.0, [-1.3, -0.4, 0.2, 0.9, 0.6, -0.8])
    ids = {f"j{place}": mean for place, mean in enumerate(means)}
    snapshots, table = normal_samples(ids, 2.0), table_of(ids, False)
    study = FamilyStudy.model_validate(
        {
            "study": "normal",
            "kind": "environments-time",
            "environments": "normal.csv",
            "data": {"source": "csv", "file": "normal.csv", "state": "real", "dimensions": ["x"]},
            "density": {"hidden": 1},
            "paths": {"training": {"steps": 1, "learning_rate": 0.01}},
            "evaluation": EVALUATION,
            "inference": {"widened": [1, 8], "priors": ["gaussian"], "inflations": [1], "proposals": 64},
        }
    )
    settings = ChooseMap.of(FamilyPlan(study), "codes")
    cases = cases_of(snapshots, list(ids), settings.evaluation.shown, 0)
    tests = TestEnvironment.each(snapshots, table, list(ids), cases, settings)
    found, chosen = choose_prior(Run(), settings, family, cases, tests)
    assert chosen.widened == expected
    assert found.widened == expected and found.kind == "gaussian" and set(found.width_errors) == {1.0, 8.0}
    assert InferenceSettings().widened[0] == 1.25  # what is taken where nothing is chosen
