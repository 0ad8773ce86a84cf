"""The real Snakefile on a study across time, and what is run again after which change."""

from __future__ import annotations

import signal

import pandas as pd
import pytest
import xarray as xr
from checkout import Checkout, copy_repository
from interrupted_run import half_written, interrupt, made

from weightcast import WeightPath
from weightcast.cli.main import main
from weightcast.core.artifact_header import read_metadata

CONFIG = "tests/workflow/mini-time.yaml"
METHODS = {
    "flow-cde", "flow-paper", "displacement", "last-snapshot", "sampling-floor",
    *(f"{curve}-{kind}" for curve in ("linear", "pchip") for kind in ("aligned", "bridged")),
}  # fmt: skip
AFTER_FLOW = {"evaluate_flow", "summarise_times", "show_distributions", "map_path", "write_time_report"}


@pytest.fixture(scope="module")
def across_time(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_repository(tmp_path_factory.mktemp("across-time"))
    checkout.snakemake(config=CONFIG)
    return checkout


def test_jobs_are_those_that_the_study_asks_for(across_time):
    folds, kinds_of_anchors, arms = 2, 2, 2  # all snapshots, and without the one that is left out
    forecasts = 1  # of the last snapshot, by the first arm alone, with the anchors that it starts from
    assert across_time.announced() == {
        "train_anchors": kinds_of_anchors * folds + forecasts,
        "evaluate_anchors": kinds_of_anchors * folds,
        **dict.fromkeys(("train_flow", "evaluate_flow"), arms * folds + forecasts),
        "evaluate_samples": folds + forecasts,
        **dict.fromkeys(("resolve_config", "simulate_snapshots", "map_path", "show_distributions"), 1),
        **dict.fromkeys(("summarise_times", "write_time_report", "all"), 1),
    }  # fmt: skip


def test_a_run_that_is_killed_and_asked_to_end_makes_the_same(across_time, tmp_path):
    again = copy_repository(tmp_path)
    assert interrupt(again, CONFIG, signal.SIGKILL, results=1) == -signal.SIGKILL
    assert interrupt(again, CONFIG, signal.SIGTERM, results=2) > 0
    again.snakemake(config=CONFIG)  # the same command, and nothing in between
    assert made(again) == made(across_time) and len(made(again)) > 10
    assert not half_written(again)
    assert not list((again.folder / "results/mini-time/.state/training").glob("[!.]*"))


def test_tables_have_every_method_split_and_column(across_time):
    results = across_time.folder / "results/mini-time"
    metrics = pd.read_csv(results / "metrics.csv")
    summary = pd.read_csv(results / "summary.csv")

    assert list(metrics) == ["study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    assert set(metrics.method) == METHODS
    assert set(metrics.split) == {"observed", "unobserved", "held_out", "forecast", "source"}
    forecasts = metrics[metrics.split == "forecast"]
    assert set(forecasts.method) == {"flow-cde", "last-snapshot", "sampling-floor"}
    assert "t=50" in set(forecasts.environment)
    assert set(metrics[metrics.split == "held_out"].environment) == {"t=25"}
    assert set(metrics[metrics.method == "flow-cde"].seed) == {0}
    assert not metrics.duplicated(["method", "split", "environment", "seed", "metric"]).any()
    assert metrics.value.notna().all()
    assert {"wasserstein", "jsd", "paper_w"} <= set(metrics[metrics.split == "source"].metric)
    assert "nll" in set(metrics[metrics.method == "flow-cde"].metric)
    assert list(summary) == [
        "method", "split", "metric", "median", "ci_low", "ci_high", "n", "p_vs_best_baseline", "parameters",
        "train_seconds", "adapt_seconds",
    ]  # fmt: skip
    assert (summary.ci_low <= summary.ci_high).all()
    assert (summary[summary.method.str.startswith("flow")].train_seconds > 0).all()


def test_the_report_is_one_offline_page_with_figures_beside_it(across_time):
    results = across_time.folder / "results/mini-time"
    page = (results / "report.html").read_text()

    assert "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page
    assert "Flow: cde" in page
    assert len(list((results / "figures").iterdir())) >= 5


def test_afterwards_there_is_nothing_to_do(across_time):
    assert across_time.planned(config=CONFIG) == {}


def test_the_path_gives_a_density_at_any_time(across_time):
    density = WeightPath.load(across_time.folder / "results/mini-time").at(12.25)

    assert density.sample(7).shape == (7, 3)
    assert density.log_prob(density.sample(7)).isfinite().all()


def test_evolve_writes_samples_at_the_times_asked_for(across_time, monkeypatch):
    monkeypatch.chdir(across_time.folder)
    main(["evolve", "results/mini-time", "--times", "0:50:12.5", "-n", "20", "--seed", "3", "-o", "samples.nc"])

    with xr.open_dataset(across_time.folder / "samples.nc") as samples:
        assert samples["x"].dims == ("time", "sample", "dimension")
        assert samples["x"].shape == (5, 20, 3)
        assert samples["time"].to_numpy().tolist() == [0, 12.5, 25, 37.5, 50]
        assert samples["dimension"].to_numpy().tolist() == ["S", "I", "R"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--times", "0:51:1"), "--extrapolate"),
        (("--times=-1,3",), "snapshots' range"),
        (("--times", "3,2"), "increase"),
        (("--times", "0,1", "-n", "0"), "at least 1"),
        (("--times", "0,1", "--arm", "unknown"), "cde, paper"),
    ],
)
def test_evolve_refuses_what_it_cannot_do(across_time, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(across_time.folder)
    with pytest.raises(SystemExit) as ended:
        main(["evolve", "results/mini-time", *arguments, "-o", "refused.nc"])

    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1 and words in said
    assert not (across_time.folder / "refused.nc").exists()


def test_a_setting_of_the_flow_reruns_flows_and_what_follows(across_time):
    changed = across_time.folder / "changed.yaml"
    text = (across_time.folder / CONFIG).read_text()
    changed.write_text(text.replace("  width: 8", "  energy: 1.0e-5\n  width: 8"))

    assert set(across_time.planned(config="changed.yaml")) == {
        "all", "train_flow", "resolve_config", *AFTER_FLOW,
    }  # fmt: skip


def test_a_setting_of_one_arm_reruns_that_arm_alone(across_time):
    changed = across_time.folder / "changed.yaml"
    text = (across_time.folder / CONFIG).read_text()
    changed.write_text(text.replace("objective: both", "objective: anchors"))

    planned = across_time.planned(config="changed.yaml")
    assert planned["train_flow"] == 2  # with and without the snapshot that is left out
    assert "train_anchors" not in planned


def test_leaving_a_kind_of_anchors_out_retrains_none_of_the_others(across_time):
    changed = across_time.folder / "changed.yaml"
    text = (across_time.folder / CONFIG).read_text()
    paper = next(line for line in text.splitlines(keepends=True) if line.startswith("    paper:"))
    changed.write_text(text.replace("kinds: [aligned, bridged]", "kinds: [bridged]").replace(paper, ""))

    planned = across_time.planned(config="changed.yaml")
    assert "summarise_times" in planned
    assert not {"train_anchors", "train_flow", "evaluate_anchors", "evaluate_flow"} & planned.keys()


def test_a_setting_of_the_evaluation_reruns_what_uses_it(across_time):
    changed = across_time.folder / "changed.yaml"
    text = (across_time.folder / CONFIG).read_text()
    changed.write_text(text.replace("bootstrap: 100", "bootstrap: 200"))

    planned = across_time.planned(config="changed.yaml")
    assert set(planned) == {"all", "resolve_config", "summarise_times", "write_time_report"}


def test_artifacts_say_where_they_come_from_and_how_their_training_went(across_time):
    flow = read_metadata(across_time.folder / "results/mini-time/flow/all/paper-0.safetensors")

    assert flow["stage"] == "train_flow"
    assert set(flow["inputs"]) == {"anchors", "snapshots"}
    assert set(flow["curves"]) == {"flow, anchors", "flow, likelihood"}
    assert len(flow["curves"]["flow, anchors"]["training"]) == 3
    assert not list((across_time.folder / "results/mini-time/.state/training").glob("*"))


def test_editing_library_code_reruns_the_stages_that_use_it(across_time):
    across_time.edit("weightcast/evolution/flow.py", '"""The flow:', '"""The flow, edited:')
    try:
        planned = across_time.planned(config=CONFIG)
    finally:
        across_time.edit("weightcast/evolution/flow.py", '"""The flow, edited:', '"""The flow:')
    assert "train_flow" in planned
    assert not {"simulate_snapshots", "train_anchors", "evaluate_anchors"} & planned.keys()
