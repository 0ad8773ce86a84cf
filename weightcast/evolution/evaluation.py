"""How near predicted distributions are to the truth, as rows of metrics.csv.

A row's ``environment`` is the time (``t=12.5``), its ``horizon`` the time's position in the data. Splits: ``observed``
and ``unobserved`` times against held-out trajectories; ``held_out``: the snapshot that everything was trained without,
against held-out trajectories; ``source``: all times but the first against the training trajectories themselves, as the
source of the method scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.evaluation import TimeEvaluationSettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.distances.marginals import jensen_shannon, paper_w
from weightcast.evolution.distances.maximum_mean_discrepancy import maximum_mean_discrepancy
from weightcast.evolution.distances.moments import relative_moment_error
from weightcast.evolution.distances.tails import tail_error
from weightcast.evolution.distances.wasserstein import sliced_wasserstein, wasserstein
from weightcast.evolution.plan import left_out
from weightcast.samples.snapshots import Snapshots

MOMENT_ERRORS = ("mean_error", "variance_error", "third_moment_error", "fourth_moment_error")
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
    """

    study: str
    snapshots: Snapshots
    left_out: int | None
    settings: TimeEvaluationSettings

    @classmethod
    def of(cls, study: str, snapshots: Snapshots, fold: str, settings: TimeEvaluationSettings) -> TimeTestSet:
        """The test set of a fold.

        Args:
            study: name.
            snapshots: all samples.
            fold: all, or without-<snapshot>.
            settings: samples, which times.

        Raises:
            InputError: the fold names no inner snapshot.
        """
        number = left_out(fold)
        seen = snapshots.without(number)
        position = None if number is None else snapshots.observed_positions[number]
        return cls(study, seen, position, settings)

    @property
    def positions(self) -> list[int]:
        """Positions of the times at which held-out trajectories are compared with: never the first."""
        if self.left_out is not None:
            return [self.left_out]
        count = len(self.snapshots.times)
        chosen = {*self.snapshots.observed_positions, *range(0, count, self.settings.every)}
        return sorted(chosen - {0})

    @property
    def source_positions(self) -> list[int]:
        """Positions of the times at which the source scores; none where a snapshot is left out."""
        return list(range(1, len(self.snapshots.times))) if self.left_out is None else []

    def rows(self, method: str, seed: int, predict: Callable[[int], Samples], as_source: bool = True) -> Iterator[Row]:
        """Rows of a method that predicts samples.

        Args:
            method: its name.
            seed: of the method.
            predict: position of a time -> samples [sample, dimension], in the data's units.
            as_source: whether it is scored as the source scores, too.
        """
        for position in self.positions:
            drawn = predict(position)
            split = "held_out" if self.left_out is not None else self._split(position)
            truth = self.snapshots.held_out[position]
            for metric, value in self._distances(drawn, truth):
                yield self._row(method, split, position, seed, metric, value)
        for position in self.source_positions if as_source else []:
            truth = self.snapshots.train[position][: self.settings.samples]
            yield from self.source_rows(method, seed, position, predict(position), truth)

    def source_rows(self, method: str, seed: int, position: int, drawn: Samples, truth: Samples) -> Iterator[Row]:
        """Rows of samples at one time, as the source scores."""
        for metric, value in self._source_distances(drawn, truth):
            yield self._row(method, "source", position, seed, metric, value)

    def likelihood_rows(self, method: str, seed: int, density: StackedDensity, weights: Tensor) -> Iterator[Row]:
        """Rows of the negative log-likelihood of held-out samples.

        Args:
            method: its name.
            seed: of the method.
            density: the architecture.
            weights: at every time of the data [time, parameter].
        """

        def log_prob(position: int, truth: Samples) -> float:
            placed = torch.from_numpy(truth).to(weights.device)
            with torch.no_grad():
                return float(density.log_prob(weights[position][None], placed[None]).mean())

        yield from self.mean_likelihood_rows(method, seed, log_prob)

    def mean_likelihood_rows(self, method: str, seed: int, log_prob: Callable[[int, Samples], float]) -> Iterator[Row]:
        """Rows of the negative log-likelihood of held-out samples, of whatever has one.

        Args:
            method: its name.
            seed: of the method.
            log_prob: position of a time, samples [sample, dimension] -> mean log-likelihood, in nats.
        """
        for position in self.positions:
            value = -log_prob(position, self.snapshots.held_out[position][:LIKELIHOOD_SAMPLES])
            split = "held_out" if self.left_out is not None else self._split(position)
            yield self._row(method, split, position, seed, "nll", value)

    def _split(self, position: int) -> str:
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


def evaluate_path(
    method: str, seed: int, density: StackedDensity, weights: Tensor, test: TimeTestSet, as_source: bool = True
) -> Iterator[Row]:
    """Rows of a path of weights.

    Args:
        method: its name.
        seed: of the method.
        density: the architecture.
        weights: at every time of the data [time, parameter].
        test: what it is compared with.
        as_source: whether it is scored as the source scores, too.
    """
    positions = sorted({*test.positions, *(test.source_positions if as_source else [])})
    finite = torch.isfinite(weights).all(1)
    safe = torch.where(finite[:, None], weights, 0.0)
    chosen = derive_seed(seed, "evaluation", method)
    drawn = density.sample(safe[positions], test.settings.samples, chosen, keys=positions).cpu().numpy()
    drawn[~finite[positions].cpu().numpy()] = np.nan
    place = {position: index for index, position in enumerate(positions)}
    yield from test.rows(method, seed, lambda position: drawn[place[position]], as_source)
    yield from test.likelihood_rows(method, seed, density, weights)
