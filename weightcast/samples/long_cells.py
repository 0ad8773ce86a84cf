"""Cells of many environments in one AnnData file: a column of obs says which patient, batch or line a cell is of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.samples import checks
from weightcast.samples.environment_labels import ids_of_labels
from weightcast.samples.h5ad import AnnDataSettings, read_anndata
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows


class LongCellsSettings(AnnDataSettings):
    environment_column: str = "environment"
    """Name of the column of obs of ids, which are those of the table of environments."""


def read_long_cells(
    path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None, visible: Collection[str] | None = None
) -> dict[str, TimedSamples]:
    """Read the cells of every environment.

    Args:
        path: the file.
        settings: see :class:`LongCellsSettings`.
        dimensions: names; None: pca_0, pca_1, ... of X_pca.
        visible: ids of the environments whose cells principal components of genes are fitted on; None: all.

    Returns:
        the cells of each environment by id, in the order of the file; each has the times that its cells have.

    Raises:
        InputError: as for a file of one environment; or there is no such column of environments.
    """
    chosen = checks.read_settings(LongCellsSettings, settings, path)
    column = chosen.environment_column
    place = f"obs, column {column}"

    def fitted_on(columns: Mapping[str, NDArray[np.generic]]) -> NDArray[np.bool_]:
        labels = [str(label) for label in columns[column]]
        of_label, _ = ids_of_labels(path, place, labels)
        return np.array([visible is None or of_label[label] in visible for label in labels])

    cells = read_anndata(path, chosen, dimensions, [column], fitted_on)
    labels = [str(label) for label in cells.columns[column]]
    of_label, said = ids_of_labels(path, place, labels)
    ids = np.array([of_label[label] for label in labels])
    found = {}
    for id in dict.fromkeys(ids):
        times, samples = group_rows(cells.times[ids == id], cells.values[ids == id])
        found[str(id)] = TimedSamples(
            times, samples, cells.names, False, cells.settings, notes=(*said, *cells.notes), loadings=cells.loadings
        )
    return found
