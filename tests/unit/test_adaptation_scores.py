"""Scores of adaptation against errors that are known, and their table."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from weightcast.core.errors import InputError
from weightcast.core.methods import method
from weightcast.environments.adaptation_scores import SCORES, adaptation_scores
from weightcast.environments.adaptation_table import adaptation_table
from weightcast.environments.evaluation import TestSet
from weightcast.environments.report.adaptation import adaptation_tables
from weightcast.environments.report.inputs import StudyResults


def scores(forecast, truth, start, trained=2, horizons=(2, 4)):
    found = adaptation_scores(forecast, truth, start, trained, horizons)
    return {(score, horizon): value for score, horizon, value in found}


@pytest.fixture
def frames():
    """Three trajectories of five frames, all of size 2: the first frame is the start."""
    return torch.full((3, 5, 2, 4, 4), 2.0)


def test_the_given_frame_counts_and_has_no_error(frames):
    found = scores(frames[:, 1:] + 1.0, frames[:, 1:], frames[:, 0])

    assert found["mse", 2] == pytest.approx(2 / 3)  # two frames of error 1, and the start
    assert found["mse", 4] == pytest.approx(4 / 5)
    assert found["relative_error", 2] == pytest.approx(2 / 3 * 0.5)
    assert found["relative_l2", 2] == pytest.approx(math.sqrt(2 * 1 / (3 * 4)))


def test_frames_beyond_the_trained_ones_are_scored_by_themselves(frames):
    late = frames[:, 1:].clone()
    late[:, 2:] += 1.0
    found = scores(late, frames[:, 1:], frames[:, 0])

    assert found["relative_l2", 2] == 0
    assert found["relative_l2_beyond", 4] == pytest.approx(0.5)
    assert ("relative_l2_beyond", 2) not in found


def test_the_relative_norm_is_a_mean_over_trajectories(frames):
    frames[0] *= 10  # a norm over all trajectories together would be ruled by this one
    found = scores(frames[:, 1:] + 1.0, frames[:, 1:], frames[:, 0])

    each = [math.sqrt(2 / (3 * size**2)) for size in (20, 2, 2)]
    assert found["relative_l2", 2] == pytest.approx(sum(each) / 3)


def test_what_is_zero_in_truth_and_forecast_has_no_relative_error(frames):
    frames[:, :, 1] = 0
    forecast = frames[:, 1:].clone()
    forecast[:, :, 0] += 1.0
    assert scores(forecast, frames[:, 1:], frames[:, 0])["relative_error", 4] == pytest.approx(4 / 5 * 0.5)

    forecast[:, :, 1] += 1.0
    assert scores(forecast, frames[:, 1:], frames[:, 0])["relative_error", 4] == math.inf


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_forecast_that_blows_up_has_infinite_errors(frames, bad):
    forecast = frames[:, 1:].clone()
    forecast[0, 3] = bad
    found = scores(forecast, frames[:, 1:], frames[:, 0])

    assert found["mse", 2] == 0
    assert [found[score, 4] for score in SCORES] == [math.inf] * 4


def test_an_evaluation_is_scored_so_only_where_it_is_asked_for(frames):
    test = TestSet("study", {"a": "visible"}, frames[None], (2, 4))
    asked = TestSet("study", {"a": "visible"}, frames[None], (2, 4), scored_after=2)
    forecast = frames[:, 1:] + 1.0
    plain = [row["metric"] for row in test.rows("erm", 0, "a", forecast)]
    scored = {(row["metric"], row["horizon"]): row["value"] for row in asked.rows("erm", 0, "a", forecast)}

    assert not set(SCORES) & set(plain)
    assert scored["mse", 2] == pytest.approx(2 / 3)
    assert scored["rmse_physical", 2] == pytest.approx(1.0)


def made_up_metrics():
    """Two visible and two unseen environments; a method of two seeds and one of one."""
    rows = []
    splits = {"a": "visible", "b": "visible", "c": "interpolation", "d": "extrapolation"}
    for name, seeds in (("generator-mine-observed", 2), ("erm", 1)):
        for position, (environment, split) in enumerate(splits.items()):
            for seed in range(seeds):
                value = 1.0 + position + 10 * seed
                rows += [("study", name, split, environment, seed, 2, score, value) for score in (*SCORES[:3], "rmse")]
                rows += [("study", name, split, environment, seed, 4, score, 2 * value) for score in SCORES]
    columns = ["study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_the_table_means_over_environments_and_spreads_over_seeds():
    table = adaptation_table(made_up_metrics(), trained_horizon=2).set_index(["method", "task", "score"])

    adapted = table.loc["generator-mine-observed", "adaptation", "mse"]
    assert adapted["mean"] == pytest.approx((3.5 + 13.5) / 2)
    assert adapted["deviation"] == pytest.approx(math.sqrt(50))  # of 3.5 and 13.5
    assert (adapted["environments"], adapted["seeds"]) == (2, 2)
    assert math.isnan(table.loc["erm", "in domain", "mse"]["deviation"])
    assert table.loc["erm", "in domain", "mse"]["mean"] == 1.5
    assert table.loc["erm", "in domain", "relative_l2_beyond"]["mean"] == 3.0  # at the longest horizon


def test_a_study_that_was_not_scored_has_no_table():
    metrics = made_up_metrics()
    with pytest.raises(InputError, match=r"expected evaluation\.adaptation_scores: true"):
        adaptation_table(metrics[metrics["metric"] == "rmse"], trained_horizon=2)


def test_the_report_says_who_was_told_the_parameters():
    metrics = made_up_metrics()
    told = metrics[metrics["method"] == "erm"].assign(method="film")
    results = StudyResults("study", pd.concat([metrics, told]), pd.DataFrame(), pd.DataFrame(), [], "", 2, 100)
    in_domain, adaptation = adaptation_tables(results)

    marks = {row.method.name: row.marks for row in adaptation.rows}
    assert marks == {"erm": [], "generator-mine-observed": [], "film": ["told the parameters"]}
    assert [row.cells[0].value for row in adaptation.rows] == sorted(row.cells[0].value for row in adaptation.rows)
    assert len(in_domain.columns) == len(in_domain.rows[0].cells) == 4
    assert any("±" in cell.note for row in adaptation.rows for cell in row.cells)


def test_pooled_networks_and_what_is_trained_from_them_are_told_nothing():
    told = {name for name in ("erm", "finetune-erm", "one-per-env-erm", "film", "persistence") if is_told(name)}
    assert told == {"film"}
    assert is_told("nearest-expert-erm")  # the nearest in parameters
    assert not is_told("film-matched-observed")


def is_told(name: str) -> bool:
    return method(name).told_parameters
