"""The way back from evolved principal components to genes, as the study's copy of the samples keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from weightcast.core.console.warning import warn
from weightcast.core.errors import InputError
from weightcast.samples.record import Loadings
from weightcast.samples.snapshots import read_loadings


def genes_of_study(
    results: Path,
    snapshots: Path,
    metadata: dict[str, Any],
    dimensions: Sequence[str],
    digest_of: Callable[[Path], str],
) -> Loadings | None:
    """Loadings of a study's samples, where it has some and they are still those that it was trained on.

    Args:
        results: the study's folder, ``results/<study>``.
        snapshots: where its samples lie, ``data/<study>/snapshots.nc``, seen from where it was run.
        metadata: of the artifact that is evolved.
        dimensions: names.
        digest_of: of the samples in a file.

    Returns:
        None where dimensions are no principal components of genes, or the samples are not there any more.

    Warns:
        on stderr, if they are there and are others.
    """
    file = results.resolve().parent.parent / snapshots
    try:
        loadings = read_loadings(file)
    except InputError:
        return None
    if loadings is None:
        return None
    if len(loadings.components) != len(dimensions) or digest_of(file) != metadata.get("data_digest"):
        warn(f"{file}: found other samples than {results} was trained on, expected the same: no genes are written")
        return None
    return loadings
