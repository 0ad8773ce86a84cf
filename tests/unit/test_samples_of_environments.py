"""One file of many environments: what readers make of it, and principal components that lead back to genes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from family_files import births, write_cells
from refusals import refused
from scipy import sparse

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.families.gathering import common_loadings, import_family
from weightcast.families.snapshots import FamilySnapshots
from weightcast.samples.long_cells import read_long_cells
from weightcast.samples.long_table import read_long_table
from weightcast.samples.metadata_columns import metadata_of_environments
from weightcast.samples.read import read_samples
from weightcast.samples.record import Loadings, TimedSamples
from weightcast.samples.settings import SnapshotSettings

OF_WELLS = {"environment_column": "well"}


def table(environments: int = 8) -> EnvironmentTable:
    rows = tuple(
        Environment(f"well-{place}", {}, "visible" if place < 6 else "interpolation") for place in range(environments)
    )
    return EnvironmentTable(rows, (), Path("wells.csv"))


def test_whole_trajectories_of_a_long_table_are_held_out(tmp_path: Path) -> None:
    births().sample(frac=1, random_state=0).to_csv(tmp_path / "long.csv", index=False)
    settings = OF_WELLS | {"trajectory_column": "trajectory"}
    found = read_long_table(tmp_path / "long.csv", settings, ["trajectory", "X"])
    assert sorted(found) == [f"well-{place}" for place in range(8)]
    for one in found.values():  # rows of every time in the order of the trajectories, though the file has none
        assert one.trajectories
        for values in one.samples:
            np.testing.assert_array_equal(values[:, 0], np.arange(40))
    chosen = SnapshotSettings(
        source="csv", file=str(tmp_path / "long.csv"), settings=settings, state="counts", states=60,
        dimensions=["trajectory", "X"],
    )  # fmt: skip
    one = import_family(chosen, table(), 0).environments["well-3"]
    held_out = [set(values[:, 0]) for values in one.held_out]
    assert len(held_out[0]) == 8 and all(numbers == held_out[0] for numbers in held_out)
    assert not any(set(values[:, 0]) & held_out[0] for values in one.train)


def test_conditions_and_trajectories_that_are_not_whole(tmp_path: Path) -> None:
    frame = births()
    frame.to_csv(tmp_path / "long.csv", index=False)
    found = read_long_table(tmp_path / "long.csv", OF_WELLS | {"condition": {"line": "HeLa"}}, ["X"])
    assert list(found) == ["well-0", "well-2", "well-4", "well-6"]
    frame.drop(index=3).to_csv(tmp_path / "long.csv", index=False)
    with refused("long.csv: column trajectory", "expected each trajectory once at every time"):
        read_long_table(tmp_path / "long.csv", OF_WELLS | {"trajectory_column": "trajectory"}, ["X"])


def test_labels_become_ids_and_must_differ(tmp_path: Path) -> None:
    text = "environment,time,x\nMüller 3,0,1\nMüller 3,1,2\n007,0,5\n"
    (tmp_path / "long.csv").write_text(text, encoding="utf-8")
    found = read_long_table(tmp_path / "long.csv", {}, None)
    assert list(found) == ["Muller-3", "007"]
    assert found["007"].notes == ("ids of environments: Müller 3 is Muller-3",)
    (tmp_path / "long.csv").write_text(text.replace("007", "Muller_3").replace("Müller 3", "Muller-3"))
    assert len(read_long_table(tmp_path / "long.csv", {}, None)) == 2
    (tmp_path / "long.csv").write_text(text.replace("007", "muller-3"), encoding="utf-8")
    with refused("long.csv: column environment: found 'Müller 3' and 'muller-3', both with the id muller-3"):
        read_long_table(tmp_path / "long.csv", {}, None)
    (tmp_path / "long.csv").write_text(text.replace("007", "***"), encoding="utf-8")
    with refused("long.csv: column environment, label '***'"):
        read_long_table(tmp_path / "long.csv", {}, None)


def test_what_is_no_dimension_in_each_environment() -> None:
    frame = births()
    times, ids = frame.time.to_numpy(), frame.well.to_numpy(str)
    columns = {name: frame[name].to_numpy(float) for name in ("X", "trajectory", "rate", "n_counts")}
    columns["on"] = columns["trajectory"] + 40 * frame.well.str[-1].astype(int).to_numpy()  # numbered on and on
    columns["dose"] = times * columns["rate"]  # of a time in an environment, not of a time alone
    columns["row"] = np.arange(float(len(frame)))
    found, trajectories = metadata_of_environments(columns, times, ids)
    assert found.keys() == columns.keys() - {"X"}
    assert trajectories == "trajectory"
    assert "takes it for a parameter" in found["rate"]
    assert found["dose"] == "is the same for all samples of a time"
    assert metadata_of_environments({"X": columns["X"][:10]}, times[:10], ids[:10]) == ({}, None)


def test_cells_of_one_file_are_those_of_their_environments(tmp_path: Path) -> None:
    frame = births()
    values = write_cells(tmp_path / "cells.h5ad", frame)
    found = read_long_cells(tmp_path / "cells.h5ad", OF_WELLS | {"time_column": "day"}, None)
    assert list(found) == [f"well-{place}" for place in range(8)]
    for place, one in enumerate(found.values()):
        assert one.loadings is not None and one.loadings.genes == tuple(f"gene {number}" for number in range(6))
        for time, samples in zip(one.times, one.samples, strict=True):
            own = values[(frame.well == f"well {place}") & (frame.time == time)]
            # Three factors, three components: the way back is exact, within double precision.
            np.testing.assert_allclose(one.loadings.restored(samples), own, atol=1e-9)
    with refused("cells.h5ad: found no column 'donor' in obs", "well, day, line"):
        read_long_cells(tmp_path / "cells.h5ad", {"environment_column": "donor"}, None)


def test_components_of_genes_are_those_of_visible_environments(tmp_path: Path) -> None:
    """Cells of other environments may change, and neither components nor coordinates of visible ones do."""
    import h5py

    settings = OF_WELLS | {"representation": "X", "first_dimensions": 2}
    frame = births()
    write_cells(tmp_path / "cells.h5ad", frame)
    visible = [f"well-{place}" for place in range(6)]
    before = read_long_cells(tmp_path / "cells.h5ad", settings, None, visible)
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        values = file["X"][()]
        values[frame.well.isin(["well 6", "well 7"])] *= -3
        file["X"][...] = values
    after = read_long_cells(tmp_path / "cells.h5ad", settings, None, visible)
    np.testing.assert_array_equal(before["well-2"].samples[1], after["well-2"].samples[1])
    assert not np.allclose(before["well-6"].samples[1], after["well-6"].samples[1])


def test_a_family_keeps_the_way_back_to_genes(tmp_path: Path) -> None:
    frame = births()
    values = write_cells(tmp_path / "cells.h5ad", frame)
    chosen = SnapshotSettings(
        source="h5ad", file=str(tmp_path / "cells.h5ad"), settings=OF_WELLS, state="real",
        dimensions=["pca_0", "pca_1", "pca_2"],
    )  # fmt: skip
    found = import_family(chosen, table(), 0)
    found.save(tmp_path / "snapshots.nc")
    read = FamilySnapshots.load(tmp_path / "snapshots.nc")
    assert read.digest == found.digest and read.loadings is not None
    one = read.environments["well-1"]
    restored = read.loadings.restored(np.concatenate([one.train[2], one.held_out[2]]))
    own = values[(frame.well == "well 1") & (frame.time == 2)]
    np.testing.assert_allclose(np.sort(restored, axis=0), np.sort(own, axis=0), atol=1e-9)


@pytest.mark.parametrize("stored", ["dense", "csr", "csc"])
@pytest.mark.parametrize("place", ["X", "layers/logged"])
@pytest.mark.parametrize("centred", [True, False])
def test_stored_loadings_lead_back_whatever_they_are_of(tmp_path: Path, stored: str, place: str, centred: bool) -> None:
    """Of a matrix of rank three, centred or not, in the file as X or as a layer, with genes that have no loadings."""
    import h5py

    values = write_cells(tmp_path / "cells.h5ad", births())
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        if not centred:
            values = values - values.mean(0) + np.linspace(1, 2, 3) @ file["varm/PCs"][()].T
            file["obsm/X_pca"][...] = values @ file["varm/PCs"][()]
        padded = np.concatenate([values, np.ones((len(values), 1))], axis=1)
        components = np.concatenate([file["varm/PCs"][()], np.zeros((1, 3))])
        for name in ("X", "varm/PCs", "var/_index"):
            del file[name]
        file["varm/PCs"] = components
        file["var/_index"] = [f"gene {number}" for number in range(7)]
        file["X"] = np.zeros_like(padded)
        if place == "X":
            del file["X"]
        if stored == "dense":
            file[place] = padded
        else:
            matrix = getattr(sparse, f"{stored}_matrix")(padded)
            group = file.create_group(place)
            group.attrs["encoding-type"], group.attrs["shape"] = f"{stored}_matrix", matrix.shape
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(matrix, part)
    found = read_samples(tmp_path / "cells.h5ad", "h5ad", {"time_column": "day"})
    assert f"lead from {place} to obsm X_pca" in found.notes[-1]
    assert found.loadings is not None and len(found.loadings.genes) == 6
    frame = births()
    for time, samples in zip(found.times, found.samples, strict=True):
        np.testing.assert_allclose(found.loadings.restored(samples), values[frame.time == time], atol=1e-8)
    first = read_samples(tmp_path / "cells.h5ad", "h5ad", {"time_column": "day", "first_dimensions": 1}).loadings
    assert first is not None and first.components.shape == (1, 6)


def test_loadings_that_lead_nowhere_are_not_used(tmp_path: Path) -> None:
    import h5py

    write_cells(tmp_path / "cells.h5ad", births())
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        file["X"][...] = file["X"][()] ** 2  # counts, say, of which the components are not
    found = read_samples(tmp_path / "cells.h5ad", "h5ad", {"time_column": "day"})
    assert found.loadings is None and "from neither X nor a layer" in found.notes[-1]
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        file["varm/PCs"][...] = 2 * file["varm/PCs"][()]
    assert "not orthonormal" in read_samples(tmp_path / "cells.h5ad", "h5ad", {"time_column": "day"}).notes[-1]
    write_cells(tmp_path / "plain.h5ad", births(), with_loadings=False)
    assert read_samples(tmp_path / "plain.h5ad", "h5ad", {"time_column": "day"}).notes == ()


def test_environments_with_other_components_have_no_common_way_back() -> None:
    def one(turn: float, centre: float) -> TimedSamples:
        loadings = Loadings(np.array([[np.cos(turn), np.sin(turn)]]), np.full(2, centre), ("a", "b"))
        return TimedSamples(np.zeros(1), (np.zeros((2, 1)),), ("pca_0",), False, loadings=loadings)

    same = common_loadings([one(0.3, 1.0), one(0.3, 2.0)])
    assert same is not None and same.centre.tolist() == [1.5, 1.5]
    assert common_loadings([one(0.3, 1.0), one(0.4, 1.0)]) is None
