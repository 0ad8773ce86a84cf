"""A study that begins from a published zoo, stage by stage: what experts become, and what judges generated ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from command_line import refused as refused_line
from command_line import run
from refusals import refused
from tiny_study import write_config
from tiny_zoo import MEMBERS, write_zoo_study

from weightcast import PublishedZoo
from weightcast.cli.main import main
from weightcast.core.environment_table import read_environments, write_environments
from weightcast.environments.base import BaseNetwork
from weightcast.environments.config.load import load_study, parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import Plan
from weightcast.environments.memory import largest_jobs, memory_mb
from weightcast.environments.plan import finetuned_maps, shown_methods, weight_sources
from weightcast.environments.published.check import check_published
from weightcast.environments.published.export import Export
from weightcast.environments.runtime import runtime_minutes
from weightcast.environments.zoo import Zoo
from weightcast.runner import run_job

BASE = "conditioned"
FEW = {"width": 8, "heads": 2, "layers": 1, "batch": 4, "training": {"steps": 3, "learning_rate": 0.003}}


def begun(folder: Path) -> dict[str, Any]:
    """``folder``/again.yaml, as the command writes it, for the zoo in ``folder``/published; with short trainings."""
    words = [
        "zoo",
        "import",
        folder / "published",
        "--name",
        "again",
        "-o",
        folder / "again.yaml",
        "--hold-out",
        "middle",
    ]
    main([str(word) for word in words])
    config: dict[str, Any] = yaml.safe_load((folder / "again.yaml").read_text())
    config["generator"]["seeds"] = [0]
    config["generator"]["arms"].pop("regression")
    config["generator"]["vae"] |= FEW | {"latent": 2}
    config["generator"]["diffusion"] |= FEW
    config["baselines"]["regression"] = {"degrees": [1], "folds": 2}
    config["evaluation"]["bootstrap"] = 100
    write_config(folder / "again.yaml", config)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    Export(write_zoo_study(folder), "MIT").write(folder / "published")
    begun(folder)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Path:
    """All stages, one after the other, as the rules would run them."""
    study = load_study(folder / "again.yaml")
    results, data = folder / "out", folder / "trajectories"
    config = results / "config.yaml"
    results.mkdir()
    config.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    write_environments(results / "environments.csv", read_environments(study.environments))
    published = folder / "published/zoo.json"

    def made(stage: str, output: Path | dict[str, Path], inputs: dict[str, Any], **of: str) -> Any:
        outputs = output if isinstance(output, dict) else {"output": output}
        job = {"stage": stage, "of": of, "inputs": inputs, "outputs": outputs, "config": config, "device": "cpu"}
        run_job(json.dumps(job, default=str))
        return output

    for name in Plan.read(study, config).trajectory_shards:
        made("roll_out_experts", data / f"{name}.csv", {"published": published}, shard=name)
    shards = {
        name: made(
            "import_experts", results / f"zoo/shards/{BASE}/{name}.safetensors", {"published": published},
            base=BASE, shard=name,
        )
        for name in ("visible-000", "unseen-000")
    }  # fmt: skip
    zoo = made(
        "gather_zoo", results / f"zoo/{BASE}.safetensors", {"shards": [shards["visible-000"]]}, base=BASE, part="zoo"
    )
    reference = results / f"reference/{BASE}.safetensors"
    made("gather_zoo", reference, {"shards": [shards["unseen-000"]]}, base=BASE, part="reference")
    base = made("average_experts", results / f"base/{BASE}.safetensors", {"zoo": zoo}, base=BASE)
    arm = {"arm": "latents", "seed": "0"}
    trained = {"zoo": zoo, "base": base, "trajectories": data}
    vae = made("train_vae", results / "vae/latents-0.safetensors", trained, **arm)
    diffusion = made("train_diffusion", results / "diffusion/latents-0.safetensors", {"zoo": zoo, "vae": vae}, **arm)
    weights = {
        "bases": made("fold_bases", results / "weights/bases.safetensors", {"bases": [base]}),
        f"zoo-{BASE}": made(
            "regress_weights", results / f"weights/zoo-{BASE}.safetensors",
            {"zoo": zoo, "base": base, "reference": reference}, base=BASE,
        ),
        "latents-latents": made(
            "regress_latents", results / "weights/latents-latents.safetensors",
            {"zoo": zoo, "base": base, "reference": reference, "vaes": [vae]}, arm="latents",
        ),
        "generator-latents": made(
            "generate_weights", results / "weights/generator-latents.safetensors",
            {"generators": [diffusion], "base": base}, source="generator-latents",
        ),
    }  # fmt: skip
    assert list(weights) == weight_sources(study, read_environments(study.environments))
    tables = [
        made(
            "evaluate_weights", results / f"evaluation/{name}.csv", {"weights": path, "trajectories": data}, source=name
        )
        for name, path in weights.items()
    ]
    tables.append(made("evaluate_without_network", results / "evaluation/without-network.csv", {"trajectories": data}))
    own = {"published": published, "zoo": zoo, "weights": list(weights.values())}
    tables.append(made("compare_with_own_experts", results / "evaluation/own-experts.csv", own))
    costs = {name: results / f"report/{name}.csv" for name in ("costs", "methods", "curves")}
    made(
        "collect_costs", costs,
        {"bases": [base], "zoos": [zoo], "references": [reference], "vaes": [vae], "diffusions": [diffusion],
         "tuned": [], "weights": list(weights.values())},
    )  # fmt: skip
    made(
        "summarise", {"metrics": results / "metrics.csv", "summary": results / "summary.csv"},
        {"evaluations": tables, "costs": costs["methods"]},
    )  # fmt: skip
    return results


def test_experts_are_imported_whole_and_of_held_out_environments_the_first(folder: Path, results: Path) -> None:
    zoo, published = Zoo.load(results / f"zoo/{BASE}.safetensors"), PublishedZoo.open(folder / "published")
    there = published.zoo(BASE)
    visible = [row for row, entry in enumerate(there.manifest) if entry["environment"] != "middle"]
    assert zoo.manifest == [there.manifest[row] for row in visible]
    assert torch.equal(zoo.weights[:], there.weights[visible])
    reference = Zoo.load(results / f"reference/{BASE}.safetensors")
    assert [(entry["environment"], entry["member"]) for entry in reference.manifest] == [("middle", 0)]
    assert zoo.verify() == 2


def test_average_is_that_of_the_experts_that_did_not_diverge(folder: Path, results: Path) -> None:
    zoo = Zoo.load(results / f"zoo/{BASE}.safetensors")
    healthy = [row for row, entry in enumerate(zoo.manifest) if not entry["diverged"]]
    assert len(healthy) == 2 * MEMBERS - 1
    average = BaseNetwork.load(results / f"base/{BASE}.safetensors")
    torch.testing.assert_close(average.weight_map.weights.data, zoo.weights[:][healthy].mean(0), atol=1e-6, rtol=1e-6)


def test_trajectories_are_what_the_last_healthy_expert_forecasts(folder: Path, results: Path) -> None:
    published = PublishedZoo.open(folder / "published")
    for place, id in enumerate(published.manifest.ids):
        expert = published.predictors(id, base=BASE)[-1]
        states = published.states()[place]
        found = TrajectoryFolder(folder / "trajectories").trajectories(id)
        values = torch.from_numpy(found.values)
        assert torch.equal(values[:, 0], states)
        torch.testing.assert_close(values[:, 1:], expert.rollout(states, steps=4), atol=1e-5, rtol=1e-5)
        assert found.time.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
        assert found.units == {"u": "m s-1", "v": "m s-1", "time": "s"}


def test_methods_are_judged_by_the_own_expert(folder: Path, results: Path) -> None:
    metrics = pd.read_csv(results / "metrics.csv")
    methods = {
        f"{name}-{BASE}" for name in ("average", "nearest-expert", "polynomial", "gaussian-process", "one-per-env")
    }
    methods |= {"generator-latents", "decoded-latents", "latent-regression-latents"}
    assert methods <= set(metrics.method)
    assert {"own_outputs", "own_weights", "rmse"} <= set(metrics.metric)
    assert set(metrics[metrics.environment == "middle"].split) == {"interpolation"}
    own = metrics[metrics.metric.isin(["own_outputs", "own_weights"])]
    assert set(own.method) == methods and (own.value > 0).all() and set(own.horizon) == {4}
    of = metrics[(metrics.environment == "middle")].set_index(["method", "metric", "horizon"]).value
    # Experts of "middle" lie about the middle of the others': what is between two of those is nearer than one of them.
    for metric in ("own_weights", "own_outputs", "rmse"):
        assert of[f"polynomial-{BASE}", metric, 4] < of[f"nearest-expert-{BASE}", metric, 4]
        assert of[f"one-per-env-{BASE}", metric, 4] < of[f"nearest-expert-{BASE}", metric, 4]


def test_distances_are_the_definition(folder: Path, results: Path) -> None:
    published = PublishedZoo.open(folder / "published")
    first, *_, judge = published.predictors("middle", base=BASE)
    states = published.states()[published.manifest.ids.index("middle")]
    normalised = judge.normalisation.apply
    wanted, found = normalised(judge(states)), normalised(first(states))
    expected = ((found - wanted).square().mean() / (wanted - normalised(states)).square().mean()).sqrt()
    metrics = pd.read_csv(results / "metrics.csv").set_index(["method", "environment", "metric"]).value
    assert metrics[f"one-per-env-{BASE}", "middle", "own_outputs"] == pytest.approx(float(expected), rel=1e-3)


def test_costs_count_what_whoever_published_the_zoo_spent(results: Path) -> None:
    summary = pd.read_csv(results / "summary.csv").set_index(["method", "split", "metric"])
    average = summary.loc[f"average-{BASE}", "interpolation", "rmse"]
    assert average.train_seconds == pytest.approx(2.5 + 2 * MEMBERS * 1.5)
    assert summary.loc["generator-latents", "interpolation", "own_weights"].train_seconds > average.train_seconds - 1.5


def test_a_second_import_copies_nothing_that_is_there(folder: Path, results: Path, tmp_path: Path) -> None:
    files = sorted((results / f"zoo/shards/{BASE}/experts").iterdir())
    before = {path: path.stat().st_mtime_ns for path in files}
    damaged = files[0]
    damaged.write_bytes(damaged.read_bytes()[:-8])
    inputs = {"published": folder / "published/zoo.json"}
    for shard in ("visible-000", "unseen-000"):
        job = {"stage": "import_experts", "of": {"base": BASE, "shard": shard}, "inputs": inputs, "device": "cpu"}
        job |= {"outputs": {"output": tmp_path / "x.safetensors"}, "config": results / "config.yaml"}
        job["outputs"] = {"output": results / f"zoo/shards/{BASE}/{shard}.safetensors"}
        run_job(json.dumps(job, default=str))
    after = {path: path.stat().st_mtime_ns for path in files}
    assert {path for path in files if before[path] != after[path]} == {damaged}
    assert Zoo.load(results / f"zoo/{BASE}.safetensors").verify() == 2


# --- configuration and plan


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((folder / "again.yaml").read_text())
    change(config)
    return config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config: config["zoo"].update(published=None), ["zoo.published", "missing"]),
        (lambda config: config["zoo"].update(bases=["erm", "conditioned"]), ["zoo.bases", "expected one"]),
        (lambda config: config["generator"]["vae"].update(relative_to="base"), ["relative_to", "'mean'"]),
        (lambda config: config["evaluation"].update(observed=[{"frames": 2}]), ["evaluation.observed"]),
        (lambda config: config.update(context={"training": config["base"]["erm"]}), ["context"]),
        (lambda config: config["baselines"].update(film_matched=config["base"]["erm"]), ["film_matched"]),
        (
            lambda config: config["generator"]["arms"]["latents"].update(condition="frames"),
            ["generator.arms.latents.condition", "'parameters'"],
        ),
    ],
)
def test_what_such_a_study_cannot_have_is_one_line(
    folder: Path, change: Callable[[dict[str, Any]], Any], words: list[str]
) -> None:
    with refused(*words):
        parse_study(changed(folder, change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config: config["zoo"].update(published="nowhere"), ["nowhere/zoo.json", "no such file"]),
        (lambda config: config["predictor"].update(width=4), ["predictor", "another network"]),
        (lambda config: config["data"].update(channels=["u", "w"]), ["data.channels"]),
        (lambda config: config["data"]["trajectories"].update(test=3), ["data.trajectories", "9", "8"]),
    ],
)
def test_a_study_that_does_not_fit_its_zoo_is_one_line(
    folder: Path, change: Callable[[dict[str, Any]], Any], words: list[str]
) -> None:
    study = parse_study(changed(folder, change))
    with refused(*words):
        check_published(study, read_environments(study.environments))


def test_a_table_of_other_environments_is_one_line(folder: Path, tmp_path: Path) -> None:
    study = load_study(folder / "again.yaml")
    (tmp_path / "table.csv").write_text("id,role,beta\nlow,visible,0.5\nmars,visible,1.0\n")
    with refused(tmp_path / "table.csv", "mars"):
        check_published(study, read_environments(tmp_path / "table.csv"))
    (tmp_path / "table.csv").write_text("id,role,beta\nlow,visible,0.7\nhigh,visible,1.5\n")
    with refused(tmp_path / "table.csv", "low", "other parameters"):
        check_published(study, read_environments(tmp_path / "table.csv"))


def test_nothing_is_planned_that_needs_trajectories(folder: Path) -> None:
    study = load_study(folder / "again.yaml")
    plan = Plan(study, read_environments(study.environments))
    assert finetuned_maps(study) == []
    assert shown_methods(study) == ["generator-latents", f"one-per-env-{BASE}", f"average-{BASE}"]
    assert {"train_base", "train_experts", "simulate", "finetune_bases"}.isdisjoint(dict(largest_jobs(plan, 100)))
    for stage in ("roll_out_experts", "import_experts", "average_experts", "compare_with_own_experts"):
        assert memory_mb(stage, plan, {}) >= 600 and runtime_minutes(stage, plan, {}) >= 10


def test_check_says_what_it_would_run_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = run(capsys, "check", "--no-timing", "--config", folder / "again.yaml")
    assert "is in order" in shown and str(folder / "published") in shown
    config = changed(folder, lambda config: config["predictor"].update(width=4))
    write_config(folder / "other.yaml", config)
    refused_line(capsys, "check", "--no-timing", "--config", folder / "other.yaml", words=["another network"])
