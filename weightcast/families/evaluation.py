"""How near predicted laws of an environment are to the truth after what was shown of it, as rows of metrics.csv.

A row's ``environment`` is its id, its ``horizon`` the position of a time in its data, its ``split`` the environment's
role. Methods that are shown samples have a case in their name (``path-shown-few``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.seeds import derive_seed
from weightcast.evolution.density import StackedDensity, time_key
from weightcast.evolution.distances.moments import relative_moment_error
from weightcast.evolution.distances.tails import tail_error, tail_probability
from weightcast.evolution.distances.wasserstein import wasserstein
from weightcast.families.bands import Band, ensemble_samples, mixed, mixture_log_prob, thresholds
from weightcast.families.cases import Case, last_shown, scored_positions
from weightcast.families.jobs import (
    ChooseMap,
    EvaluateFamily,
    EvaluateOpponents,
    TrainConditionalFlow,
    TrainPathDiffusion,
)
from weightcast.families.snapshots import EnvironmentSnapshots, FamilySnapshots, Samples
from weightcast.families.trained_family import TrainedFamily

LIKELIHOOD_SAMPLES = 500
"""Most held-out samples of a time whose log-likelihood is taken."""
QUANTITIES = ("mean", "tail")
"""What bands are on: the mean of a dimension, and the probability of its upper tail."""

Row = dict[str, Any]


class DrawnLaw(Protocol):
    """An evolving law that is drawn from and has a density, as :class:`weightcast.systems.exact_law.ExactLaw`."""

    def log_prob(self, values: Samples, time: float) -> NDArray[np.float64]:
        """Log density of values [sample, dimension], of counts the log probability [sample]."""

    def sample(self, time: float, number: int, seed: int) -> Samples:
        """Independent draws [sample, dimension]."""


@dataclass(frozen=True)
class TestEnvironment:
    """An environment that predictions are compared with.

    Attributes:
        study: name.
        id: of the environment.
        split: its role.
        snapshots: its samples.
        positions: of the times that are scored.
        samples: how many are drawn and compared with.
        spread: standard deviation of all visible training samples [dimension], the scale of errors of the mean.
    """

    __test__ = False  # for pytest, which takes classes of such names for tests

    study: str
    id: str
    split: str
    snapshots: EnvironmentSnapshots
    positions: list[int]
    samples: int
    spread: NDArray[np.float64]

    @property
    def times(self) -> list[float]:
        """The times that are scored."""
        return [float(self.snapshots.times[position]) for position in self.positions]

    @classmethod
    def each(
        cls,
        snapshots: FamilySnapshots,
        table: EnvironmentTable,
        ids: Sequence[str],
        cases: Sequence[Case],
        settings: ChooseMap | EvaluateFamily | EvaluateOpponents | TrainConditionalFlow | TrainPathDiffusion,
    ) -> list[TestEnvironment]:
        """Some of the study's environments, to be scored at times after all that the cases show of them."""
        visible = [snapshots.environments[environment.id] for environment in table.visible]
        seen = [one.train[position] for one in visible for position in np.flatnonzero(one.observed)]
        spread = np.concatenate(seen).std(0)
        found = []
        for place, id in enumerate(ids):
            own = snapshots.environments[id]
            positions = scored_positions(own, id, last_shown(cases, place), settings.evaluation)
            found.append(cls(settings.study, id, table[id].role, own, positions, settings.evaluation.samples, spread))
        return found

    def truth(self, position: int) -> Samples:
        """Held-out samples of a time, all that there are."""
        return self.snapshots.held_out[position]

    def sample_rows(self, method: str, seed: int, drawn: Samples) -> Iterator[Row]:
        """Rows of samples that a method draws.

        Args:
            method: its name.
            seed: of the method.
            drawn: [time, sample, dimension] at the scored times, in the data's units.
        """
        for position, values in zip(self.positions, drawn, strict=True):
            yield from self.rows_at(method, seed, position, values)

    def rows_at(self, method: str, seed: int, position: int, drawn: Samples) -> Iterator[Row]:
        """Rows of samples [sample, dimension] at one time."""
        truth = self.truth(position)
        few = truth[: self.samples]
        yield self.row(method, seed, position, "wasserstein", wasserstein(drawn[: len(few)], few))
        yield self.row(method, seed, position, "mean_error", float(relative_moment_error(drawn, truth, self.spread)[0]))
        yield self.row(method, seed, position, "tail_error", tail_error(drawn, truth))

    def path_rows(self, method: str, seed: int, density: StackedDensity, weights: Tensor) -> Iterator[Row]:
        """Rows of a path of weights: of its samples, and of its likelihood.

        Args:
            method: its name.
            seed: of the method.
            density: the architecture.
            weights: at the scored times [time, weight].
        """
        chosen = derive_seed(seed, "evaluation", self.id)
        drawn = density.sample(weights, self.samples, chosen, [time_key(time) for time in self.times])
        yield from self.sample_rows(method, seed, drawn.cpu().numpy())
        for position, own in zip(self.positions, weights, strict=True):
            truth = torch.from_numpy(self.truth(position)[:LIKELIHOOD_SAMPLES]).to(weights.device)
            with torch.no_grad():
                yield self.row(method, seed, position, "nll", -float(density.log_prob(own[None], truth[None]).mean()))

    def mass_rows(self, method: str, seed: int, log_growth: NDArray[np.float64], shown: Case | None) -> Iterator[Row]:
        """Rows of the size of the population, in that at the first time that is shown; none where nothing is known of
        it.

        Args:
            method: its name.
            seed: of the method.
            log_growth: the logarithm of the mass over that at `since` [draw, time], at the scored times; of several
                draws the median is scored, and the share of times at which their 90 % band holds the truth.
            shown: what is shown of the environment; None: nothing.
        """
        true, band = self._masses(self.positions, shown), Band.of(np.exp(log_growth))
        if true is None:
            return
        errors, held = np.abs(band.median - true) / true, band.holds(true)
        for place, position in enumerate(self.positions):
            yield self.row(method, seed, position, "relative_mass_error", float(errors[place]))
            if len(log_growth) > 1:
                yield self.row(method, seed, position, "mass_coverage_90", float(held[place]))

    def mass_bands(
        self, method: str, seed: int, log_growth: NDArray[np.float64], positions: Sequence[int], shown: Case | None
    ) -> Iterator[Row]:
        """Rows of bands.csv on the size of the population at times [draw, time]; none where nothing is known of it."""
        true, band = self._masses(positions, shown), Band.of(np.exp(log_growth))
        if true is None:
            return
        for place, position in enumerate(positions):
            yield self.band_row(method, seed, position, 0, "mass", band.at(place), float(true[place]))

    def _masses(self, positions: Sequence[int], shown: Case | None) -> NDArray[np.float64] | None:
        """True sizes of the population at times, in that at the time whose mass is 1; None where they are not known."""
        since, masses = self.since(shown), self.snapshots.masses
        return None if masses is None else masses[list(positions)] / self.snapshots.mass_at([since])[since]

    def since(self, shown: Case | None) -> float:
        """The time whose mass is 1: the first that is shown, or the environment's own first one."""
        return float(self.snapshots.times[0]) if shown is None else shown.times[shown.ids.index(self.id)][0]

    def shown_masses(self, shown: Case | None) -> dict[float, float]:
        """Masses that a case shows, by time."""
        return {} if shown is None else self.snapshots.mass_at(shown.times[shown.ids.index(self.id)])

    def law_rows(self, method: str, law: DrawnLaw, states: int | None, seed: int, of_seed: int = 0) -> Iterator[Row]:
        """Rows of a law that can be drawn from at any time: one that theory knows, the environment's own or one that a
        method takes for it, or one that a method makes.

        Args:
            method: its name.
            law: at the scored times.
            states: for counts, every dimension is one of 0 to states - 1; None for a real state.
            seed: of the draws.
            of_seed: of the method.
        """
        for position, time in zip(self.positions, self.times, strict=True):
            drawn = law.sample(time, self.samples, derive_seed(seed, "exact-law", self.id, position))
            # Rare counts that no sample of the study has.
            yield from self.rows_at(method, of_seed, position, drawn if states is None else drawn.clip(0, states - 1))
            truth = self.truth(position)[:LIKELIHOOD_SAMPLES]
            yield self.row(method, of_seed, position, "nll", -float(law.log_prob(truth, time).mean()))

    def band_row(
        self,
        method: str,
        seed: int,
        position: int,
        dimension: int,
        quantity: str,
        band: tuple[float, float, float],
        truth: float,
    ) -> Row:
        """A row of bands.csv: low, median and high of a band, and the truth."""
        low, middle, high = band
        return {
            "method": method,
            "split": self.split,
            "environment": self.id,
            "seed": seed,
            "time": float(self.snapshots.times[position]),
            "dimension": dimension,
            "quantity": quantity,
            "low": low,
            "mid": middle,
            "high": high,
            "truth": truth,
            "scored": int(position in self.positions),
        }

    def row(self, method: str, seed: int, position: int, metric: str, value: float) -> Row:
        """A row of metrics.csv."""
        return {
            "study": self.study,
            "method": method,
            "split": self.split,
            "environment": self.id,
            "seed": seed,
            "horizon": position,
            "metric": metric,
            "value": value,
        }


@dataclass(frozen=True)
class EnsembleAtTime:
    """What an ensemble says of an environment at one time, and what is true.

    Attributes:
        position: of the time in the environment's data.
        bands: by quantity, on each dimension.
        truth: by quantity [dimension].
    """

    position: int
    bands: dict[str, Band]
    truth: dict[str, NDArray[np.float64]]

    def held(self, quantity: str) -> float:
        """The share of dimensions in which the band holds the truth."""
        return float(self.bands[quantity].holds(self.truth[quantity]).mean())


def ensemble_at_times(
    family: TrainedFamily, codes: Tensor, test: TestEnvironment, positions: Sequence[int], seed: int
) -> list[EnsembleAtTime]:
    """Bands of an ensemble of codes [map, draw, number] at times of an environment that have held-out samples."""
    drawn = _drawn(family, family.moved_apart(codes), test, positions, seed)
    found = []
    for place, position in enumerate(positions):
        truth, values = test.truth(position), drawn[:, place]
        limits = thresholds(truth)
        bands = {"mean": Band.of(values.mean(1)), "tail": Band.of((values > limits).mean(1))}
        true = {"mean": truth.mean(0), "tail": tail_probability(truth, limits)}
        found.append(EnsembleAtTime(position, bands, true))
    return found


def _drawn(family: TrainedFamily, codes: Tensor, test: TestEnvironment, positions: Sequence[int], seed: int) -> Samples:
    """Samples of each code [draw, time, sample, dimension]."""
    times = [float(test.snapshots.times[position]) for position in positions]
    return ensemble_samples(family, times, codes, test.samples, derive_seed(seed, "ensemble", test.id))


def evaluate_ensemble(
    method: str, seed: int, family: TrainedFamily, codes: Tensor, test: TestEnvironment, further: Sequence[int]
) -> tuple[list[Row], list[Row]]:
    """Score an ensemble of codes: its mixture as one law, and the bands that it gives on means and tails.

    Args:
        method: its name.
        seed: of the method.
        family: trained.
        codes: of the ensemble [map, draw, number].
        test: what it is compared with.
        further: positions of times that are not scored, at which bands are wanted all the same.

    Returns:
        rows of metrics.csv, and rows of bands.csv.
    """
    rows, bands = [], []
    drawn = dict(zip(test.positions, _drawn(family, codes, test, test.positions, seed).swapaxes(0, 1), strict=True))
    for each in ensemble_at_times(family, codes, test, sorted({*test.positions, *further}), seed):
        position, time = each.position, float(test.snapshots.times[each.position])
        scored = position in test.positions
        for quantity, band in each.bands.items():
            bands += [
                test.band_row(method, seed, position, dimension, quantity, band.at(dimension), float(truth))
                for dimension, truth in enumerate(each.truth[quantity])
            ]
        if not scored:
            continue
        for quantity in QUANTITIES:
            rows.append(test.row(method, seed, position, f"{quantity}_coverage_90", each.held(quantity)))
        width = float(((each.bands["mean"].high - each.bands["mean"].low) / test.spread).mean())
        rows.append(test.row(method, seed, position, "mean_band_width", width))
        rows += test.rows_at(method, seed, position, mixed(drawn[position], test.samples))
        placed = torch.from_numpy(test.truth(position)[:LIKELIHOOD_SAMPLES]).to(codes.device)
        found_log = mixture_log_prob(family, time, codes, placed)
        rows.append(test.row(method, seed, position, "nll", -float(found_log.mean())))
    return rows, bands
