"""The studies of config/ablation: each valid, each its own, and each changing what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from docs_scripts import docs_script
from tiny_study import ROOT

from weightcast.core.config.overlay import overlaid
from weightcast.core.environment_table import read_environments
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.plan import check_plan

PATHS = [path for path in sorted((ROOT / "config" / "ablation").glob("*.yaml")) if path.stem != "common"]
ABLATION = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path: Path) -> Study:
    layers = [ROOT / "config.yaml", ROOT / "config/ablation/common.yaml", path]
    config: dict = {}
    for layer in layers:
        config = overlaid(config, yaml.safe_load(layer.read_text(encoding="utf-8")))
    return parse_study(config, path)


@ABLATION
def test_every_ablation_is_a_valid_study_of_its_own(path: Path) -> None:
    study = read(path)
    assert study.study == f"ablation-{path.stem}"
    assert all(arm.base == "erm" and not arm.end_to_end for arm in study.generator.arms.values())
    common = read(ROOT / "config/ablation/common.yaml")
    assert study != common.model_copy(update={"study": study.study})  # it does change something
    check_plan(study, read_environments(ROOT / study.environments))


@ABLATION
def test_unseen_environments_and_the_visible_range_are_those_of_the_default_study(path: Path) -> None:
    default, own = (read_environments(ROOT / table) for table in ("data/lambda-omega.csv", read(path).environments))
    assert [environment.id for environment in own.unseen] == [environment.id for environment in default.unseen]
    assert {environment.id for environment in own.visible} <= {environment.id for environment in default.visible}
    for name in default.parameter_names:
        ranges = [{environment.parameters[name] for environment in table.visible} for table in (default, own)]
        assert min(ranges[0]) == min(ranges[1]) and max(ranges[0]) == max(ranges[1])


def test_the_page_says_what_each_arm_changes_and_what_has_not_been_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "results", property(lambda study: Path("nowhere")))
    with docs_script("write_ablations") as script:
        rows = {row.split("|")[1].strip(): row for row in script.rows()}

    assert "`zoo.members: 1`" in rows["members-1: paper"] and "not run" in rows["members-1: paper"]
    assert "`vae.functional_weight: 0.0`" in rows["generator: functional-loss-off"]
    assert "diffusion" not in rows["generator: functional-loss-off"]
    assert "`diffusion.relative_to: mean`" in rows["generator: published-600"]
    assert "| nothing |" in rows["generator: paper"]
    for branch in ("statistics", "responses", "spectra"):
        changed = rows[f"prompter: without-{branch}"]
        assert f"`frames.{branch}: False`" in changed and changed.count("`frames.") == 1
        assert "`condition: frames`" in changed and "conditions." not in changed
    assert "`condition: label`" in rows["prompter: label"] and "`frames." not in rows["prompter: label"]


def test_nothing_is_trained_that_no_row_shows() -> None:
    study = read(ROOT / "config/ablation/common.yaml")
    assert list(trained_maps(study)) == ["erm"] and study.context is None
    assert not study.evaluation.observed and list(study.generator.arms) == ["paper"]
