"""Loadings of principal components that an AnnData file holds beside the coordinates: the way back to genes.

``varm/PCs`` has the components, but nothing in the file says which matrix they are of, nor what was subtracted. So both
are found, and checked: a matrix that the components lead from to the coordinates, up to a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from weightcast.samples.anndata_matrix import SPARSE, Matrix, as_dense, as_text, read_plain
from weightcast.samples.record import Loadings

COORDINATES, COMPONENTS = "X_pca", "PCs"
"""Where scanpy puts coordinates in obsm and their loadings in varm."""
CHECKED = 200
"""Cells by which it is checked that components lead from a matrix to the coordinates."""
AGREES = 1e-3
"""Of the coordinates' spread; what single precision leaves is a thousandth of it."""
BLOCK = 4_000_000
"""Numbers of a matrix that are held at once."""


@dataclass(frozen=True)
class StoredLoadings:
    """What was found.

    Attributes:
        loadings: the way back; None where it is not known.
        note: in words, where they are of, or why there are none.
    """

    loadings: Loadings | None
    note: str


def gene_names(file: Any) -> list[str]:
    """Names of the rows of var of an open file, as far as it has them."""
    var = file.get("var")
    index = None if var is None else var.get(as_text(var.attrs.get("_index", "_index")))
    return [] if index is None else [str(name) for name in read_plain(index)]


def stored_loadings(file: Any, representation: str, coordinates: Matrix) -> StoredLoadings | None:
    """Loadings of ``X_pca`` of an open file; None where it holds none.

    Args:
        file: as h5py opens it.
        representation: key of obsm that is read.
        coordinates: of all cells there [cell, component].
    """
    place = file.get("varm")
    item = None if place is None or representation != COORDINATES else place.get(COMPONENTS)
    if item is None or hasattr(item, "keys") or coordinates.ndim != 2:
        return None
    components = np.asarray(item[()], dtype=np.float64)  # [gene, component]
    known = components[:, : coordinates.shape[1]]
    used = np.flatnonzero((known != 0).any(axis=1))
    if components.ndim != 2 or known.shape[1] != coordinates.shape[1] or not len(used):
        return StoredLoadings(None, f"varm {COMPONENTS} does not belong to obsm {COORDINATES}: no way back to genes")
    if np.abs(known.T @ known - np.eye(known.shape[1])).max() > AGREES:
        return StoredLoadings(None, f"varm {COMPONENTS}: columns are not orthonormal: no way back to genes")
    wanted = as_dense(coordinates).astype(np.float64)
    for name, matrix in _matrices(file, (len(wanted), len(known))):
        rows = np.unique(np.linspace(0, len(wanted) - 1, CHECKED).astype(int))
        reached = _rows(matrix, rows).astype(np.float64) @ known
        constant = (reached - wanted[rows]).mean(0)
        spread = np.linalg.norm(wanted[rows] - wanted[rows].mean(0))
        if not np.linalg.norm(reached - constant - wanted[rows]) <= AGREES * spread:
            continue
        mean = _mean(matrix)
        # Of centred data the constant is where the mean lies along the components, and their centre is the mean.
        centre = mean + (constant - mean @ known) @ known.T
        genes = gene_names(file)
        if len(genes) != len(known):
            genes = [f"gene_{number}" for number in range(len(known))]
        return StoredLoadings(
            Loadings(known[used].T.copy(), centre[used], tuple(genes[place] for place in used)),
            f"{len(used)} genes by varm {COMPONENTS}, which lead from {name} to obsm {COORDINATES}",
        )
    return StoredLoadings(
        None,
        f"varm {COMPONENTS} leads to obsm {COORDINATES} from neither X nor a layer, so that its centre is not known: "
        "no way back to genes",
    )


def _matrices(file: Any, shape: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    """X and the layers of an open file that are of this shape, [cell, gene], unread."""
    layers = file.get("layers", {})
    places = [("X", file.get("X")), *((f"layers/{name}", layers[name]) for name in layers)]
    for name, item in places:
        sizes: Any = None
        if item is not None and not hasattr(item, "keys"):
            sizes = item.shape if item.dtype.kind in "iuf" else None
        elif item is not None and as_text(item.attrs.get("encoding-type", "")) in SPARSE:
            sizes = item.attrs["shape"]
        if sizes is not None and tuple(int(length) for length in sizes) == shape:
            yield name, item


def _rows(item: Any, rows: NDArray[np.int_]) -> NDArray[np.float64]:
    """Some rows [row, gene] of a matrix of an open file."""
    if not hasattr(item, "keys"):
        return np.asarray(item[rows], dtype=np.float64)
    if as_text(item.attrs["encoding-type"]) == "csc_matrix":
        return _whole(item)[rows].toarray()
    pointers = item["indptr"][()]
    found = np.zeros((len(rows), int(item.attrs["shape"][1])))
    for place, row in enumerate(rows):
        of_row = slice(int(pointers[row]), int(pointers[row + 1]))
        np.add.at(found[place], item["indices"][of_row], item["data"][of_row])
    return found


def _mean(item: Any) -> NDArray[np.float64]:
    """The mean over rows [gene] of a matrix of an open file, part after part."""
    if not hasattr(item, "keys"):
        step = max(1, BLOCK // item.shape[1])
        parts = (item[first : first + step] for first in range(0, item.shape[0], step))
        return np.sum([part.sum(0, dtype=np.float64) for part in parts], axis=0) / item.shape[0]
    cells, genes = (int(length) for length in item.attrs["shape"])
    if as_text(item.attrs["encoding-type"]) == "csc_matrix":
        return np.asarray(_whole(item).sum(0)).ravel() / cells
    total = np.zeros(genes)
    for first in range(0, len(item["data"]), BLOCK):
        part = slice(first, first + BLOCK)
        total += np.bincount(item["indices"][part], item["data"][part], genes)
    return total / cells


def _whole(item: Any) -> Any:
    """A matrix stored by columns, as scipy has it."""
    parts = tuple(item[name][()] for name in ("data", "indices", "indptr"))
    return sparse.csc_matrix(parts, shape=tuple(int(length) for length in item.attrs["shape"])).tocsr()
