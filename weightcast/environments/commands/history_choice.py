"""How many frames predictors should see, by what autoregressions of as many make of visible places' records.

One that sees the last frame alone cannot tell whether a count rises or falls. The order is chosen by forecasts over the
trained horizon, not by one step: what is fed back is what predictors do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.environments.baselines.autoregression import Autoregression, Moments, Scale, pooled
from weightcast.environments.baselines.next_frame import LEAST_SPREAD, Records, error
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
    parts: Sequence[Parts],
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
        parts: of each place.
        horizon: steps of a forecast.
        most: frames that windows leave room for.
    """
    histories, values = [history for history in HISTORIES if history <= most], _standardised(values, parts)
    while histories:
        longest = histories[-1]
        train, judge = (
            {place: _starts(values[place], known[place], list(parts[place])[part], longest, ahead) for place in places}
            for part, ahead in ((0, 1), (1, horizon))
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
                rows = _records(values, known, train, history, 1, max(1, MOST_STEPS // len(train)))
                scale = Scale.of(rows)
                step = Autoregression(scale, pooled(Moments.of(rows, scale), PENALTY))
                own = [
                    error(step, _records(values, known, {place: starts}, history, horizon, MOST_STARTS))
                    for place, starts in judge.items()
                ]
                errors[history] = float(np.exp(np.mean(np.log(own))))
            least = min(errors.values())
            chosen = next((one for one, found in errors.items() if found <= (1 + AS_GOOD) * least), 1)
            return HistoryChoice(chosen if np.isfinite(least) else 1, errors, horizon)
        histories.pop()
    return HistoryChoice(1, {}, horizon)


def _standardised(values: Floats, parts: Sequence[Parts]) -> Floats:
    """Records without each place's mean over the part that trains, in units of its spread there; those that never
    change, and those of which nothing is known, as they are."""
    own = values[:, : max(part.train[1] for part in parts)]
    trains = np.arange(own.shape[1]) < np.array([[part.train[1]] for part in parts])
    seen = np.isfinite(own) & trains[..., None]
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


def _records(
    values: Floats, known: Floats, starts: Mapping[int, NDArray[np.int64]], history: int, steps: int, most: int
) -> Records:
    """Windows of so many steps from starts of some places, at most so many of each, as those of one environment."""
    states, inputs = [], []
    for place, own in starts.items():
        chosen = own[spread(len(own), min(len(own), most))]
        frames = chosen[:, None] + np.arange(steps + 1)
        states.append(np.concatenate([values[place, frames - age] for age in range(history)], axis=-1))
        inputs.append(known[place, frames])
    return Records(np.concatenate(states)[None], np.concatenate(inputs)[None], history=history)
