"""The real Snakefile on a study of environments across time, and what is run again after which change."""

from __future__ import annotations

import signal
import sys

import pandas as pd
import pytest
from checkout import Checkout, copy_repository
from interrupted_run import half_written, interrupt, made

from weightcast import PathFamily
from weightcast.core.artifact_header import read_metadata

CONFIG = "tests/workflow/mini-families.yaml"
ACROSS = ("displaced-environments", "interpolated-path")
SHOWN = (
    *("path", "path-ensemble", "nearest-path-likelihood", "alone", "rate-fit"),
    *(f"{name}-likelihood" for name in ACROSS),
    *("path-encoded", "path-refined", "path-refined-ensemble", "path-zoo", "path-zoo-ensemble", "alone-trend"),
    *("path-zoo-diffusion", "path-zoo-diffusion-ensemble", "path-vae", "path-vae-ensemble"),
    *("path-vae-generated", "path-vae-generated-refined", "path-vae-generated-refined-ensemble"),
)
METHODS = {
    *(f"{name}-shown-{case}" for name in SHOWN for case in ("few", "many")),
    *(f"{name}-parameters" for name in ACROSS),
    *("path-parameters", "pooled-path", "nearest-path-parameters", "told-parameters", "sampling-floor", "exact-law"),
    *("path-zoo-parameters", "path-vae-parameters", "path-expert", "path-expert-decoded"),
    "path-vae-generated-parameters",
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_repository(tmp_path_factory.mktemp("families"))
    checkout.snakemake(config=CONFIG)
    return checkout


def test_the_whole_study_runs_and_leaves_nothing_to_do(study):
    results = study.folder / "results/mini-families"
    metrics, summary = pd.read_csv(results / "metrics.csv"), pd.read_csv(results / "summary.csv")

    assert study.announced() == {
        **{"gather_snapshots": 1, "choose_map": 2, "train_family": 3, "evaluate_family": 1},
        **{"train_path_experts": 1, "train_path_zoo": 1, "train_path_diffusion": 1, "train_path_vae": 1},
        **{"train_path_generator": 1, "evaluate_opponents": 1},
        **dict.fromkeys(("resolve_config", "summarise_family", "write_family_report", "all"), 1),
    }  # fmt: skip
    assert set(metrics.method) == METHODS and metrics.value.notna().all()
    assert set(metrics.split) == {"interpolation", "extrapolation"}
    assert not metrics.duplicated(["method", "environment", "seed", "horizon", "metric"]).any()
    assert set(metrics.horizon) == {3, 6}  # the times that are scored, after those that are shown
    assert (summary.ci_low <= summary.ci_high).all()
    page = (results / "report.html").read_text()
    assert "Ensemble of paths, shown: few" in page and "<script src" not in page
    assert (
        "The prior of the codes of the zoo of paths, seed 0" in page and "5 visible environments, each left out" in page
    )
    assert "The autoencoder of paths, seed 0" in page and "codes of the 5 experts" in page
    assert "as the network says that reads samples" in page and "Trend of the shown alone, shown: few" in page
    assert {"summary.svg", "bands-interpolation.svg", "bands-extrapolation.svg"} <= {
        path.name for path in (results / "figures").iterdir()
    }
    assert read_metadata(results / "families/codes-0.safetensors")["stage"] == "train_family"
    assert study.planned(config=CONFIG) == {}


def test_a_run_that_is_killed_and_asked_to_end_makes_the_same(study, tmp_path):
    again = copy_repository(tmp_path)
    assert interrupt(again, CONFIG, signal.SIGKILL, results=1) == -signal.SIGKILL
    assert interrupt(again, CONFIG, signal.SIGTERM, results=1) > 0
    again.snakemake(config=CONFIG)  # the same command, and nothing in between
    assert made(again) == made(study) and len(made(again)) > 3
    assert not half_written(again)
    assert not list((again.folder / "results/mini-families/.state/training").glob("[!.]*"))


def test_a_new_environment_evolves_from_its_snapshots(study):
    (study.folder / "new.csv").write_text(
        "time,X\n" + "\n".join(f"{time},{20 + k}" for time in (1, 2) for k in range(5))
    )
    command = (sys.executable, "-m", "weightcast.cli.main", "evolve", "results/mini-families", "--snapshots", "new.csv")
    study.run(*command, "--times", "0:6:2", "-n", "10", "-o", "out.csv")

    assert len(pd.read_csv(study.folder / "out.csv")) == 40
    law = PathFamily.load(study.folder / "results/mini-families").infer({1.0: [[20.0]], 2.0: [[21.0]]})
    assert law.at(3.0).sample(4).shape == (4, 1)


def test_what_is_only_summarised_otherwise_trains_nothing_again(study):
    changed = study.folder / "changed.yaml"
    changed.write_text((study.folder / CONFIG).read_text().replace("bootstrap: 100", "bootstrap: 200"))
    assert set(study.planned(config="changed.yaml")) == {
        "all", "resolve_config", "summarise_family", "write_family_report",
    }  # fmt: skip
