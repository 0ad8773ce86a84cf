"""What a study says to use, computed from errors whose relations are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from weightcast.core.significance import paired_ratio
from weightcast.environments.advice import Answer, give_advice
from weightcast.environments.config.evaluation import ObservedCase

HORIZON = 4
CASES = (ObservedCase(frames=10), ObservedCase(frames=2), ObservedCase(frames=10, noise=0.1))


def observed(ten: dict[str, float], two: dict[str, float] | None = None, environments: int = 12) -> pd.DataFrame:
    """Errors of methods: what they are on average times what an environment is like, with a scatter of 2 %."""
    random = np.random.default_rng(11)
    hard = random.lognormal(0, 0.4, environments)
    rows = []
    for case, typical in zip(CASES, (ten, ten | (two or {}), dict.fromkeys(ten, 9.0)), strict=True):
        for method, error in typical.items():
            for number in range(environments):
                value = error * hard[number] * random.lognormal(0, 0.02)
                cell = (case.name, "records", method, "interpolation", f"place-{number}", 0)
                rows += [(*cell, HORIZON, "rmse", value), (*cell, 1, "rmse", 100 * value)]
    columns = ["case", "study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def advice(*errors: dict[str, float], environments: int = 12) -> dict[str, Answer]:
    answers = give_advice(observed(*errors, environments=environments), CASES, HORIZON)
    assert all("\n" not in answer.answer for answer in answers)
    return {answer.question: answer for answer in answers}


MATTERS = {"persistence": 2.0, "trees": 1.3, "erm": 1.2, "context": 0.6, "one-per-env-erm": 0.58}


def test_where_the_environment_matters_what_is_made_of_frames_is_used():
    found = advice(MATTERS, {"context": 1.1})
    assert found["use"].method == "context"
    assert found["use"].answer.startswith("Use From frames: most probable (0.")
    assert "10 frames" in found["use"].answer
    assert found["use"].other == "erm"
    assert found["use"].ratio == pytest.approx(0.5, rel=0.03)
    assert found["use"].p < 0.001
    assert found["environment"].answer.startswith("The environment matters")
    assert found["environment"].low < 0.58 / 1.2 < found["environment"].high
    assert (found["environment"].method, found["environment"].other) == ("one-per-env-erm", "erm")


def test_nobody_is_told_to_use_the_context_without_its_prior():
    """A part of it, which no command makes, however good it is."""
    found = advice(MATTERS | {"code-adaptation": 0.55})
    assert found["use"].method == "context"
    assert "Code adaptation" not in found["use"].answer


def test_it_says_how_many_frames_make_up_for_a_record():
    assert (
        "Not even 10 frames" in advice(MATTERS, {"context": 1.1})["frames"].answer
    )  # 3 % worse, with a scatter of 2 %
    found = advice(MATTERS | {"context": 0.57}, {"context": 1.1})["frames"]
    assert found.answer.startswith("10 frames make up for a whole record")
    assert advice(MATTERS | {"context": 0.57}, {"context": 0.57})["frames"].answer.startswith("2 frames")


@pytest.mark.parametrize(
    ("best", "others"),
    [
        ("erm", {"persistence": 2.0, "trees": 1.2, "context": 1.0, "one-per-env-erm": 1.0}),
        ("trees", {"persistence": 2.0, "erm": 1.3, "context": 1.2, "one-per-env-erm": 1.2}),
        ("persistence", {"trees": 1.2, "erm": 1.3, "context": 1.1, "one-per-env-erm": 1.2}),
        ("autoregression-observed", {"persistence": 2.0, "autoregression": 1.3, "erm": 1.3, "one-per-env-erm": 1.2}),
    ],
)
def test_the_simplest_of_those_that_cannot_be_told_apart_is_used(best, others):
    use = advice({best: 1.0} | others)["use"]
    assert use.method == best
    assert use.answer.startswith("Use ")


def test_no_environment_that_matters_is_said_so():
    alike = advice({"persistence": 2.0, "erm": 1.0, "context": 1.0, "one-per-env-erm": 1.0})
    assert alike["environment"].low <= 1 <= alike["environment"].high
    assert "cannot be told" in alike["environment"].answer
    assert alike["frames"].answer.startswith("No frames are needed: ERM")
    worse = advice({"persistence": 2.0, "erm": 1.0, "one-per-env-erm": 1.3})
    assert "too little to gain by" in worse["environment"].answer


def told(errors: dict[str, list[float]]) -> dict[str, Answer]:
    """Answers to errors of methods in places, from 10 frames."""
    rows = [
        (CASES[0].name, "records", method, "interpolation", f"place-{number}", 0, HORIZON, "rmse", error)
        for method, own in errors.items()
        for number, error in enumerate(own)
    ]
    columns = ["case", "study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    answers = give_advice(pd.DataFrame(rows, columns=columns), CASES[:1], HORIZON)
    return {answer.question: answer for answer in answers}


def test_the_environment_matters_where_the_paired_test_says_so():
    """An interval below 1 is not enough: of six places one may bear all of it, and of four there is no test."""

    def matters(own: list[float]) -> Answer:
        return told({"erm": [1.0] * len(own), "one-per-env-erm": own})["environment"]

    one = matters([0.05, 0.98, 0.99, 1.01, 0.97, 1.02])
    assert one.p > 0.05 and one.answer.startswith("Whether the environment matters cannot be told")
    four = matters([0.5, 0.6, 0.5, 0.6])
    assert four.high < 1 and math.isnan(four.p) and four.answer.startswith("Whether the environment matters cannot")
    six = matters([0.5, 0.6, 0.5, 0.6, 0.55, 0.58])
    assert six.p < 0.05 and six.answer.startswith("The environment matters")


def test_frames_make_up_for_a_record_only_where_errors_are_as_small():
    """An interval around 1 is not enough: errors that are 17 % larger are larger."""

    def frames(own: list[float]) -> Answer:
        return told({"one-per-env-erm": [1.0] * len(own), "context": own})["frames"]

    unsure = frames([0.8, 0.95, 1.0, 1.4, 1.5, 1.6])
    assert unsure.low <= 1 and unsure.ratio > 1.05
    assert unsure.answer.startswith("Whether 10 frames make up for a whole record cannot be told")
    assert frames([0.9, 1.0, 1.05, 1.1, 1.1, 0.95]).answer.startswith("10 frames make up")
    assert frames([1.1, 1.2, 1.15, 1.1, 1.2, 1.1]).answer.startswith("Not even 10 frames make up")


def test_what_is_told_parameters_is_no_choice_for_a_place_that_nobody_can_name():
    use = advice({"film": 0.1, "own-trees": 0.1, "erm": 1.0, "context": 0.5, "persistence": 2.0})["use"]
    assert use.method == "context"
    assert "FiLM" not in use.answer


def test_noisy_cases_have_no_say():
    """In the third case of the made-up study everything is off by nine."""
    assert advice(MATTERS)["use"].answer.count("(9.") == 0


def test_few_environments_are_no_test():
    found = advice(MATTERS, environments=4)
    assert math.isnan(found["use"].p)
    assert ", p " not in found["use"].answer


def test_a_study_that_compares_nothing_says_nothing():
    assert give_advice(observed({"one-per-env-erm": 1.0}), CASES, HORIZON) == []


def test_paired_ratios_are_geometric_and_take_infinity():
    first, second = np.array([1.0, 8.0, 2.0]), np.array([2.0, 2.0, 2.0])
    assert paired_ratio(first, second).ratio == pytest.approx((0.5 * 4 * 1) ** (1 / 3))
    assert math.isnan(paired_ratio(first, second).p)
    diverged = paired_ratio(np.array([np.inf, 1.0]), np.array([np.inf, 1.0]))
    assert (diverged.ratio, diverged.low, diverged.high) == (1.0, 1.0, 1.0)
    assert paired_ratio(np.array([np.inf]), np.array([1.0])).ratio == pytest.approx(1e6)


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says():
    """Log-normal ratios around 0.8, of 30 environments, 300 times: 95 %, less a few for so few environments."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        found = paired_ratio(0.8 * random.lognormal(0, 0.3, 30), np.ones(30), draws=400)
        held += found.low <= 0.8 <= found.high
    assert 0.90 <= held / 300 <= 0.98
