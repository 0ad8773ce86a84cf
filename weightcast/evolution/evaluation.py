"""How near predicted distributions are to the truth, as rows of metrics.csv.

A row's ``environment`` is the time (``t=12.5``), its ``horizon`` the time's position in the data. Splits: ``observed``
and ``unobserved`` times against held-out trajectories; ``held_out``: the snapshot that everything was trained without,
against held-out trajectories; ``forecast``: the last snapshot, and times before and after it, of what was trained
without it; ``previous``: snapshots, against held-out trajectories, of held-out samples of the snapshot before, carried
along; ``source``: all times but the first against the training trajectories themselves, as the
source of the method scores. Where no samples are held out (``data.held_out: 0``), only ``source`` and what was left out
are scored, the latter against all of its samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.evaluation import TimeEvaluationSettings
from weightcast.evolution.density import Laws
from weightcast.evolution.distances.marginals import jensen_shannon, paper_w
from weightcast.evolution.distances.maximum_mean_discrepancy import maximum_mean_discrepancy
from weightcast.evolution.distances.moments import relative_moment_error
from weightcast.evolution.distances.tails import tail_error
from weightcast.evolution.distances.wasserstein import sliced_wasserstein, wasserstein
from weightcast.evolution.plan import FORECAST, seen_in
from weightcast.samples.snapshots import Snapshots

MOMENT_ERRORS = ("mean_error", "variance_error", "third_moment_error", "fourth_moment_error")
MASS_ERROR = "relative_mass_error"
ROUNDING = 1e-12
LIKELIHOOD_SAMPLES = 2000
"""Most held-out samples of a time whose log-likelihood is taken."""
KERNEL_SAMPLES = 500
"""Most samples of either side that enter the maximum mean discrepancy, whose cost is quadratic."""

Row = dict[str, Any]
Samples = NDArray[np.float64]


@dataclass(frozen=True)
class TimeTestSet:
    """What predictions are compared with.

    Attributes:
        study: name.
        snapshots: all samples, with the training's view of what is observed.
        left_out: position of the time whose snapshot was left out, or None.
        settings: samples, which times.
        forecast: whether it was the last one, so that what comes after the others is forecast.
    """

    study: str
    snapshots: Snapshots
    left_out: int | None
    settings: TimeEvaluationSettings
    forecast: bool = False

    @classmethod
    def of(cls, study: str, snapshots: Snapshots, fold: str, settings: TimeEvaluationSettings) -> TimeTestSet:
        """The test set of a fold.

        Args:
            study: name.
            snapshots: all samples.
            fold: all, without-<snapshot>, or forecast.
            settings: samples, which times.

        Raises:
            InputError: the fold names no inner snapshot, or there are too few.
        """
        seen = seen_in(snapshots, fold)
        position = next(iter({*snapshots.observed_positions} - {*seen.observed_positions}), None)
        return cls(study, seen, position, settings, fold == FORECAST)

    @property
    def positions(self) -> list[int]:
        """Positions of the times at which held-out trajectories are compared with: never the first."""
        every = range(0, len(self.snapshots.times), self.settings.every)
        if self.left_out is None:
            if self.snapshots.all_train:
                return []
            return sorted({*self.snapshots.observed_positions, *every} - {0})
        last = self.snapshots.observed_positions[-1]
        further = [position for position in every if position > last] if self.forecast else []
        return sorted({self.left_out, *further})

    @property
    def source_positions(self) -> list[int]:
        """Positions of the times at which the source scores; none where a snapshot is left out."""
        return list(range(1, len(self.snapshots.times))) if self.left_out is None else []

    def compared(self, position: int, as_source: bool = False) -> int:
        """How many samples of a prediction are compared with the truth at a time: as many as the sampling floor has.

        That is the other part of the data's samples. A distance between samples falls with their number. Where all
        train there is no other part, and as many are compared as are drawn.
        """
        if self.snapshots.all_train:
            return self.settings.samples
        floor = self.snapshots.held_out if as_source else self.snapshots.train
        return min(self.settings.samples, len(floor[position]))

    def truth(self, position: int) -> Samples:
        """Samples that a prediction is compared with at a time, but as the source scores: those that trained
        nothing."""
        return (self.snapshots.train if self.snapshots.all_train else self.snapshots.held_out)[position]

    def mass_rows(self, method: str, seed: int, masses: Samples, as_source: bool = True) -> Iterator[Row]:
        """Rows of the relative error of the population's size; none where it is not known.

        Args:
            method: its name.
            seed: of the method.
            masses: predicted at every time of the data [time], in that at the first.
            as_source: whether it is scored as the source scores, too.
        """
        if self.snapshots.masses is None:
            return
        true = self.snapshots.masses / self.snapshots.masses[0]
        errors = np.abs(masses - true) / true
        errors[errors < ROUNDING] = 0.0
        for position in self.positions:
            yield self._row(method, self._split(position), position, seed, MASS_ERROR, float(errors[position]))
        for position in self.source_positions if as_source else []:
            yield self._row(method, "source", position, seed, MASS_ERROR, float(errors[position]))

    def rows(self, method: str, seed: int, predict: Callable[[int], Samples], as_source: bool = True) -> Iterator[Row]:
        """Rows of a method that predicts samples.

        Args:
            method: its name.
            seed: of the method.
            predict: position of a time -> samples [sample, dimension], in the data's units.
            as_source: whether it is scored as the source scores, too.
        """
        for position in self.positions:
            drawn = predict(position)[: self.compared(position)]
            split = self._split(position)
            truth = self.truth(position)
            for metric, value in self._distances(drawn, truth):
                yield self._row(method, split, position, seed, metric, value)
        for position in self.source_positions if as_source else []:
            truth = self.snapshots.train[position][: self.settings.samples]
            drawn = predict(position)[: self.compared(position, as_source=True)]
            yield from self.source_rows(method, seed, position, drawn, truth)

    @property
    def previous(self) -> list[tuple[int, int]]:
        """Positions of snapshots and of the next ones, to which samples of the former are carried along."""
        if not self.settings.from_previous or self.left_out is not None or self.snapshots.all_train:
            return []
        return list(pairwise(self.snapshots.observed_positions))

    def previous_rows(self, method: str, seed: int, carry: Callable[[Samples, int, int], Samples]) -> Iterator[Row]:
        """Rows of a method that carries samples on.

        Args:
            method: its name.
            seed: of the method.
            carry: samples [sample, dimension], in the data's units, the position of their time and that of the next
                snapshot -> samples there.
        """
        for before, position in self.previous:
            moved = carry(self.truth(before)[: self.settings.samples], before, position)[: self.compared(position)]
            for metric, value in self._distances(moved, self.truth(position)):
                yield self._row(method, "previous", position, seed, metric, value)

    def source_rows(self, method: str, seed: int, position: int, drawn: Samples, truth: Samples) -> Iterator[Row]:
        """Rows of samples at one time, as the source scores."""
        for metric, value in self._source_distances(drawn, truth):
            yield self._row(method, "source", position, seed, metric, value)

    def likelihood_rows(self, method: str, seed: int, laws: Laws) -> Iterator[Row]:
        """Rows of the negative log-likelihood of held-out samples.

        Args:
            method: its name.
            seed: of the method.
            laws: at every time of the data.
        """

        def log_prob(position: int, truth: Samples) -> float:
            placed = torch.from_numpy(truth).to(laws.weights[position].device)
            with torch.no_grad():
                return float(laws.log_prob(position, placed).mean())

        yield from self.mean_likelihood_rows(method, seed, log_prob)
        for position in self.positions:
            if self.snapshots.observed[position]:  # what is known by heart shows beside the held-out samples' nll
                value = -log_prob(position, self.snapshots.train[position][:LIKELIHOOD_SAMPLES])
                yield self._row(method, self._split(position), position, seed, "train_nll", value)

    def mean_likelihood_rows(self, method: str, seed: int, log_prob: Callable[[int, Samples], float]) -> Iterator[Row]:
        """Rows of the negative log-likelihood of held-out samples, of whatever has one.

        Args:
            method: its name.
            seed: of the method.
            log_prob: position of a time, samples [sample, dimension] -> mean log-likelihood, in nats.
        """
        for position in self.positions:
            value = -log_prob(position, self.truth(position)[:LIKELIHOOD_SAMPLES])
            yield self._row(method, self._split(position), position, seed, "nll", value)

    def _split(self, position: int) -> str:
        if self.left_out is not None:
            return "forecast" if self.forecast else "held_out"
        return "observed" if self.snapshots.observed[position] else "unobserved"

    def _row(self, method: str, split: str, position: int, seed: int, metric: str, value: float) -> Row:
        return {
            "study": self.study,
            "method": method,
            "split": split,
            "environment": f"t={self.snapshots.times[position]:.12g}",
            "seed": seed,
            "horizon": position,
            "metric": metric,
            "value": value,
        }

    def _distances(self, drawn: Samples, truth: Samples) -> Iterator[tuple[str, float]]:
        if not np.isfinite(drawn).all():  # a prediction that broke down is infinitely far away
            names = ["wasserstein", "sliced_wasserstein", "mmd", "jsd", *MOMENT_ERRORS, "tail_error"]
            yield from ((name, float("inf")) for name in names)
            return
        states = self.snapshots.states
        yield "wasserstein", wasserstein(drawn, truth)
        yield "sliced_wasserstein", sliced_wasserstein(drawn, truth)
        yield "mmd", maximum_mean_discrepancy(drawn[:KERNEL_SAMPLES], truth[:KERNEL_SAMPLES])
        yield "jsd", jensen_shannon(drawn, truth, states)
        # The spread of the whole study is the scale: at a time without spread, no error would be small.
        scale = np.concatenate(self.snapshots.observed_train).std(0)
        yield from zip(MOMENT_ERRORS, map(float, relative_moment_error(drawn, truth, scale)), strict=True)
        yield "tail_error", tail_error(drawn, truth)

    def _source_distances(self, drawn: Samples, truth: Samples) -> Iterator[tuple[str, float]]:
        states = self.snapshots.states
        if not np.isfinite(drawn).all():
            yield from ((name, float("inf")) for name in ("wasserstein", "jsd"))
            return
        yield "wasserstein", wasserstein(drawn, truth)
        yield "jsd", jensen_shannon(drawn, truth, states)
        if states is not None:
            yield "paper_w", paper_w(drawn, truth, states)


def evaluate_path(method: str, seed: int, laws: Laws, test: TimeTestSet, as_source: bool = True) -> Iterator[Row]:
    """Rows of a path of weights.

    Args:
        method: its name.
        seed: of the method.
        laws: at every time of the data.
        test: what it is compared with.
        as_source: whether it is scored as the source scores, and from the snapshot before, too.
    """
    positions = sorted({*test.positions, *(test.source_positions if as_source else [])})
    drawable = [position for position in positions if laws.finite[position]]
    chosen = derive_seed(seed, "evaluation", method)
    broken = np.full((test.settings.samples, len(test.snapshots.dimensions)), np.nan)
    drawn = dict.fromkeys(positions, broken)
    if drawable:
        even = test.settings.draws == "even"
        samples = laws.chosen(drawable).sample(test.settings.samples, chosen, keys=drawable, even=even).cpu().numpy()
        drawn |= dict(zip(drawable, samples, strict=True))
    yield from test.rows(method, seed, lambda position: drawn[position], as_source)
    yield from test.likelihood_rows(method, seed, laws)
    if as_source and laws.density.carries:

        def carry(samples: Samples, before: int, position: int) -> Samples:
            if not (laws.finite[before] and laws.finite[position]):
                return np.full_like(samples, np.nan)
            (start,), (end,) = laws.weights[before], laws.weights[position]
            return laws.density.carry(start, end, torch.from_numpy(samples).to(start.device)).cpu().numpy()

        yield from test.previous_rows(method, seed, carry)
