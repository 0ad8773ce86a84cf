"""Samples at a number of times as a file of the user's own holds them, before they are split."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Loadings:
    """The way from principal components back to what they are of.

    Attributes:
        components: [dimension, gene].
        centre: [gene], the mean that was taken off.
        genes: names [gene].
    """

    components: NDArray[np.float64]
    centre: NDArray[np.float64]
    genes: tuple[str, ...]

    def first(self, dimensions: int) -> Loadings:
        """The way back from the first so many components alone."""
        return Loadings(self.components[:dimensions], self.centre, self.genes)

    def of_whitened(self, centre: NDArray[np.float64], spread: NDArray[np.float64]) -> Loadings:
        """The way back from coordinates less ``centre``, over ``spread`` [dimension]."""
        return Loadings(self.components * spread[:, None], self.restored(centre), self.genes)

    def same_components(self, other: Loadings) -> bool:
        """Whether coordinates mean the same, but for where they are counted from."""
        return (
            self.genes == other.genes
            and self.components.shape == other.components.shape
            and bool(np.allclose(self.components, other.components, atol=1e-6))
        )

    def restored(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates [..., dimension] -> genes [..., gene]."""
        return values @ self.components + self.centre


@dataclass(frozen=True)
class TimedSamples:
    """What a reader makes of a file.

    Attributes:
        times: [time], increasing, in the file's own unit.
        samples: for each time, [sample, dimension], float64 and finite.
        dimensions: names.
        trajectories: whether row k is the same trajectory at every time.
        settings: how the file was read, complete: ``data.settings`` of a configuration that reads it so again.
        time_unit: as the file names it, or empty.
        notes: what was left out or assumed, a line each.
        loadings: where dimensions are principal components that were computed here.
        masses: size of the population at each time [time], where the file has a column of them.
    """

    times: NDArray[np.float64]
    samples: tuple[NDArray[np.float64], ...]
    dimensions: tuple[str, ...]
    trajectories: bool
    settings: dict[str, Any] = field(default_factory=dict)
    time_unit: str = ""
    notes: tuple[str, ...] = ()
    loadings: Loadings | None = None
    masses: NDArray[np.float64] | None = None

    def whitened(self) -> TimedSamples:
        """Each dimension less its mean, over its standard deviation, of the samples of all times."""
        every = np.concatenate(self.samples)
        centre, spread = every.mean(0), every.std(0)
        spread = np.where(spread > 0, spread, 1.0)
        samples = tuple((values - centre) / spread for values in self.samples)
        loadings = None if self.loadings is None else self.loadings.of_whitened(centre, spread)
        return replace(self, samples=samples, loadings=loadings)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value of any dimension at any time."""
        return min(float(values.min()) for values in self.samples), max(float(values.max()) for values in self.samples)
