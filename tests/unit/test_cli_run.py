from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from command_line import refused
from tiny_study import ROOT

from weightcast.cli.main import main
from weightcast.cli.run import snakemake_arguments
from weightcast.workflow import snakefile


def test_in_a_clone_the_workflow_is_the_clone_itself() -> None:
    assert snakefile() == ROOT / "Snakefile"


def test_snakemake_runs_in_the_folder_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.yaml").write_text("study: x\n")
    monkeypatch.chdir(tmp_path)
    said: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: said.append([program, *words]))
    main(["run", "my.yaml", "zoo", "-n", "--forcerun", "train_vae"])
    (words,) = said

    assert words[:5] == [sys.executable, sys.executable, "-P", "-m", "snakemake"]
    assert words[words.index("--directory") + 1] == str(tmp_path)
    assert words[words.index("--configfile") + 1] == str(tmp_path / "my.yaml")
    assert words[words.index("--snakefile") + 1] == str(ROOT / "Snakefile")
    assert words[-6:] == ["--cores", "all", "zoo", "-n", "--forcerun", "train_vae"]


@pytest.mark.parametrize(
    "own", [["--cores", "2"], ["--cores=2"], ["-c2"], ["-j", "2"], ["--workflow-profile", "slurm"]]
)
def test_who_says_how_many_jobs_is_not_overruled(own: list[str]) -> None:
    words = snakemake_arguments(Path("my.yaml"), ["zoo", *own])
    assert "all" not in words and words[-len(own) :] == own


@pytest.mark.parametrize("other", [["--config", "seed=2"], ["--conda-prefix", "x"], ["-n"]])
def test_other_options_leave_all_cores(other: list[str]) -> None:
    assert "all" in snakemake_arguments(Path("my.yaml"), other)


def test_a_configuration_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    refused(capsys, "run", tmp_path / "my.yaml", words=["my.yaml", "not found"])
