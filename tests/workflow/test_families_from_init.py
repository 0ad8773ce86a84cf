"""Cells of many patients as a user brings them: through `init`, `check`, the real Snakefile and `evolve`, to genes."""

from __future__ import annotations

import re
import sys

import numpy as np
import pandas as pd
from checkout import copy_repository
from family_files import births, write_cells

WELLS = 6


def test_an_anndata_file_from_init_to_genes(tmp_path) -> None:
    import h5py

    checkout = copy_repository(tmp_path)
    frame = births(WELLS, 25, (0.0, 1.0, 2.0, 3.0))
    genes = write_cells(tmp_path / "cells.h5ad", frame)
    weightcast = (sys.executable, "-m", "weightcast.cli.main")
    options = ("--environment", "well", "--time", "day", "--parameters", "line", "--quick", "-o", "mine.yaml")
    made = checkout.run(*weightcast, "init", "--kind", "environments-time", "--data", "cells.h5ad", *options)
    assert "4 visible" in made.stdout

    text = (tmp_path / "mine.yaml").read_text()
    for pattern, less in (
        (r"\bmass: null", "mass: samples"),
        (r"\bsteps: \d+", "steps: 5"),
        (r"\bsamples: 400", "samples: 20"),
        (r"\bproposals: \d+", "proposals: 16"),
        (r"\bdraws: \d+", "draws: 4"),
        (r"\bbootstrap: \d+", "bootstrap: 100"),
        (r"\binflations: .*?\]", "inflations: [1, 4]"),
    ):
        text, count = re.subn(pattern, less, text)
        assert count, pattern
    (tmp_path / "mine.yaml").write_text(text)
    assert "mine.yaml is in order" in checkout.run(*weightcast, "check", "--config", "mine.yaml", "--no-timing").stdout

    checkout.snakemake(config="mine.yaml")
    results = tmp_path / "results/cells"
    metrics = pd.read_csv(results / "metrics.csv")
    assert metrics.value.notna().all() and {"told-parameters", "pooled-path", "sampling-floor"} <= set(metrics.method)
    assert {"relative_mass_error", "mass_coverage_90"} <= set(metrics.metric)
    assert "Ensemble of paths, shown: " in (results / "report.html").read_text()
    assert checkout.planned(config="mine.yaml") == {}

    checkout.run(
        *weightcast, "evolve", "results/cells", "--environment", "all", "--times", "0,1.5", "-n", "10", "-o", "new.h5ad"
    )
    with h5py.File(tmp_path / "new.h5ad") as file, h5py.File(tmp_path / "cells.h5ad") as source:
        coordinates, components = file["obsm/X_pca"][()], source["varm/PCs"][()]
        assert len(coordinates) == 4 * 2 * 10 and len(file["obs/environment/categories"]) == 4
        np.testing.assert_allclose(
            file["X"][()], coordinates @ components.T + genes.mean(0), rtol=1e-5, atol=1e-5 * np.abs(genes).max()
        )
