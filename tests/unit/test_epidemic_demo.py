"""The page docs/epidemic_demo.md: its script runs, and the committed page is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from docs_scripts import docs_script

from weightcast.core.run import Run
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.config.load import load_time_study
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow_artifact import FlowArtifact
from weightcast.evolution.stages.train_flow import new_flow
from weightcast.evolution.state_space import Counts

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "epidemic_demo.md"
FIGURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
LARGEST_FIGURE = 150_000
NUMBER = r"(\d\.\d{4})"
ROW = re.compile(rf"^\| [\d.]+(?: \(seen\))? \| {NUMBER} \| {NUMBER} to {NUMBER} \| {NUMBER} \| {NUMBER} \|", re.M)


@pytest.fixture
def script() -> Iterator[ModuleType]:
    with docs_script("epidemic_demo") as demo:
        yield demo


def run(script: ModuleType, *arguments: str | Path) -> None:
    script.main(["--quick", *map(str, arguments)])


def check_page(page: Path) -> None:
    """Its figures lie beside it; its code parses; its chances are chances."""
    text = page.read_text(encoding="utf-8")
    figures = FIGURE.findall(text)
    assert len(figures) == 3
    for figure in figures:
        assert (page.parent / figure).stat().st_size > 1000
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        compile(code, str(page), "exec")
    rows = np.array(ROW.findall(text), dtype=float)
    assert len(rows) == 21 + 101
    chance, low, high, truth, naive = rows.T
    assert ((rows >= 0) & (rows <= 1)).all()
    assert ((low <= chance) & (chance <= high)).all()
    assert truth.max() > 0
    assert naive.max() > 0


def test_a_quick_run_writes_the_page_and_its_figures(script: ModuleType, tmp_path: Path) -> None:
    run(script, "--output", tmp_path / "page")
    check_page(tmp_path / "page" / PAGE.name)


def test_it_answers_from_a_finished_study(script: ModuleType, tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "config" / "epidemic.yaml").read_text(encoding="utf-8"))
    config["data"]["trajectories"]["train"] = 100
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    study = load_time_study(tmp_path / "config.yaml")
    density = StackedDensity.new(study.density, Counts(52, 3), seed=0)
    weights = torch.stack([density.initial_weights(seed) for seed in range(3)])
    anchors = Anchors(np.array([0.0, 25.0, 50.0]), weights, density, {})
    arm, settings = study.flow.arms["cde"], study.flow.of_arm("cde")
    metadata = {"times": [0.0, 50.0], "dimensions": ["S", "I", "R"], "arm": "cde", "seed": 0}
    flow = new_flow(Run(), anchors, arm, settings, seed=0)
    FlowArtifact(flow, density, arm, settings, metadata).save(tmp_path / "flow" / "all" / "cde-0.safetensors")

    run(script, "--results", tmp_path, "--output", tmp_path / "page")
    check_page(tmp_path / "page" / PAGE.name)
    assert f"The answer below comes from `{tmp_path}`" in (tmp_path / "page" / PAGE.name).read_text(encoding="utf-8")


def test_another_study_is_refused(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = (
        (ROOT / "config" / "epidemic.yaml")
        .read_text(encoding="utf-8")
        .replace("backbone: gru", "backbone: transformer")
    )
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    with pytest.raises(SystemExit, match="1"):
        run(script, "--results", tmp_path, "--output", tmp_path / "page")
    assert "found epidemic, transformer, sequential" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_the_committed_page_is_whole() -> None:
    if not PAGE.is_file():
        pytest.fail("docs/epidemic_demo.md is missing: run docs/epidemic_demo.py")
    check_page(PAGE)
    for figure in FIGURE.findall(PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / figure).stat().st_size < LARGEST_FIGURE
