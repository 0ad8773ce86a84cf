"""Columns of numbers that are no dimension of a state: labels, indices, totals, and the time once more.

Nothing in a file says which of its columns of numbers are measured. A density that is given a batch or the number of a
row as a dimension spends itself on it, and every distance counts it. So what is recognised is left out and said; a user
who names the columns has what they name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from weightcast.core.categories import LABELS

FEWEST_ROWS = 20
"""Of fewer rows nothing can be said, nor learned."""
TRAJECTORIES = frozenset(
    {
        "trajectory", "trajectory_id", "traj", "traj_id", "track", "track_id", "particle", "particle_id", "path_id",
        "realisation", "realization", "realisation_id", "realization_id", "simulation", "simulation_id", "run",
        "run_id", "trial", "trial_id", "seed"
    }
)  # fmt: skip
"""Names of whole numbers that say whose state it is."""
INDICES = frozenset(
    {
        "index", "row", "row_id", "row_number", "id", "cell", "cell_id", "cellid", "barcode", "obs", "observation",
        "observation_id"
    }
)  # fmt: skip
"""Names of whole numbers that count rows."""
TOTALS = frozenset(
    {
        "n_counts", "total_counts", "n_genes", "n_genes_by_counts", "ncount_rna", "nfeature_rna", "n_umi", "n_umis",
        "numi", "numis", "ngene", "ngenes", "nreads", "n_reads", "ncounts", "umis",
        "umi_counts", "total_umis", "library_size", "size_factor", "size_factors", "pct_counts_mt", "percent_mito",
        "percent_mt", "pct_mito", "doublet_score"
    }
)  # fmt: skip
"""Names of numbers that a pipeline computes of each cell, whatever they are."""
FEW = "few whole numbers beside real ones, as labels are"
NAMED = "whole numbers that by their name only label"
MOST_LABELS = 20
"""Different whole numbers from which on they rather count something."""


def metadata_among(
    columns: Mapping[str, NDArray[np.float64]], times: NDArray[np.float64]
) -> tuple[dict[str, str], str | None]:
    """Which columns of a table are no dimensions, and why.

    Args:
        columns: by name, [row], finite, in the file's order of rows.
        times: [row].

    Returns:
        what each column that is no dimension is, in words; and the column among them that numbers the trajectories,
        each of which stands once at every time, or None.
    """
    found: dict[str, str] = {}
    trajectories = None
    if len(times) < FEWEST_ROWS:
        return found, None
    for name, values in columns.items():
        whole = bool((values == np.round(values)).all())
        plain = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
        if whole and numbers_trajectories(values, times):
            found[name], trajectories = "numbers the trajectories", trajectories or name
        elif whole and (np.diff(values) == 1).all():
            found[name] = "counts the rows"
        elif whole and _numbers_rows(values):
            found[name] = "numbers the rows, in another order"
        elif tells_the_time(values, times):
            found[name] = "is the same for all samples of a time"
        elif plain in TOTALS:
            found[name] = "by its name a total or a measure of quality"
        elif whole and plain in LABELS | TRAJECTORIES | INDICES:
            found[name] = NAMED
    rest = {name: values for name, values in columns.items() if name not in found}
    for name in few_whole_numbers(rest):
        found[name] = FEW
    rest = {name: values for name, values in rest.items() if name not in found}
    for name, values in rest.items():
        others = [other for key, other in rest.items() if key != name]
        if len(others) > 1 and np.allclose(values, np.sum(others, axis=0), rtol=1e-9, atol=1e-9 * np.abs(values).max()):
            found[name] = "the sum of the others"
            break
    return found, trajectories


def metadata_of_environments(
    columns: Mapping[str, NDArray[np.float64]], times: NDArray[np.float64], ids: NDArray[np.str_]
) -> tuple[dict[str, str], str | None]:
    """The same of a table of many environments: what is no dimension in all rows, or in those of each environment.

    A number that never changes in an environment says which environment it is, not what is measured there.

    Args:
        columns: by name, [row], finite, in the file's order of rows.
        times: [row].
        ids: of the environments [row].

    Returns:
        as :func:`metadata_among`; trajectories are numbered anew in each environment, or on and on.
    """
    rows = [np.flatnonzero(ids == id) for id in dict.fromkeys(ids)]
    large = [own for own in rows if len(own) >= FEWEST_ROWS]
    if not large:
        return {}, None
    constant = [
        name
        for name, values in columns.items()
        if all(np.ptp(values[own]) == 0 for own in rows) and np.ptp(values) > 0 and len(rows) > 1
    ]
    found = dict.fromkeys(constant, "never changes in an environment (--parameters takes it for a parameter)")
    rest = {name: values for name, values in columns.items() if name not in found}
    pooled, _ = metadata_among(rest, times)
    of_each = [metadata_among({name: values[own] for name, values in rest.items()}, times[own]) for own in large]
    everywhere = {name: why for name, why in of_each[0][0].items() if all(name in one for one, _ in of_each)}
    numbered = {trajectories for _, trajectories in of_each}
    trajectories = numbered.pop() if len(numbered) == 1 and len(large) == len(rows) else None
    return found | {name: why for name, why in (pooled | everywhere).items() if name not in found}, trajectories


def tells_the_time(values: NDArray[np.float64], times: NDArray[np.float64]) -> bool:
    """Whether a column [row] is the same for all samples of each time [row], and not at all times."""
    order = np.lexsort((values, times))
    same = np.diff(times[order]) == 0
    constant = bool((np.diff(values[order])[same] == 0).all())
    return constant and bool(same.any()) and len(np.unique(values)) > 1


def numbers_trajectories(values: NDArray[np.float64], times: NDArray[np.float64]) -> bool:
    """Whether the same numbers [row] stand at every time [row], each once, and they are no more than numbers.

    Two samples or more of two times or more: the numbers of trajectories, since no state that is drawn at random takes
    the very same values at every time.
    """
    distinct, position = np.unique(times, return_inverse=True)
    if len(distinct) < 2 or len(values) % len(distinct) or len(values) < 4 * len(distinct):
        return False
    sorted_rows = np.lexsort((values, position))
    counts = np.bincount(position)
    if (counts != counts[0]).any():
        return False
    each = values[sorted_rows].reshape(len(distinct), counts[0])
    return bool((each == each[0]).all() and (np.diff(each[0]) > 0).all())


def _numbers_rows(values: NDArray[np.float64]) -> bool:
    """Whether a column [row] of whole numbers is 0 to n - 1, or 1 to n, in any order: no measure is each once."""
    return bool((np.sort(values) - values.min() == np.arange(len(values))).all()) and values.min() in (0, 1)


def how_to_use(name: str, why: str) -> str:
    """The options that use a column which :func:`metadata_among` leaves out, for its line.

    Args:
        name: of the column.
        why: what it is, in words.
    """
    labels = why in (FEW, NAMED)
    return f"--condition {name}=VALUE takes rows of one, --dimensions uses it" if labels else "--dimensions uses it"


def few_whole_numbers(columns: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Columns of a few whole numbers beside real ones: labels mostly, or counts that another density would suit."""
    whole = {name: bool((values == np.round(values)).all()) for name, values in columns.items()}
    if all(whole.values()) or not any(whole.values()):
        return []
    return [name for name, values in columns.items() if whole[name] and 1 < len(np.unique(values)) <= MOST_LABELS]
