"""How many frames predictors should see, by what autoregressions of as many make of visible places' records.

One that sees the last frame alone cannot tell whether a count rises or falls. The order is chosen by forecasts over the
trained horizon, not by one step: what is fed back is what predictors do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.records.windows import Parts, spread

HISTORIES = (1, 2, 4, 8)
"""Frames among which is chosen."""
AS_GOOD = 0.05
"""Of an error more than the least, up to which fewer frames are taken."""
PENALTY = 1e-3
"""Of the ridge regression, as a share of the steps that it is fitted to."""
MOST_STEPS = 50_000
MOST_STARTS = 200
"""Forecasts of a place that are compared."""
FEWEST_STARTS = 3
LEAST_SPREAD = 1e-12

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HistoryChoice:
    """What was found.

    Attributes:
        history: frames that are taken.
        errors: of forecasts over the horizon, in standard deviations, by frames that are seen; of those that could be
            compared.
        horizon: steps of a forecast.
    """

    history: int
    errors: Mapping[int, float]
    horizon: int

    @property
    def words(self) -> str:
        """A line for people."""
        if not self.errors:
            return "predictors see the last frame alone: records are too short to compare more (--history)"
        errors = ", ".join(f"{error:.3g} with {history}" for history, error in self.errors.items())
        seen = "the last frame alone" if self.history == 1 else f"the last {self.history} frames"
        return (
            f"predictors see {seen}: autoregressions of visible places forecast {self.horizon} steps with an error of "
            f"{errors} (standard deviations; {100 * AS_GOOD:.0f} % more are taken for fewer frames; --history)"
        )

    @property
    def found(self) -> str:
        """The same, short enough for a comment."""
        if not self.errors:
            return "Records are too short to compare more frames than one."
        errors = ", ".join(f"{history}: {error:.3g}" for history, error in self.errors.items())
        return f"Errors over {self.horizon} steps of autoregressions of so many frames, in visible places: {errors}."


def choose_history(
    values: Floats,
    known: Floats,
    places: Sequence[int],
    parts: Parts,
    horizon: int,
    most: int,
) -> HistoryChoice:
    """Fit a linear autoregression of each order to the training part, and compare forecasts in the validation part.

    All places share the coefficients, each in units of its own spread: else large places would decide what small ones
    do, whatever the order.

    Args:
        values: records [place, step, channel]; NaN where a value is missing.
        known: what is known of the step from each on beside the state [place, step, number], likewise.
        places: numbers of the visible ones, which alone are looked at.
        parts: of the calendar.
        horizon: steps of a forecast.
        most: frames that windows leave room for.
    """
    histories, values = [history for history in HISTORIES if history <= most], _standardised(values, parts.train)
    while histories:
        longest = histories[-1]
        train, judge = (
            {place: _starts(values[place], known[place], part, longest, ahead) for place in places}
            for part, ahead in ((parts.train, 1), (parts.validation, horizon))
        )
        train = {place: starts for place, starts in train.items() if len(starts)}
        judge = {
            place: starts
            for place, starts in judge.items()
            if len(starts) >= FEWEST_STARTS and values[place, starts].std(axis=0).min() > LEAST_SPREAD
        }  # what does not change there says nothing, and has no spread to count errors in
        if train and judge:
            errors = {}
            for history in histories:
                regression = _Regression.of(*_rows(values, known, train, history))
                own = [
                    _error(values[place], known[place], starts, history, horizon, regression)
                    for place, starts in judge.items()
                ]
                errors[history] = float(np.exp(np.mean(np.log(np.maximum(own, LEAST_SPREAD)))))
            least = min(errors.values())
            chosen = next((one for one, error in errors.items() if error <= (1 + AS_GOOD) * least), 1)
            return HistoryChoice(chosen if np.isfinite(least) else 1, errors, horizon)
        histories.pop()
    return HistoryChoice(1, {}, horizon)


@dataclass(frozen=True, eq=False)
class _Regression:
    """A ridge regression of increments [row, channel] on what steps are told [row, number]."""

    mean: Floats
    deviation: Floats
    coefficients: Floats

    @classmethod
    def of(cls, told: Floats, made: Floats) -> _Regression:
        mean, deviation = told.mean(0), np.maximum(told.std(0), LEAST_SPREAD)
        design = cls._design((told - mean) / deviation)
        ridge = PENALTY * len(design) * np.eye(design.shape[1])
        ridge[0, 0] = 0.0
        solved = np.linalg.lstsq(design.T @ design + ridge, design.T @ made, rcond=1e-12)[0]
        return cls(mean, deviation, np.asarray(solved))

    def __call__(self, told: Floats) -> Floats:
        made: Floats = self._design((told - self.mean) / self.deviation) @ self.coefficients
        return made

    @staticmethod
    def _design(scaled: Floats) -> Floats:
        return np.concatenate([np.ones((len(scaled), 1)), scaled], axis=1)


def _standardised(values: Floats, part: tuple[int, int]) -> Floats:
    """Records without each place's mean over a part, in units of its spread there; those that never change, and those
    of which nothing is known, as they are."""
    own = values[:, slice(*part)]
    seen = np.isfinite(own)
    count = np.maximum(seen.sum(1, keepdims=True), 1)
    mean = np.where(seen, own, 0.0).sum(1, keepdims=True) / count
    spread = np.sqrt((np.where(seen, own - mean, 0.0) ** 2).sum(1, keepdims=True) / count)
    standardised: Floats = (values - mean) / np.where(spread > LEAST_SPREAD, spread, 1.0)
    return standardised


def _starts(values: Floats, known: Floats, part: tuple[int, int], longest: int, ahead: int) -> NDArray[np.int64]:
    """Steps of a part with as many whole ones before them as the longest history has, and whole ones to be forecast:
    the same for all histories, so that they are compared on the same steps."""
    begin, end = part
    whole: NDArray[np.bool_] = np.isfinite(np.concatenate([values, known], axis=1)[begin:end]).all(axis=1)
    needed = longest + ahead
    if len(whole) < needed:
        return np.empty(0, np.int64)
    runs = np.lib.stride_tricks.sliding_window_view(whole, needed).all(1)
    return np.flatnonzero(runs) + begin + longest - 1


def _states(values: Floats, starts: NDArray[np.int64], history: int) -> Floats:
    """Frames up to each start, the newest first [start, history * channel]."""
    return values[starts[:, None] - np.arange(history)].reshape(len(starts), -1)


def _rows(
    values: Floats, known: Floats, starts: Mapping[int, NDArray[np.int64]], history: int
) -> tuple[Floats, Floats]:
    """What steps are told and what they make of the newest frame, of all places."""
    told, made, most = [], [], max(1, MOST_STEPS // len(starts))
    for place, own in starts.items():
        chosen = own[spread(len(own), min(len(own), most))]
        told.append(np.concatenate([_states(values[place], chosen, history), known[place, chosen]], axis=1))
        made.append(values[place, chosen + 1] - values[place, chosen])
    return np.concatenate(told), np.concatenate(made)


def _error(
    values: Floats, known: Floats, starts: NDArray[np.int64], history: int, horizon: int, regression: _Regression
) -> float:
    """Root mean square error of a place's forecasts over the horizon, each channel in units of its standard deviation
    there; infinite where a forecast diverges."""
    starts = starts[spread(len(starts), min(len(starts), MOST_STARTS))]
    state, channels = _states(values, starts, history), values.shape[1]
    squares = np.zeros((len(starts), channels))
    truth = values[starts[:, None] + np.arange(1, horizon + 1)]  # [start, step, channel]
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(horizon):
            frame = state[:, :channels] + regression(np.concatenate([state, known[starts + step]], axis=1))
            state = np.concatenate([frame, state], axis=1)[:, : state.shape[1]]
            squares = squares + (frame - truth[:, step]) ** 2
        size = np.maximum(truth.std(axis=(0, 1)), LEAST_SPREAD)
        error = float(np.sqrt((squares / horizon / size**2).mean()))
    return error if np.isfinite(error) else np.inf
