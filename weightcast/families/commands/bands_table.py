"""The table that ``evolve --bands`` writes: what an ensemble says of means, tails and sizes of the population."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.names import listed
from weightcast.families.bands import Band
from weightcast.families.public import InferredLaw, PathFamily

ENDING = ".csv"


def check_bands_file(path: Path, samples: Path) -> None:
    """Refuse a name that is no table's, or that of the samples.

    Raises:
        InputError: it is.
    """
    if path.suffix.lower() != ENDING:
        raise InputError(f"--bands: found {path}, expected a table, {ENDING}")
    if path.resolve() == samples.resolve():
        raise InputError(f"--bands: found {path}, the file of the samples (-o), expected another one")


def parse_tails(words: Sequence[str], dimensions: Sequence[str]) -> list[tuple[int, float]]:
    """``NAME=VALUE`` ... -> positions of dimensions, and thresholds in the data's units.

    Raises:
        InputError: a word is not of that form, or names no dimension.
    """
    found = []
    for word in words:
        name, equals, value = word.rpartition("=")
        try:
            threshold = float(value)
        except ValueError:
            threshold = float("nan")
        if not equals or not np.isfinite(threshold):
            raise InputError(f"--tails: found {word!r}, expected NAME=NUMBER")
        if name not in dimensions:
            raise InputError(f"--tails: found {name!r}, expected one of {listed(dimensions)}")
        found.append((list(dimensions).index(name), threshold))
    return found


def write_bands(
    path: Path,
    family: PathFamily,
    law: InferredLaw,
    times: NDArray[np.float64],
    seed: int,
    tails: Sequence[tuple[int, float]] = (),
) -> None:
    """Write a row for each time and each quantity: its median, and its 90 % band.

    The column ``dimension`` has the name of the one whose mean it is; ``NAME > VALUE``, whose row is of the probability
    of that; or ``(mass)``, the size of the population, of studies that know it.

    Args:
        path: the table.
        family: of the study.
        law: inferred.
        times: in the data's unit.
        seed: of the samples that means and probabilities are of.
        tails: positions of dimensions, and thresholds.
    """
    found = []
    if family.family.masses is not None:
        found += _rows(times, "(mass)", law.mass_band(times, seed))
    means = law.mean_band(times, seed=seed)
    for place, time in enumerate(times):
        found += [(time, name, *means.at(place, dimension)) for dimension, name in enumerate(family.dimensions)]
    for dimension, threshold in tails:
        limits = np.full(len(family.dimensions), np.inf)
        limits[dimension] = threshold
        band = law.tail_band(times, limits, seed=seed)
        own = Band(band.low[:, dimension], band.median[:, dimension], band.high[:, dimension])
        found += _rows(times, f"{family.dimensions[dimension]} > {threshold:g}", own)
    rows = pd.DataFrame(found, columns=["time", "dimension", "low", "median", "high"])
    with written_whole(path) as partial:
        rows.to_csv(partial, index=False)


def _rows(times: NDArray[np.float64], name: str, band: Band) -> list[tuple[float, str, float, float, float]]:
    """Of one quantity [time]."""
    return [(float(time), name, *band.at(place)) for place, time in enumerate(times)]
