"""``weightcast evolve`` of a study across time: genes of principal components, by loadings of its samples."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from command_line import run
from tiny_time_study import CONFIG

from weightcast.evolution.weight_path import WeightPath
from weightcast.samples.record import Loadings
from weightcast.samples.snapshots import Snapshots

LOADINGS = Loadings(np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]), np.array([1.0, 2.0, 3.0]), ("a", "b", "c"))


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of two components whose samples have loadings, and a path that draws ones and twos."""
    random = np.random.default_rng(0)
    parts = tuple(random.normal(size=(4, 2)) for _ in range(2))
    snapshots = Snapshots(np.arange(2.0), np.ones(2, bool), parts, parts, ("pca_0", "pca_1"), None, "", LOADINGS)
    snapshots.save(tmp_path / "data/tiny/snapshots.nc")
    folder = tmp_path / "results/tiny"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    path = SimpleNamespace(
        dimensions=["pca_0", "pca_1"],
        last=1.0,
        mass_path=None,
        couplings=None,
        metadata={"arm": "ode", "seed": 0, "digest": "d", "data_digest": snapshots.digest},
        sample=lambda times, n, seed, extrapolate: torch.tensor([1.0, 2.0]).expand(len(times), n, 2),
    )
    monkeypatch.setattr(WeightPath, "load", lambda *arguments, **named: path)
    return folder


def test_genes_are_the_exact_inverse_of_the_components(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    command = ("evolve", results, "--times", "0,0.5", "-n", "3", "-o", results / "new.h5ad")
    shown, errors = run(capsys, *command)
    assert "at 2 times from 0 to 0.5, with 3 genes" in shown and errors == ""
    with h5py.File(results / "new.h5ad") as file:
        # 1 * (0.6, 0.8, 0) + 2 * (0, 0, 1) + (1, 2, 3)
        np.testing.assert_allclose(file["X"][()], np.tile([1.6, 2.8, 5.0], (6, 1)), rtol=1e-6)
        assert file["obsm/X_pca"].shape == (6, 2) and "environment" not in file["obs"]
    shown, _ = run(capsys, *command, "--without-genes")
    assert "with 3 genes" not in shown


def test_no_genes_without_the_samples_and_of_others(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    command = ("evolve", results, "--times", "0,0.5", "-n", "3", "-o", results / "new.h5ad")
    file = results.parent.parent / "data/tiny/snapshots.nc"
    other = Snapshots.load(file)
    Snapshots(other.times + 1, *list(vars(other).values())[1:]).save(file)
    shown, errors = run(capsys, *command)
    assert "with 3 genes" not in shown and "found other samples than" in errors
    file.unlink()
    shown, errors = run(capsys, *command)
    assert "with 3 genes" not in shown and errors == ""
