"""Matrices in AnnData files, dense or sparse, and principal components of genes with the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.samples.record import Loadings

Matrix = Any
"""An array [cell, column], or scipy's sparse matrix by rows, which has no types."""
SPARSE = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}


def read_matrix(path: Path, file: Any, representation: str) -> Matrix:
    """A matrix [cell, column] of an open file: a key of obsm, ``X``, or ``layers/<name>``; sparse ones by rows.

    Raises:
        InputError: there is none of this name, or it is a table.
    """
    place = file if representation == "X" or representation.startswith("layers/") else file.get("obsm")
    item = None if place is None else place.get(representation)
    if item is None:
        keys = (
            [
                *sorted(file["obsm"]),
                *(["X"] if "X" in file else []),
                *(f"layers/{key}" for key in file.get("layers", ())),
            ]
            if "obsm" in file
            else [*(["X"] if "X" in file else [])]
        )
        raise InputError(
            f"{path}: found no {representation} among {listed(keys)}, expected one of these as "
            "data.settings.representation (X and layers: principal components are computed)"
        )
    if not hasattr(item, "keys"):
        return item[()]
    kind = as_text(item.attrs.get("encoding-type", ""))
    if kind not in SPARSE:
        raise InputError(
            f"{path}: {representation}: found {kind or 'a group'}, expected a dense or sparse matrix of numbers"
        )
    shape = tuple(int(length) for length in item.attrs["shape"])
    data, indices, pointers = (item[name][()] for name in ("data", "indices", "indptr"))
    if len(data) != len(indices) or len(pointers) != shape[kind == "csc_matrix"] + 1:
        raise InputError(f"{path}: {representation}: found sparse parts that do not fit, expected a whole matrix")
    return sparse.csr_matrix(SPARSE[kind]((data, indices, pointers), shape=shape))


def as_text(value: Any) -> str:
    """Text as HDF5 gives it, bytes or not."""
    return value.decode() if isinstance(value, bytes) else str(value)


def read_plain(item: Any) -> NDArray[np.generic]:
    """Numbers, or text as str; of a group with a mask of missing values, its values."""
    data = item["values"] if hasattr(item, "keys") else item
    values: NDArray[np.generic] = data[()]
    return np.array([as_text(value) for value in values], dtype=str) if values.dtype.kind in "OS" else values


def as_dense(matrix: Matrix) -> NDArray[np.generic]:
    return matrix.toarray() if sparse.issparse(matrix) else matrix


def principal_components(
    path: Path, place: str, matrix: Matrix, count: int, genes: list[str], fitted_on: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], Loadings]:
    """Coordinates [cell, component] of cells, and the way back to genes.

    Args:
        path, place: named in messages.
        matrix: [cell, gene], as it is: log-normalised before, if it should be.
        count: of components.
        genes: names, as many as the matrix has columns, or none.
        fitted_on: the cells [cell] that components are of; None: all.

    Raises:
        InputError: there are not so many components, or a value is not finite.
    """
    from sklearn.decomposition import PCA

    values = matrix.astype(np.float64)
    numbers = values.data if sparse.issparse(values) else values
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: {place}: found a value that is not finite, expected numbers")
    seen = values if fitted_on is None else values[fitted_on]
    if count >= min(seen.shape):
        raise InputError(
            f"{path}: {place}: found {seen.shape[0]} cells of {seen.shape[1]} genes, expected more than "
            f"data.settings.first_dimensions ({count}) of both"
        )
    fitted = PCA(count, svd_solver="arpack", random_state=0).fit(seen)
    names = tuple(genes) if len(genes) == values.shape[1] else tuple(f"gene_{n}" for n in range(values.shape[1]))
    return fitted.transform(values), Loadings(fitted.components_, fitted.mean_, names)
