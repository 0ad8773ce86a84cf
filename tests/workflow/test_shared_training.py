"""Several processes for a training, by the real Snakefile."""

from __future__ import annotations

import sys

from weightcast.core.artifacts import load_artifact
from weightcast.core.training_curves import training_curves


def test_processes_are_started_by_the_rule_and_an_edit_of_their_number_reruns_nothing(study):
    vae = study.folder / "results/mini/vae/paper-0.safetensors"
    before = load_artifact(vae)
    mini = "tests/workflow/mini.yaml"
    study.edit(mini, "evaluation:", "acceleration: {processes: 8, expert_processes: 2}\nevaluation:")
    reran = study.planned()
    assert not reran.keys() & {"train_vae", "train_diffusion", "tune_generator", "train_experts"}, reran

    command = [sys.executable, "-m", "snakemake", str(vae.relative_to(study.folder)), "--force"]
    planned = study.run(*command, "-n", "-p", "--cores", "8", "--configfile", mini)
    assert "--processes 4 " in planned.stdout + planned.stderr  # a batch has no more
    study.run(*command, "--cores", "2", "--configfile", mini)  # and there are no more cores
    log = (study.folder / "results/mini/logs/vae/paper-0.log").read_text()
    assert "vae: 8 steps in " in log and " of 2 processes, loss " in log
    after = load_artifact(vae)
    assert after.tensors_digest != before.tensors_digest  # within rounding, not to the bit
    one, two = (curves(artifact) for artifact in (before, after))
    assert (one - two).abs().max() < 2e-3 * one.abs().max()


def curves(artifact):
    """Errors of an artifact's trainings."""
    return training_curves([artifact])["value"]
