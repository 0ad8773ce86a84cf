"""Cells of another AnnData file in principal components that are known already: those of a study's own cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.samples import checks
from weightcast.samples.anndata_matrix import as_dense, read_matrix
from weightcast.samples.h5ad import AnnDataSettings, fulfilling_cells, opened_h5ad, read_times_of_cells
from weightcast.samples.record import Loadings, TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.stored_loadings import gene_names

BLOCK = 4_000_000
"""Numbers of genes that are projected at once."""


def read_projected(
    path: Path, settings: Mapping[str, Any], loadings: Loadings, dimensions: tuple[str, ...]
) -> TimedSamples:
    """Read genes of cells, in any order, and project them.

    Args:
        path: the file.
        settings: see :class:`AnnDataSettings`; ``representation`` is ``X`` or a layer, of values such as the study's.
        loadings: of the components.
        dimensions: their names.

    Raises:
        InputError: the file cannot be read, or lacks genes of the loadings.
    """
    chosen = checks.read_settings(AnnDataSettings, settings, path)
    with opened_h5ad(path) as file:
        times, _, said = read_times_of_cells(path, file, chosen)
        wanted = fulfilling_cells(path, file["obs"], chosen.condition or {}, len(times))
        matrix = read_matrix(path, file, chosen.representation)
        genes = gene_names(file)
    checks.check_axes(path, chosen.representation, matrix.shape, ("cell", "gene"))
    places = {gene: place for place, gene in enumerate(genes[: matrix.shape[1]])}
    missing = [gene for gene in loadings.genes if gene not in places]
    if missing:
        raise InputError(
            f"{path}: {chosen.representation}: found no genes {listed(missing, 5)}, expected all {len(loadings.genes)} "
            "genes of the study's principal components, by the names in var"
        )
    columns = np.array([places[gene] for gene in loadings.genes])
    rows = np.flatnonzero(wanted)
    parts, step = [], max(1, BLOCK // len(columns))
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        values = matrix[some][:, columns] if sparse.issparse(matrix) else matrix[np.ix_(some, columns)]
        parts.append((as_dense(values).astype(np.float64) - loadings.centre) @ loadings.components.T)
    found = np.concatenate(parts)
    checks.check_finite(path, found, ("cell",), dimensions)
    grouped, samples = group_rows(times[wanted], found)
    note = f"{len(columns)} genes of {chosen.representation}, as they are, in the study's {len(dimensions)} components"
    return TimedSamples(grouped, samples, dimensions, False, chosen.model_dump(exclude_none=True), notes=(*said, note))
