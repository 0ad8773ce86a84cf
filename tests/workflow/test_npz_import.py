"""The real Snakefile on the `.npz` files of an adaptation benchmark: what is imported, and what follows from it."""

from __future__ import annotations

from contextlib import chdir

import numpy as np
import yaml
from checkout import copy_repository

from weightcast.cli.main import main
from weightcast.environments.dataset import TrajectoryFolder


def test_environments_of_a_few_files(tmp_path) -> None:
    checkout = copy_repository(tmp_path)
    random = np.random.default_rng(0)
    arrays = {
        name: random.uniform(1, 2, (*counts, 9, 2))
        for name, counts in {"train": (3, 4), "test": (3, 2), "ood_train": (2, 1), "ood_test": (2, 2)}.items()
    }
    (tmp_path / "published").mkdir()
    for name, states in arrays.items():
        np.savez(tmp_path / "published" / f"{name}.npz", X=states, t=0.5 * np.arange(9))
    init = ("init", "--kind", "environments", "--data", "published", "-o", "made.yaml")
    with chdir(tmp_path):
        main([*init])
    made = yaml.safe_load((tmp_path / "made.yaml").read_text())

    # The mini study on these data, with parameters, which its methods need.
    config = yaml.safe_load((tmp_path / "tests/workflow/mini-ode.yaml").read_text())
    del config["explain"]
    rows = (tmp_path / made["environments"]).read_text().split()
    table = [f"{row},{'rate' if number == 0 else number}" for number, row in enumerate(rows)]
    (tmp_path / "table.csv").write_text("\n".join(table))
    config |= {"study": "npz", "environments": "table.csv", "data": made["data"]}
    config["evaluation"] |= {"horizons": [1, 8]}
    (tmp_path / "npz.yaml").write_text(yaml.safe_dump(config))

    assert checkout.planned(config="npz.yaml")["import_trajectories"] == 2  # visible, unseen
    checkout.snakemake("simulate", config="npz.yaml")
    for id, parts, index in (("visible-2", ("train", "test"), 2), ("adapt-1", ("ood_train", "ood_test"), 1)):
        found = TrajectoryFolder(tmp_path / "data/npz/trajectories").trajectories(id, ["x1"])
        expected = np.concatenate([arrays[part][index] for part in parts])
        np.testing.assert_allclose(found.values.squeeze(), expected[..., 1], rtol=1e-6)
        np.testing.assert_allclose(found.time, 0.5 * np.arange(9))
    assert "import_trajectories" not in checkout.planned(config="npz.yaml")
