"""Reports say in how many trainings a row that is called a flow is the spline that it began from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.artifacts import save_artifact
from weightcast.evolution.report.kept import Kept, kept_in, kept_paths, kept_sentences
from weightcast.evolution.stages.summarise_times import kept_path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Trainings of two arms; nothing was chosen for the one from rest."""

    def write(fold: str, arm: str, seed: int, kept: str, chosen: bool = True) -> None:
        errors = {"validation": {"flow": 1.0, "spline": 2.0}} if chosen else {}
        metadata = {"arm": arm, "seed": seed, "kept": kept, "numbers": 3, "seconds": 1.0, **errors}
        save_artifact(tmp_path / "flow" / fold / f"{arm}-{seed}.safetensors", "flow", {"x": torch.zeros(3)}, metadata)

    for seed, kept in enumerate(["spline", "flow", "spline"]):
        write("all", "cde", seed, kept)
    write("all", "paper", 0, "flow", chosen=False)
    write("without-1", "cde", 0, "flow")
    write("without-2", "cde", 0, "spline")
    write("forecast", "cde", 0, "spline")
    return tmp_path


def test_what_was_kept_is_counted(results: Path) -> None:
    kept = kept_paths(results)
    assert kept == {
        ("flow-cde", "all"): Kept(1, 2),
        ("flow-cde", "held_out"): Kept(1, 1),
        ("flow-cde", "forecast"): Kept(0, 1),
    }
    assert kept_paths(results / "nowhere") == {}


def test_each_split_has_its_own_trainings(results: Path) -> None:
    kept = kept_paths(results)
    for split, words in {
        "unobserved": "kept: the differential equation in 1 of 3, the spline it began from in 2",
        "source": "kept: the differential equation in 1 of 3, the spline it began from in 2",
        "held_out": "kept: the differential equation in 1 of 2, the spline it began from in 1",
        "forecast": "kept: the spline it began from",
    }.items():
        found = kept_in(kept, "flow-cde", split)
        assert found is not None and found.words == words
    assert kept_in(kept, "flow-paper", "unobserved") is None
    assert kept_in(kept, "displacement", "unobserved") is None


def test_the_verdict_and_the_table_of_costs_say_it(results: Path) -> None:
    (sentence,) = kept_sentences(kept_paths(results))
    assert "trainings that kept the differential equation: cde 1 of 3." in sentence
    assert kept_sentences({}) == []
    of = {name: kept_path(ArtifactHeader.load(results / f"flow/all/{name}.safetensors")) for name in
          ("cde-0", "cde-1", "paper-0")}  # fmt: skip
    assert of == {"cde-0": "spline", "cde-1": "flow", "paper-0": ""}
