"""Gradient-boosted trees: the increment of each channel by scikit-learn's histogram gradient boosting.

What people would try first on a table (J. H. Friedman, Greedy function approximation: a gradient boosting machine,
Annals of Statistics 29 (2001) 1189). Trees know of an environment what a few frames tell at a glance: mean and standard
deviation of each channel, further columns of the table, as global forecasting models are told the level and scale of a
series. In training these are taken from other frames of the environment, as few of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from weightcast.environments.baselines.next_frame import Floats, Records, error, folds
from weightcast.environments.config.baselines import TreesSettings

MOST = 1e30
"""That trees are asked about: a forecast that diverges goes no further."""
MOST_ROWS = 100_000
"""Steps that trees are fitted to; of more, evenly spread trajectories are taken."""


@dataclass(frozen=True)
class TreeSize:
    """What decides how closely trees follow their data."""

    iterations: int
    leaves: int


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Fitted trees.

    Attributes:
        of_channel: one regressor a channel.
        places: what they know of each environment that they forecast [environment, number]; of all alike where there is
            one row, and there may be no numbers.
    """

    of_channel: list[HistGradientBoostingRegressor]
    places: Floats

    def __call__(self, told: Floats) -> Floats:
        """Increments [environment, trajectory, channel] of what steps are told [environment, trajectory, number]."""
        rows = _with_places(told, self.places).reshape(-1, told.shape[-1] + self.places.shape[-1])
        rows = np.clip(rows, -MOST, MOST)
        made = np.stack([trees.predict(rows) for trees in self.of_channel], axis=-1)
        return np.asarray(made.reshape(*told.shape[:-1], -1), np.float64)

    def at(self, places: Floats) -> BoostedTrees:
        """The same trees, for environments of which this is known."""
        return BoostedTrees(self.of_channel, places)

    @property
    def numbers(self) -> int:
        """Numbers that are kept: threshold and feature of each split, value of each leaf."""
        predictors = [tree for trees in self.of_channel for step in trees._predictors for tree in step]
        leaves = sum(tree.get_n_leaf_nodes() for tree in predictors)
        return int(3 * leaves - 2 * len(predictors))


def fit_trees(train: Records, size: TreeSize, settings: TreesSettings, places: Floats | None = None) -> BoostedTrees:
    """Trees of all environments together.

    Args:
        train: of the environments.
        size: of the trees.
        settings: what all sizes share.
        places: what is known of an environment beside each trajectory [environment, trajectory, number].
    """
    environments, trajectories, steps, _ = train.before.shape
    most = max(1, MOST_ROWS // (environments * steps))
    chosen = np.unique(np.linspace(0, trajectories - 1, min(most, trajectories)).round().astype(int))
    told = train.before[:, chosen]
    if places is not None:
        beside = np.broadcast_to(places[:, chosen, None], (*told.shape[:-1], places.shape[-1]))
        told = np.concatenate([told, beside], axis=-1)
    rows = told.reshape(-1, told.shape[-1])
    made = train.increments[:, chosen].reshape(len(rows), -1)
    return BoostedTrees([_fitted(rows, values, size, settings) for values in made.T], np.empty((1, 0)))


def _fitted(rows: Floats, values: Floats, size: TreeSize, settings: TreesSettings) -> HistGradientBoostingRegressor:
    """Trees of one channel's increments [row]; what a step is told may be missing, what it makes may not."""
    there = ~np.isnan(values)
    if not there.all():
        rows, values = rows[there], values[there]
    return HistGradientBoostingRegressor(
        learning_rate=settings.learning_rate,
        max_iter=size.iterations,
        max_leaf_nodes=size.leaves,
        min_samples_leaf=min(settings.leaf_steps, max(1, len(rows) // 4)),
        early_stopping=False,  # choices are made on forecasts of environments that were left out
        random_state=0,
    ).fit(rows, values)


@dataclass(frozen=True)
class EachTrees:
    """Trees of each environment by itself, in the order of the environments."""

    of_environment: Sequence[BoostedTrees]

    def __call__(self, told: Floats) -> Floats:
        """As of :class:`BoostedTrees`."""
        return np.concatenate([trees(own[None]) for trees, own in zip(self.of_environment, told, strict=True)])

    @property
    def numbers(self) -> int:
        """Numbers that are kept for an environment, on average."""
        return round(sum(trees.numbers for trees in self.of_environment) / len(self.of_environment))


def fit_each(train: Records, size: TreeSize, settings: TreesSettings) -> EachTrees:
    """Trees of each environment's own steps."""
    return EachTrees([fit_trees(train.take([number]), size, settings) for number in range(len(train))])


@dataclass(frozen=True, eq=False)
class TreeFits:
    """Boosted trees of a study.

    Attributes:
        train: trajectories of the visible environments, as far as networks are trained on them.
        held_out: others of theirs, on which choices are made.
        settings: sizes to choose from.
        choosing: numbers of the visible environments whose own trees choose the size of others' own trees.
    """

    train: Records
    held_out: Records
    settings: TreesSettings
    choosing: Sequence[int]

    def pooled(self) -> BoostedTrees:
        """Fit all visible environments together."""
        nothing = np.empty((len(self.train), self.train.states.shape[1], 0))
        size = self._size(nothing, nothing[:, 0])
        return fit_trees(self.train, size, self.settings)

    def own(self, records: Records) -> EachTrees:
        """Fit trees to each environment's own trajectories."""
        train, held_out = self.train.take(self.choosing), self.held_out.take(self.choosing)
        size = min(_sizes(self.settings), key=lambda size: error(fit_each(train, size, self.settings), held_out))
        return fit_each(records, size, self.settings)

    def from_frames(self, shown: Records, train: Records) -> Callable[[Records], BoostedTrees]:
        """Pooled trees that are told what a few frames say at a glance."""
        trajectories, frames = shown.frames.shape[1:3]
        # Beside each trajectory the frames of those before it, of whichever of them there are as many.
        before = [np.roll(train.frames, 1 + number, axis=1)[:, :, :frames] for number in range(trajectories)]
        places = glance(np.concatenate(before, axis=2))
        trees = fit_trees(self.train, self._size(places, glance(_together(shown.frames))), self.settings, places)
        return lambda frames: trees.at(glance(_together(frames.frames)))

    def _size(self, places: Floats, shown: Floats) -> TreeSize:
        """With which left-out visible environments are forecast best by trees of the others.

        Args:
            places: what is known of an environment beside each trajectory [environment, trajectory, number].
            shown: what is known of it when it is forecast [environment, number].
        """

        def judged(size: TreeSize) -> float:
            total = 0.0
            for fitted, judging in folds(len(self.train)):
                trees = fit_trees(self.train.take(fitted), size, self.settings, places[fitted])
                total += len(judging) * math.log(error(trees.at(shown[judging]), self.held_out.take(judging)))
            return total

        return min(_sizes(self.settings), key=judged)


def _sizes(settings: TreesSettings) -> list[TreeSize]:
    """The sizes that may be chosen, the smallest first: it is taken where others are no better."""
    return [TreeSize(*each) for each in itertools.product(sorted(settings.iterations), sorted(settings.leaves))]


def _together(frames: Floats) -> Floats:
    """Those of all trajectories one after the other [environment, frame, channel]."""
    return frames.reshape(len(frames), -1, frames.shape[-1])


def glance(states: Floats) -> Floats:
    """Mean and standard deviation of each channel over frames [..., frame, channel]: [..., 2 * channel]; values that
    were not seen are NaN, and so is what nothing was seen of, which trees can tell apart."""
    seen = ~np.isnan(states)
    count = seen.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(seen, states, 0.0).sum(axis=-2) / count
        square = (np.where(seen, states - mean[..., None, :], 0.0) ** 2).sum(axis=-2) / count
    return np.concatenate([mean, np.sqrt(square)], axis=-1)


def _with_places(told: Floats, places: Floats) -> Floats:
    beside = np.broadcast_to(places[:, None], (*told.shape[:-1], places.shape[-1]))
    return np.concatenate([told, beside], axis=-1)
