"""Cells in an AnnData file, written as AnnData 0.8 and later read it, without that package.

The format is stated in its documentation, "on-disk format".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.files import written_whole
from weightcast.samples.record import Loadings

BLOCK = 4_000_000
"""Numbers of genes that are computed at once."""
_NUMBERED = re.compile(r"(?P<of>\w+)_\d+")


def write_anndata(
    path: Path,
    values: NDArray[Any],
    dimensions: Sequence[str],
    obs: Mapping[str, NDArray[Any]],
    uns: Mapping[str, Any],
    loadings: Loadings | None = None,
) -> None:
    """Write cells whole or not at all; the same cells give the same bytes.

    Coordinates stand in obsm, as ``X_pca`` where dimensions are called pca_0, pca_1, ..., else as ``X_state``. X holds
    them once more; or, where loadings are there, genes in single precision, of which var has the mean that is added and
    varm the components. Components that the coordinates leave out are at their mean.

    Args:
        path: the file.
        values: coordinates [cell, dimension].
        dimensions: names.
        obs: columns [cell]; text becomes a category.
        uns: numbers and texts that say what the cells are.
        loadings: the way back to genes.

    Raises:
        OSError: it cannot be written.
    """
    import h5py

    matches = [_NUMBERED.fullmatch(name) for name in dimensions]
    common = {match["of"] for match in matches if match} if all(matches) else set()
    representation = f"X_{common.pop()}" if len(common) == 1 else "X_state"
    with written_whole(path) as partial, h5py.File(partial, "w") as file:

        def group(place: Any, name: str, kind: str, version: str) -> Any:
            made = place.require_group(name)
            made.attrs.update({"encoding-type": kind, "encoding-version": version})
            return made

        def array(place: Any, name: str, data: NDArray[Any]) -> None:
            text = data.dtype.kind == "U"
            made = place.create_dataset(
                name, data=data.astype(object) if text else data, dtype=h5py.string_dtype() if text else data.dtype
            )
            made.attrs.update({"encoding-type": "string-array" if text else "array", "encoding-version": "0.2.0"})

        def category(place: Any, name: str, data: NDArray[Any]) -> None:
            kinds, codes = np.unique(data, return_inverse=True)
            made = group(place, name, "categorical", "0.2.0")
            made.attrs["ordered"] = False
            array(made, "categories", kinds)
            array(made, "codes", codes.astype(np.int32))

        def table(name: str, index: NDArray[Any], columns: Mapping[str, NDArray[Any]]) -> None:
            made = group(file, name, "dataframe", "0.2.0")
            made.attrs["_index"] = "_index"
            made.attrs.create("column-order", list(columns), dtype=h5py.string_dtype(), shape=(len(columns),))
            array(made, "_index", index)
            for column, data in columns.items():
                (category if data.dtype.kind == "U" else array)(made, column, data)

        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        if loadings is None:
            array(file, "X", values)
        else:
            _write_genes(file, values, loadings)
        table("obs", np.arange(len(values)).astype(str), obs)
        names = dimensions if loadings is None else loadings.genes
        table("var", np.array(list(names)), {} if loadings is None else {"mean": loadings.centre})
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            group(file, name, "dict", "0.1.0")
        array(file["obsm"], representation, values)
        if loadings is not None:
            array(file["varm"], "PCs", np.ascontiguousarray(loadings.components.T))
        for name, value in uns.items():
            array(file["uns"], name, np.asarray(value))


def _write_genes(file: Any, values: NDArray[Any], loadings: Loadings) -> None:
    """X, genes [cell, gene] of coordinates [cell, dimension], part after part."""
    genes = len(loadings.genes)
    made = file.create_dataset("X", shape=(len(values), genes), dtype=np.float32)
    made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    step = max(1, BLOCK // genes)
    for first in range(0, len(values), step):
        made[first : first + step] = loadings.restored(values[first : first + step].astype(np.float64))
