"""The zoo of the finished mini study, published, and a study that begins from it, up to its report."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml
from checkout import Checkout, copy_repository

from weightcast.cli.main import main

CONFIG = "begun.yaml"
FEW = {"width": 8, "heads": 2, "layers": 1, "batch": 4, "training": {"steps": 4, "learning_rate": 0.003}}


@pytest.fixture(scope="module")
def begun(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A study of one arm, in a folder without any trajectories, after its run."""
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
    checkout.snakemake("results/begun/report.html", config=CONFIG)
    return checkout


def test_nothing_is_simulated_and_no_expert_trained(begun: Checkout) -> None:
    assert begun.announced() == {
        **dict.fromkeys(("roll_out_experts", "import_experts"), 2),
        **dict.fromkeys(("gather_zoo", "gather_reference", "average_experts", "train_vae", "train_diffusion"), 1),
        **dict.fromkeys(("fold_bases", "regress_weights", "regress_latents", "generate_weights"), 1),
        "evaluate_weights": 4,
        **dict.fromkeys(("evaluate_without_network", "compare_with_own_experts", "compare_with_experts"), 1),
        **dict.fromkeys(("collect_costs", "summarise", "map_weights", "show_rollouts"), 1),
        **dict.fromkeys(("resolve_config", "write_report"), 1),
    }
    assert not begun.planned("results/begun/report.html", config=CONFIG)


def test_generated_weights_stand_beside_the_held_out_environments_own_expert(begun: Checkout) -> None:
    summary = pd.read_csv(begun.folder / "results/begun/summary.csv")
    held_out = summary[summary.split != "visible"]
    assert set(held_out.metric) >= {"rmse", "own_outputs", "own_weights"}
    rivals = {f"{name}-conditioned" for name in ("average", "nearest-expert", "polynomial", "gaussian-process")}
    own = held_out[held_out.metric == "own_weights"]
    assert set(own.method) >= rivals | {"generator-latents", "latent-regression-latents", "one-per-env-conditioned"}
    assert (own["median"] > 0).all()
    page = (begun.folder / "results/begun/report.html").read_text()
    assert "There are no trajectories here." in page and "Average expert (conditioned)" in page


def test_a_zoo_that_is_gone_is_one_line(begun: Checkout) -> None:
    manifest = begun.folder / "published/zoo.json"
    content = manifest.read_bytes()
    try:
        manifest.write_bytes(content.replace(b'"version": 1', b'"version": 7'))
        done = begun.snakemake("-n", config=CONFIG, ok=False)
        assert done.returncode and "weightcast: error:" in done.stderr and "expected 1 to 1" in done.stderr
    finally:
        manifest.write_bytes(content)
