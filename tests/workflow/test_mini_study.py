"""The real Snakefile from trajectories to report, and what is run again after which change."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pandas as pd
import pytest
import yaml

from weightcast import Generator
from weightcast.core.artifacts import load_artifact
from weightcast.cost.jobs import parse_dry_run
from weightcast.environments.zoo import Zoo

STAGES = "weightcast/environments/stages"
METHODS = {
    "erm", "film", "film-matched", "hypernetwork", "finetune-erm", "finetune-film",
    "persistence", "climatology", "damped-persistence",
    "nearest-expert-erm", "nearest-expert-conditioned", "polynomial-erm", "polynomial-conditioned",
    "gaussian-process-erm", "gaussian-process-conditioned", "one-per-env-erm", "one-per-env-conditioned",
    "generator-conditioned", "generator-conditioned-weights-only", "generator-paper",
    "decoded-conditioned", "decoded-paper", "latent-regression-conditioned", "latent-regression-paper",
}  # fmt: skip
BEFORE_DIFFUSION = {
    "simulate_environments", "train_erm", "train_conditioned", "train_film_matched", "train_hypernetwork",
    "train_experts", "gather_zoo", "gather_reference", "train_vae", "regress_weights", "finetune_bases", "fold_bases",
    "regress_latents", "map_weights", "evaluate_without_network", "show_environments",
}  # fmt: skip
AFTER_DIFFUSION = {
    "tune_generator", "generate_weights", "evaluate_weights", "summarise", "collect_costs",
    "show_rollouts", "compare_with_experts", "write_report",
}  # fmt: skip


def test_tables_have_every_method_split_and_column(finished):
    results = finished.folder / "results/mini"
    metrics = pd.read_csv(results / "metrics.csv")
    summary = pd.read_csv(results / "summary.csv")

    assert list(metrics) == ["study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    assert set(metrics.method) == METHODS
    assert set(metrics.split) == {"visible", "interpolation", "extrapolation"}
    assert set(metrics.metric) == {"rmse", "rmse_physical", "nmse", "ssim"}
    assert set(metrics.horizon) == {1, 4, 8}
    assert set(metrics[metrics.method == "generator-paper"].seed) == {0, 1}
    assert not metrics.duplicated(["method", "environment", "seed", "horizon", "metric"]).any()
    assert metrics.value.notna().all()
    assert list(summary) == [
        "method", "split", "metric", "median", "ci_low", "ci_high", "n", "p_vs_best_baseline", "parameters",
        "train_seconds", "adapt_seconds",
    ]  # fmt: skip
    assert set(summary.method) == METHODS
    assert (summary.ci_low <= summary["median"]).all() and (summary["median"] <= summary.ci_high).all()
    trained = summary[~summary.method.isin(["persistence", "climatology", "damped-persistence"])]
    assert (trained.train_seconds > 0).all() and (trained.parameters > 0).all()


def test_the_report_is_one_offline_page_with_figures_beside_it(finished):
    results = finished.folder / "results/mini"
    page = (results / "report.html").read_text()

    assert "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page
    assert len(list((results / "figures").iterdir())) >= 5
    assert yaml.safe_load((results / "config.yaml").read_text())["study"] == "mini"


def test_the_zoo_is_a_manifest_of_experts_that_are_written_once(finished):
    folder = finished.folder / "results/mini"
    artifact = load_artifact(folder / "zoo/conditioned.safetensors", "zoo")
    zoo = Zoo.from_artifact(artifact)

    assert not artifact.tensors
    assert zoo.weights.shape[0] == len(zoo.manifest) == 10  # five visible environments, two members
    assert zoo.verify() == 5
    for base in ("erm", "conditioned"):
        files = [
            *(folder / "zoo" / "shards" / base).rglob("*.safetensors"),
            folder / "reference" / f"{base}.safetensors",
        ]
        written = [list(tensor.shape) for path in files for tensor in load_artifact(path).tensors.values()]
        # Two experts of each visible environment, one of each unseen one, and none of them a second time.
        assert sorted(written) == sorted([count, zoo.weights.shape[1]] for count in (1, 1, 1, 2, 2, 2, 2, 2))
    assert zoo.environments[:4] == ["slow-small", "slow-small", "slow-large", "slow-large"]
    reference = Zoo.load(finished.folder / "results/mini/reference/conditioned.safetensors")
    assert reference.environments == ["between", "inside", "beyond"]


def test_a_generator_of_the_study_is_loaded_by_its_folder(finished):
    generator = Generator.load(finished.folder / "results/mini")
    assert generator.metadata["arm"] == "conditioned" and generator.metadata["stage_of_training"] == "end-to-end"
    (model,) = generator.sample(environment={"beta": 1.0, "D": 0.5})
    assert sum(weight.numel() for weight in model.parameters()) == generator.vae.graph.num_parameters


def test_after_a_complete_run_there_is_nothing_to_do(finished):
    assert finished.planned() == {}


def test_every_stage_is_a_target(finished):
    # One dry run for all: it ends in an error if one of them is no target, and plans what any of them lacks.
    assert finished.planned("simulate", "base", "zoo", "vae", "diffusion", "generate", "evaluate", "report") == {}


def test_touching_files_without_changing_them_reruns_nothing(study):
    files = ["weightcast/environments/vae.py", "scripts/run_stage.py", "tests/workflow/mini.csv"]
    files += ["data/mini/trajectories/middle.nc", "results/mini/base/conditioned.safetensors", "Snakefile"]
    for file in files:
        (study.folder / file).touch()

    assert study.planned() == {}


def test_a_diffusion_setting_reruns_the_diffusion_and_what_follows(study):
    study.edit("tests/workflow/mini.yaml", "sample_steps: 2", "sample_steps: 3")
    planned = study.planned()

    assert planned["train_diffusion"] == 4
    assert planned["generate_weights"] == 3  # of both arms, and of one before it is fine-tuned
    assert set(planned) >= AFTER_DIFFUSION
    assert not set(planned) & BEFORE_DIFFUSION


@pytest.mark.parametrize(
    ("file", "reruns", "spares"),
    [
        (f"{STAGES}/train_diffusion.py", {"train_diffusion", *AFTER_DIFFUSION}, BEFORE_DIFFUSION),
        (f"{STAGES}/train_vae.py", {"train_vae", "train_diffusion"}, {"train_erm", "train_experts"}),
        ("weightcast/environments/forecast_metrics.py", {"evaluate_weights", "summarise"}, {"train_diffusion"}),
        ("weightcast/systems/lambda_omega.py", {"simulate_environments", "train_erm", "write_report"}, set()),
        ("weightcast/systems/era5_sample.py", set(), {"simulate_environments", "write_report"}),
        ("weightcast/environments/report/verdict.py", {"write_report"}, {"summarise", "evaluate_weights"}),
    ],
)  # fmt: skip
def test_editing_library_code_reruns_exactly_the_stages_that_use_it(study, file, reruns, spares):
    path = study.folder / file
    path.write_text(path.read_text() + "\n# edited\n")
    planned = set(study.planned())

    assert planned >= reruns
    assert not planned & spares
    assert reruns or not planned


def test_adding_an_environment_trains_that_environment_alone(study):
    zoo = study.folder / "results/mini/zoo/conditioned.safetensors"
    before, files = Zoo.load(zoo), load_artifact(zoo).metadata["files"]
    base = load_artifact(study.folder / "results/mini/base/conditioned.safetensors").digest
    table = study.folder / "tests/workflow/mini.csv"
    table.write_text(table.read_text() + "late,visible,1.2,0.6\n")

    planned = study.planned()
    assert planned["simulate_environments"] == 1
    assert planned["train_experts"] == 2  # the last shard of each base
    assert not set(planned) & {"train_erm", "train_conditioned", "train_film_matched", "train_hypernetwork"}
    study.snakemake("zoo")

    after = Zoo.load(zoo)
    assert after.environments == [*before.environments, "late", "late"]
    assert (after.weights[:10] == before.weights[:]).all()
    assert load_artifact(zoo).metadata["files"][:5] == files
    assert [entry["seconds"] for entry in after.manifest[:10]] == [entry["seconds"] for entry in before.manifest]
    assert load_artifact(study.folder / "results/mini/base/conditioned.safetensors").digest == base


def test_a_second_study_on_the_users_own_files_plans_an_import(finished, tmp_path):
    config = yaml.safe_load((finished.folder / "tests/workflow/mini.yaml").read_text())
    config["study"] = "own"
    config["data"] |= {"source": "netcdf", "directory": str(finished.folder / "data/mini/trajectories"), "settings": {}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(config))
    planned = finished.planned(config=str(path))

    assert planned["import_trajectories"] == 8
    assert "simulate_environments" not in planned


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config["zoo"].update(memebers=2), "zoo.memebers: unknown key, expected 'members'"),
        (lambda config: config.update(study="a b"), "study: found 'a b'"),
        (lambda config: config.update(environments="missing.csv"), "missing.csv"),
        (lambda config: config["data"].update(source="netcdf", directory="nowhere", settings={}), "nowhere"),
    ],
)
def test_bad_configurations_end_in_one_line(finished, tmp_path, change, message):
    config = yaml.safe_load((finished.folder / "tests/workflow/mini.yaml").read_text())
    change(config)
    path = tmp_path / "bad.yaml"
    path.write_text(json.dumps(config))
    done = finished.snakemake("-n", config=str(path), ok=False)

    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("weightcast: error:")]
    assert len(lines) == 1 and message in lines[0]
    assert "Traceback" not in done.stderr


def test_a_key_that_stands_twice_ends_in_one_line(finished, tmp_path):
    """Snakemake reads configuration files itself, and keeps the last value without a word."""
    path = tmp_path / "twice.yaml"
    path.write_text((finished.folder / "tests/workflow/mini.yaml").read_text() + "\nseed: 7\n")
    done = finished.snakemake("-n", config=str(path), ok=False)

    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("weightcast: error:")]
    assert "twice.yaml" in line and "seed: found for the second time" in line


def test_every_job_leaves_a_log_and_the_costs_add_up(finished):
    logs = finished.folder / "results/mini/logs"
    assert {path.name for path in logs.iterdir()} >= {"base", "zoo", "vae", "diffusion", "end-to-end", "evaluation"}
    with (finished.folder / "results/mini/report/costs.csv").open() as file:
        rows = list(csv.DictReader(file))
    zoo = sum(float(row["train_seconds"]) for row in rows if row["stage"] == "zoo" and row["artifact"] == "erm")
    with (finished.folder / "results/mini/report/method_costs.csv").open() as file:
        methods = {row["method"]: float(row["train_seconds"]) for row in csv.DictReader(file)}
    assert methods["nearest-expert-erm"] == pytest.approx(zoo + methods["erm"])
    assert methods["generator-paper"] > methods["nearest-expert-erm"]


def test_the_forecast_counts_the_very_jobs_that_a_dry_run_announces(finished):
    """`weightcast check` reads its jobs from the workflow itself: no list of them is kept by hand."""
    done = finished.snakemake("-n", "--printshellcmds", "--forceall")
    jobs = parse_dry_run(done.stdout + done.stderr)
    announced = finished.planned("--forceall")

    assert announced.pop("all") == 1
    assert Counter(job.rule for job in jobs) == announced
    for job in jobs:
        for path in [*job.job.outputs.values(), *([] if job.benchmark is None else [job.benchmark])]:
            assert (finished.folder / path).exists(), path


def test_an_expert_that_is_gone_is_trained_again_and_its_environment_alone(study):
    """Files of experts are outputs of no rule: manifests of what is gone are forgotten."""
    results = study.folder / "results/mini"
    kept = results / "zoo/shards/erm/experts"
    before = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    (kept / "middle.safetensors").unlink()
    planned = study.planned("zoo")
    assert {rule: planned[rule] for rule in ("train_experts", "gather_zoo")} == {"train_experts": 1, "gather_zoo": 1}
    assert "train_erm" not in planned
    study.snakemake("zoo")
    after = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert [name for name in before if after[name] != before[name]] == ["middle.safetensors"]
    assert Zoo.load(results / "zoo/erm.safetensors").verify() == 5
