"""The real Snakefile on an ordinary differential equation: a state without a grid, unknown environments, equations."""

from __future__ import annotations

import pandas as pd
import pytest
from checkout import JOBS_OF_ONE_ARM, Checkout, copy_repository

from weightcast.environments.adaptation_scores import SCORES

CONFIG = "tests/workflow/mini-ode.yaml"
DISTRIBUTIONS = ("crps", "rmse_mean", "spread_skill", "coverage_50", "coverage_90")
OBSERVED = {"film-matched-observed", "hypernetwork-observed", "generator-conditioned-observed"}
OBSERVED |= {"in-context", "sparse-equations", "autoregression-observed", "trees-observed"}


@pytest.fixture(scope="module")
def ode(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    pytest.importorskip("pysindy", reason="needs the extra symbolic")
    checkout = copy_repository(tmp_path_factory.mktemp("ode"))
    checkout.snakemake(config=CONFIG)
    return checkout


def test_jobs_are_those_that_the_study_asks_for(ode: Checkout) -> None:
    further = {
        "simulate_environments": 2,
        "tune_generator": 1,
        "generate_weights": 2,  # before the generator is fine-tuned, too
        "train_context": 1,
        "train_in_context": 1,
        "find_equations": 1,
        "evaluate_regressions": 1,
        "adapt_to_frames": 2,
        "summarise_observed": 1,
        "show_observed": 1,
        "describe_posteriors": 1,
        "evaluate_weights": 8,  # so are they evaluated; and weights from frames, of two cases
        "distil": 1,
    }
    assert ode.announced() == JOBS_OF_ONE_ARM | further


def test_nothing_is_left_to_do(ode: Checkout) -> None:
    assert not ode.planned(config=CONFIG)


def test_errors_are_those_of_a_state_and_unknown_environments_are_among_them(ode: Checkout) -> None:
    metrics = pd.read_csv(ode.folder / "results/mini-ode/metrics.csv")
    assert set(metrics.metric) == {
        "rmse",
        "rmse_physical",
        "nmse",
        *SCORES,
        *DISTRIBUTIONS,
    }  # there is no structure to be similar
    assert set(metrics.method) >= OBSERVED | {"generator-conditioned", "one-per-env-conditioned", "persistence"}
    assert set(metrics[metrics.method.isin(OBSERVED)].split) == {"interpolation", "extrapolation"}


def test_adaptation_scores_can_stand_beside_it(ode: Checkout) -> None:
    scores = pd.read_csv(ode.folder / "results/mini-ode/report/adaptation.csv").set_index(["method", "task", "score"])
    assert scores.loc["generator-conditioned-observed", "adaptation", "mse"]["mean"] > 0
    assert ("generator-conditioned-observed", "in domain", "mse") not in scores.index
    assert "Adaptation scores" in (ode.folder / "results/mini-ode/report.html").read_text()


def test_equations_stand_beside_the_true_ones(ode: Checkout) -> None:
    explanation = pd.read_csv(ode.folder / "results/mini-ode/report/explanation.csv")
    true = explanation[(explanation.environment == "p") & (explanation.truth != 0)]
    found = true.groupby(["equation", "term"]).truth.first().to_dict()
    assert found == {
        ("prey", "prey"): 0.5,
        ("prey", "prey predator"): -0.8,
        ("predator", "predator"): -0.5,
        ("predator", "prey predator"): 0.8,
    }


def test_the_report_has_lines_and_equations(ode: Checkout) -> None:
    results = ode.folder / "results/mini-ode"
    assert "Symbolic explanation" in (results / "report.html").read_text()
    figures = {path.stem for path in (results / "figures").iterdir()}
    assert {"rollout_p_prey", "rollout_p_predator"} <= figures
    assert (results / "report/environments.png").stat().st_size > 0
