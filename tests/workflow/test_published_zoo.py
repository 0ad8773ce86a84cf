"""The zoo of the finished mini study, published, and a study that begins from it, up to its report.

Snakemake itself runs what makes the base, the stages that no other study has among it. The jobs that are left are run
as it hands them over, in its order, in one process: to start Python for each would take most of the time.
"""

from __future__ import annotations

from collections import Counter
from contextlib import chdir

import pandas as pd
import pytest
import yaml
from checkout import Checkout, copy_repository

from weightcast.cli.main import main
from weightcast.cost.jobs import parse_dry_run
from weightcast.runner import run_job

CONFIG = "begun.yaml"
FEW = {"width": 8, "heads": 2, "layers": 1, "batch": 4, "training": {"steps": 4, "learning_rate": 0.003}}


@pytest.fixture(scope="module")
def begun(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Counter[str]]:
    """A study of one arm, in a folder without any trajectories, after its run, and its jobs by rule."""
    checkout = copy_repository(tmp_path_factory.mktemp("begun"))
    published, config = checkout.folder / "published", checkout.folder / CONFIG
    main(["zoo", "export", str(finished.folder / "results/mini"), "-o", str(published), "--licence", "CC0-1.0"])
    words = ["--name", "begun", "-o", str(config), "--base", "conditioned", "--hold-out", "middle"]
    main(["zoo", "import", str(published), *words])
    settings = yaml.safe_load(config.read_text())
    settings["generator"] |= {"seeds": [0], "arms": {"latents": {"base": "conditioned", "end_to_end": False}}}
    for section in ("vae", "diffusion"):
        settings["generator"][section] |= FEW
    settings["baselines"]["regression"] = {"degrees": [1], "folds": 2}
    settings["evaluation"]["bootstrap"] = 100
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    checkout.snakemake("base", config=CONFIG)
    done = Counter({rule: number for rule, number in checkout.announced().items() if rule != "base"})
    dry_run = checkout.snakemake("results/begun/report.html", "-n", "--printshellcmds", config=CONFIG)
    left = parse_dry_run(dry_run.stdout + dry_run.stderr)
    with chdir(checkout.folder):
        for planned in left:
            run_job(planned.job.to_json())
    return checkout, done + Counter(planned.rule for planned in left)


def test_nothing_is_simulated_and_no_expert_trained(begun: tuple[Checkout, Counter[str]]) -> None:
    checkout, jobs = begun
    assert jobs == {
        **dict.fromkeys(("roll_out_experts", "import_experts"), 2),
        **dict.fromkeys(("gather_zoo", "gather_reference", "average_experts", "train_vae", "train_diffusion"), 1),
        **dict.fromkeys(("fold_bases", "regress_weights", "regress_latents", "generate_weights"), 1),
        "evaluate_weights": 4,
        **dict.fromkeys(("evaluate_without_network", "compare_with_own_experts", "compare_with_experts"), 1),
        **dict.fromkeys(("collect_costs", "summarise", "map_weights", "show_rollouts"), 1),
        **dict.fromkeys(("resolve_config", "write_report"), 1),
    }
    assert not checkout.planned("results/begun/report.html", config=CONFIG)


def test_generated_weights_stand_beside_the_held_out_environments_own_expert(
    begun: tuple[Checkout, Counter[str]],
) -> None:
    results = begun[0].folder / "results/begun"
    summary = pd.read_csv(results / "summary.csv")
    held_out = summary[summary.split != "visible"]
    assert set(held_out.metric) >= {"rmse", "own_outputs", "own_weights"}
    rivals = {f"{name}-conditioned" for name in ("average", "nearest-expert", "polynomial", "gaussian-process")}
    own = held_out[held_out.metric == "own_weights"]
    assert set(own.method) >= rivals | {"generator-latents", "latent-regression-latents", "one-per-env-conditioned"}
    assert (own["median"] > 0).all()
    page = (results / "report.html").read_text()
    assert "There are no trajectories here." in page and "Average expert (conditioned)" in page


def test_a_zoo_of_a_newer_version_is_one_line(begun: tuple[Checkout, Counter[str]]) -> None:
    checkout, _ = begun
    manifest = checkout.folder / "published/zoo.json"
    content = manifest.read_bytes()
    try:
        manifest.write_bytes(content.replace(b'"version": 1', b'"version": 7'))
        done = checkout.snakemake("-n", config=CONFIG, ok=False)
        assert done.returncode and "weightcast: error:" in done.stderr and "expected 1 to 1" in done.stderr
    finally:
        manifest.write_bytes(content)
