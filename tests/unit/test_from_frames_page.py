"""The script of the page docs/from-frames.md: what it refuses, and that the page has what it promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from docs_scripts import docs_script
from tiny_context import write_context_study
from tiny_study import ROOT


@pytest.fixture
def script() -> Iterator[ModuleType]:
    with docs_script("from_frames") as page:
        yield page


def test_another_study_is_refused_in_one_line(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_context_study(tmp_path)
    with pytest.raises(SystemExit, match="1"):
        script.main(["--results", str(results), "--output", str(tmp_path)])
    assert re.fullmatch(
        r"weightcast: error: .*found another study, expected .*from-frames\.yaml\n", capsys.readouterr().err
    )
    assert not list(tmp_path.glob("*.md"))


def test_commands_are_shown_with_what_they_print_and_plain_names(script: ModuleType, tmp_path: Path) -> None:
    page = script.RunPage(
        "from-frames", tmp_path, tmp_path / "work", {str(tmp_path / "results"): "results/from-frames"}
    )
    page.command("weightcast inspect missing.safetensors")
    (shown,) = page.parts
    assert shown.startswith("```\n$ weightcast inspect missing.safetensors\nweightcast: error: missing.safetensors")
    assert str(tmp_path) not in shown
    assert len(page.seconds) == 1


def test_training_time_is_that_of_the_processor(script: ModuleType, tmp_path: Path) -> None:
    assert script._trained(tmp_path) == ""
    (tmp_path / "benchmarks" / "base").mkdir(parents=True)
    (tmp_path / "benchmarks" / "base" / "context.tsv").write_text("s\tcpu_time\n900\t123.4\n")
    assert script._trained(tmp_path) == "The training of the context took 123 s of one core."


def test_the_committed_page_has_each_step() -> None:
    page = (ROOT / "docs" / "from-frames.md").read_text(encoding="utf-8")
    for step in ("--configfile config/from-frames.yaml", "weightcast generate", "weightcast forecast", "Context.load"):
        assert step in page
    assert "TRAINED" not in page
