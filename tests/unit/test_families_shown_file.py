"""A new environment's file is read in the study's own terms, or refused with the option that helps."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from weightcast.core.errors import InputError
from weightcast.families.commands.shown_file import ShownFile, read_shown
from weightcast.families.config.load import parse_family_study
from weightcast.families.config.study import FamilyStudy
from weightcast.samples.record import Loadings
from weightcast.samples.time_labels import times_of_more_labels


def study(
    folder: Path, source: str = "csv", file: str | None = "long.csv", dimensions: Any = ("x", "y"), **settings: Any
) -> FamilyStudy:
    """A study of environments, whose files lie in a folder."""
    data: dict[str, Any] = {"source": source, "state": "real", "dimensions": list(dimensions), "settings": settings}
    if file is None:
        data |= {"source": "ornstein-uhlenbeck", "trajectories": {"train": 20, "held_out": 20, "times": 5}}
    else:
        data["file"] = file
    return parse_family_study(
        {
            "study": "mine",
            "kind": "environments-time",
            "environments": "mine.csv",
            "data": data,
            "paths": {"seeds": [0], "training": {"steps": 1, "learning_rate": 0.01}},
            "evaluation": {"shown": {"two": {"samples": 5, "snapshots": 2}}},
        }
    )


def read(path: Path, found: Any, loadings: Loadings | None = None, **options: Any) -> ShownFile:
    """As the command does, with its options."""
    names = ("time_column", "times_order", "condition", "settings")
    arguments = argparse.Namespace(**{name: options.get(name) for name in names})
    return read_shown(path, arguments, found, path.parent, loadings)


def table(path: Path, times: list[Any], rows: int = 3, **columns: Any) -> Path:
    """A table of two real dimensions with some rows a time."""
    random = np.random.default_rng(0)
    made = pd.DataFrame({"time": np.repeat(np.array(times, dtype=object), rows)})
    made["x"], made["y"] = random.normal(size=(2, len(made)))
    for name, values in columns.items():
        made[name] = values
    made.to_csv(path, index=False)
    return path


def test_labels_are_in_the_units_of_the_study(tmp_path: Path) -> None:
    table(tmp_path / "long.csv", ["0h", "12h", "24h"], patient="a")
    own = study(tmp_path, environment_column="patient")
    shown = read(table(tmp_path / "new.csv", ["1d", "2d"]), own)
    assert sorted(shown.samples) == [24.0, 48.0]
    assert "3 at 24, 3 at 48" in shown.notes[0]


def test_labels_that_the_study_does_not_know_are_refused(tmp_path: Path) -> None:
    own = study(tmp_path, file=None)
    new = table(tmp_path / "new.csv", ["1d", "2d"])
    with pytest.raises(InputError, match="--times-order 1d=TIME 2d=TIME") as refused:
        read(new, own)
    assert "init" not in str(refused.value)
    assert sorted(read(new, own, times_order=["2d=4", "1d=2"]).samples) == [2.0, 4.0]


@pytest.mark.parametrize(
    ("labels", "known", "times"),
    [
        (["2d"], ["0h", "12h"], {"2d": 48.0}),
        (["12h"], ["1d", "2d"], {"12h": 0.5}),
        (["day_3"], ["day_0", "day_4"], {"day_3": 3.0}),
        (["2d"], ["day_0", "day_4"], None),
        (["2d"], [], None),
    ],
)
def test_more_labels_are_read_as_the_known_ones(labels: list[str], known: list[str], times: Any) -> None:
    assert times_of_more_labels(labels, known) == times


def test_what_the_settings_of_the_study_say_holds(tmp_path: Path) -> None:
    table(tmp_path / "long.csv", [0, 1])
    own = study(tmp_path, time_column="clock", condition={"arm": "a"}, time_labels={"start": 0.0, "end": 7.0})
    new = table(tmp_path / "new.csv", [5], 4, arm=["a", "a", "a", "b"], clock=["start", "end", "end", "end"])
    shown = read(new, own)
    assert {time: len(values) for time, values in shown.samples.items()} == {0.0: 1, 7.0: 2}
    assert any("not used: time" in note for note in shown.notes)
    without = table(tmp_path / "other.csv", [5], 2, clock=["start", "end"])
    assert any("condition on arm is not asked" in note for note in read(without, own).notes)


def test_several_environments_are_not_pooled(tmp_path: Path) -> None:
    own = study(tmp_path, file=None)
    new = table(tmp_path / "new.csv", [0, 1], 4, patient=["p1", "p1", "p2", "p2"] * 2, batch=1)
    with pytest.raises(InputError, match=r"found 2 environments.*--condition patient=p1"):
        read(new, own)
    shown = read(new, own, condition=["patient=p2"])
    assert [len(values) for values in shown.samples.values()] == [2, 2]
    assert any("not used: batch" in note for note in shown.notes)
    assert any("--condition batch=VALUE" in note for note in shown.notes)


def test_an_array_without_times_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "new.npy", np.random.default_rng(0).normal(size=(6, 2, 2)))
    own = study(tmp_path, file=None)
    with pytest.raises(InputError, match="--settings time_step=NUMBER"):
        read(tmp_path / "new.npy", own)
    assert sorted(read(tmp_path / "new.npy", own, settings=["time_step=2.5"]).samples) == [0.0, 2.5]


def test_a_column_of_times_of_another_name_is_an_option_of_this_command(tmp_path: Path) -> None:
    own = study(tmp_path, file=None)
    new = table(tmp_path / "new.csv", [0, 1])
    new.write_text(new.read_text().replace("time,", "when,"))
    with pytest.raises(InputError, match="--time-column NAME") as refused:
        read(new, own)
    assert "init" not in str(refused.value)
    assert sorted(read(new, own, time_column="when").samples) == [0.0, 1.0]


def test_genes_are_projected_onto_the_components_of_the_study(tmp_path: Path) -> None:
    """Whatever the order of the genes, and beside genes that the study does not know."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    random = np.random.default_rng(0)
    components = np.linalg.qr(random.normal(size=(4, 2)))[0].T
    loadings = Loadings(components, random.normal(size=4), ("g0", "g1", "g2", "g3"))
    own = study(tmp_path, "h5ad", "cells.h5ad", ("pca_0", "pca_1"), representation="X", first_dimensions=2)
    genes = random.normal(size=(6, 5))
    order = [3, 1, 4, 0, 2]
    names = [f"g{place}" for place in order]

    def write(path: Path, names: list[str]) -> Path:
        with h5py.File(path, "w") as file:
            file["X"] = genes[:, order]
            obs, var = file.create_group("obs"), file.create_group("var")
            obs.attrs["_index"], var.attrs["_index"] = "cell", "gene"
            obs["cell"], var["gene"] = np.array([f"c{place}" for place in range(6)], "S"), np.array(names, "S")
            obs["time"] = np.repeat([1.0, 2.0], 3)
        return path

    shown = read(write(tmp_path / "new.h5ad", names), own, loadings)
    expected = (genes[:, :4] - loadings.centre) @ components.T
    np.testing.assert_allclose(np.concatenate([shown.samples[1.0], shown.samples[2.0]]), expected)
    with pytest.raises(InputError, match="found no genes g0, expected all 4 genes"):
        read(write(tmp_path / "few.h5ad", ["g3", "g1", "g4", "other", "g2"]), own, loadings)
    with pytest.raises(InputError, match="keeps no principal components"):
        read(tmp_path / "new.h5ad", own, None)
