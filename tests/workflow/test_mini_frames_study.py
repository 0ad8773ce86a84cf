"""The real Snakefile on environments of which a few frames are all that is known, and the command that asks for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from checkout import Checkout, copy_repository

from weightcast.cli.main import main
from weightcast.core.artifacts import load_artifact

CONFIG = "tests/workflow/mini-frames.yaml"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_repository(tmp_path_factory.mktemp("frames"))
    checkout.snakemake(config=CONFIG)
    return checkout


def test_labels_are_made_once_and_nothing_is_left_to_do(shown: Checkout) -> None:
    jobs = shown.announced()
    assert (jobs["label_environments"], jobs["correlate_labels"]) == (1, 1)
    assert not shown.planned(config=CONFIG)


def test_every_environment_is_forecast_and_labels_are_reported(shown: Checkout) -> None:
    results = shown.folder / "results/mini-frames"
    metrics = pd.read_csv(results / "metrics.csv")
    environments = set(metrics[metrics.method == "erm"].environment)
    for method in ("generator-frames", "generator-frames-weights-only", "generator-label", "film", "hypernetwork"):
        assert set(metrics[metrics.method == method].environment) == environments
    observed = pd.read_csv(results / "observed.csv")
    tuned = {f"finetune-{base}-observed{steps}" for base in ("erm", "lora", "film") for steps in ("", "-2", "-4")}
    assert tuned | {"in-context"} <= set(observed.method)
    costs = pd.read_csv(results / "report/method_costs.csv").set_index("method")
    assert costs.loc["in-context", ["parameters", "train_seconds", "adapt_seconds"]].gt(0).all()
    labels = pd.read_csv(results / "report/labels.csv")
    assert set(labels.parameter) == {"beta", "D"} and set(labels.component) == {1, 2}
    assert set(labels.base) == {"erm"}
    assert "Surrogate labels" in (results / "report.html").read_text()


def test_arms_that_are_told_frames_or_labels_stand_in_every_case(shown: Checkout) -> None:
    results = shown.folder / "results/mini-frames"
    observed = pd.read_csv(results / "observed.csv")
    assert set(observed.case) == {"3-frames", "1-frames-noise-0.05-masked-0.25"}
    for arm in ("frames", "pooled", "label"):
        for ending in ("-observed", "-observed-ensemble"):
            rows = observed[observed.method == f"generator-{arm}{ending}"]
            assert set(rows.case) == set(observed.case) and {"rmse", "crps", "coverage_90"} <= set(rows.metric)
        refined = observed[observed.method == f"generator-{arm}-observed-refined"]
        assert set(refined.case) == {"3-frames"} and "rmse" in set(refined.metric)  # one frame leaves no residual
    assert {"film-matched-observed", "hypernetwork-observed"} <= set(observed.method)
    attention = pd.read_csv(results / "report/attention.csv")
    assert list(attention.arm.unique()) == ["frames", "pooled", "label"]
    page = (results / "report.html").read_text()
    assert "What the encoder looks at" in page and "Generated: pooled, from frames: ensemble" in page
    assert "Generated: label, from frames, refined" in page


@pytest.mark.parametrize("condition", ["frames", "label"])
def test_predictors_are_generated_from_a_file_of_frames(
    shown: Checkout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    condition: str,
) -> None:
    values = np.random.default_rng(0).normal(size=(2, 12, 12)).astype("float32")
    values[:, ::2] = np.nan
    frames = dict.fromkeys(("u", "v"), (("time", "y", "x"), values))
    file, output = tmp_path / "observed.nc", tmp_path / "model.safetensors"
    xr.Dataset(frames, {"time": [0.0, 0.5]}).to_netcdf(file)
    monkeypatch.chdir(shown.folder)

    def generate(condition: str, *words: str) -> None:
        main(["generate", "results/mini-frames", "--condition", condition, *words, "-o", str(output)])

    generate(condition, "--frames", str(file), "-n", "2")
    assert "2 predictors" in capsys.readouterr().out and output.is_file()
    whole = tmp_path / "whole.nc"
    xr.Dataset({name: (dims, np.nan_to_num(numbers)) for name, (dims, numbers) in frames.items()},
               {"time": [0.0, 0.5]}).to_netcdf(whole)  # fmt: skip
    generate(condition, "--frames", str(whole), "--refine")
    assert load_artifact(output, "model").metadata["refined"] is True
    for asked, words, said in (
        (condition, ("--environment", "beta=1,D=0.4"), f"the arm {condition} was trained on"),
        (condition, ("--environment", "beta=1,D=0.4", "--refine"), "--refine: found --environment"),
        (condition, ("--frames", str(whole), "--refine", "-n", "2"), "refine: found 2 predictors"),
        ("parameters", ("--frames", str(file)), "frames (frames), pooled (frames), label (label)"),
    ):
        with pytest.raises(SystemExit, match="1"):
            generate(asked, *words)
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and said in error
