"""The real Snakefile on environments whose parameters nobody knows, and on a study whose parameters are hidden."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import yaml
from checkout import JOBS_OF_ONE_ARM, Checkout, copy_repository

from weightcast.core.artifacts import load_artifact
from weightcast.core.methods import SEASONAL_CLIMATOLOGY, SEASONAL_PERSISTENCE, SKILL_FLOOR
from weightcast.trajectories import Trajectories, write_trajectories

CONFIG = "tests/workflow/mini-unknown.yaml"
NOT_THERE = ("train_conditioned", "train_film_matched", "train_hypernetwork")
JOBS = {rule: count for rule, count in JOBS_OF_ONE_ARM.items() if rule not in NOT_THERE}
JOBS |= {"evaluate_weights": 9, "import_trajectories": 2}
JOBS |= {"train_experts": 4, "gather_zoo": 2, "gather_reference": 2, "regress_weights": 2}  # of two bases
JOBS |= {"generate_weights": 2, "tune_generator": 1}
JOBS |= {"evaluate_regressions": 1, "train_context": 2, "adapt_to_frames": 2, "summarise_observed": 1}
JOBS |= {"show_observed": 1, "describe_posteriors": 1}


def rotation(environment: str, speed: float) -> Trajectories:
    """Points that go round a circle with a speed of the environment's own; of the first number the exponential."""
    angles = np.arange(4)[:, None] + speed * np.arange(10)
    values = np.stack([np.exp(np.cos(angles)), np.sin(angles)], axis=2)[
        ..., None, None
    ]  # [trajectory, time, channel, y, x]
    point = np.zeros(1)
    return Trajectories(values.astype(np.float32), ("p", "q"), np.arange(10.0), point, point, environment, {})


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_repository(tmp_path_factory.mktemp("unknown"))
    for number, environment in enumerate(("north", "east", "south", "west")):
        write_trajectories(checkout.folder / f"mine/{environment}.nc", rotation(environment, 0.2 + 0.1 * number))
    checkout.snakemake(config=CONFIG)
    return checkout


def test_jobs_are_those_of_what_is_told_nothing(unknown: Checkout) -> None:
    assert unknown.announced() == JOBS
    assert not unknown.planned(config=CONFIG)
    assert not unknown.planned("base", "zoo", "generate", "evaluate", "report", config=CONFIG)


def test_every_method_that_needs_no_parameters_is_in_the_tables_and_the_report(unknown: Checkout) -> None:
    results = unknown.folder / "results/mini-unknown"
    metrics = pd.read_csv(results / "metrics.csv")
    from_frames = {"context", "context-ensemble", "code-adaptation", "retrieved-expert", "weighted-experts-ensemble"}
    from_frames |= {"finetune-erm-observed", "finetune-lora-observed", "autoregression-observed"}
    of_codes = {"one-per-env-context", "decoded-coded", "latent-regression-coded", "generator-coded"}
    of_codes |= {"generator-coded-weights-only"}
    others = {"erm", "finetune-erm", "one-per-env-erm", "autoregression", "own-autoregression"}
    floor = set(SKILL_FLOOR) - {SEASONAL_CLIMATOLOGY, SEASONAL_PERSISTENCE}  # there is no calendar
    others |= floor
    assert set(metrics.method) == others | from_frames | of_codes
    observed = pd.read_csv(results / "observed.csv")
    assert dict(zip(observed.case, observed.frames, strict=True)) == {"4-frames": 4, "3-frames-of-2-noise-0.05": 6}
    assert {"crps", "coverage_90"} <= set(observed[observed.method == "context-ensemble"].metric)
    assert metrics.value.notna().all()
    of_context = metrics[(metrics.method == "context") & (metrics.metric == "rmse")]
    by_seed = of_context.pivot(index=["environment", "horizon"], columns="seed", values="value")
    assert list(by_seed) == [0, 3] and (by_seed[0] != by_seed[3]).all()  # each by a training of its own
    stored = load_artifact(results / "base/context.safetensors").metadata["normalisation"]
    assert stored["transforms"] == 2 * ["log", None] and 0.18 < stored["offsets"][0] < 0.5  # half of exp(-1), or above
    compared = set(pd.read_csv(results / "report/novelty.csv").method)
    assert {"context", "context-ensemble", "code-adaptation"} <= compared  # all that makes networks of frames
    page = (results / "report.html").read_text()
    assert "none known" in page and "An environment that nobody can name" in page and "Left out" not in page
    figures = {path.stem for path in (results / "figures").iterdir()}
    assert {"error_over_environments", "weight_map", "rollout_south_p"} <= figures


def test_a_network_that_is_told_parameters_ends_in_one_line(unknown: Checkout) -> None:
    config = yaml.safe_load((unknown.folder / CONFIG).read_text())
    config["base"]["conditioned"] = config["base"]["erm"]
    (unknown.folder / "told.yaml").write_text(yaml.safe_dump(config))
    done = unknown.snakemake("-n", config="told.yaml", ok=False)
    (line,) = re.findall(r"^weightcast: error: .*", done.stderr, re.M)
    assert "base.conditioned" in line and "mini-unknown.csv has no parameter columns" in line


def test_parameters_may_be_hidden(unknown: Checkout) -> None:
    """A table with parameters, and no network that is told them: regression of the zoo is all that uses them."""
    config = yaml.safe_load((unknown.folder / CONFIG).read_text())
    rows = (unknown.folder / "tests/workflow/mini-unknown.csv").read_text().splitlines()
    table = [f"{row},{number if number else 'speed'}" for number, row in enumerate(rows)]
    (unknown.folder / "speeds.csv").write_text("\n".join(table))
    config |= {"study": "hidden", "environments": "speeds.csv"}
    (unknown.folder / "hidden.yaml").write_text(yaml.safe_dump(config))
    assert unknown.planned(config="hidden.yaml") == JOBS
