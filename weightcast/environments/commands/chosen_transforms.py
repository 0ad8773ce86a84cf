"""Which channels of a long table predictors see through a transform, by its visible places.

A channel that is never negative and plainly skewed is forecast by a linear autoregression three times: as it is,
through the square root and through the logarithm. What counts are errors of forecasts in the channel's own units,
and to a part how equal the errors of a step are at small and at large levels (Box and Cox's reason for a transform),
since a network that is trained on squares would else learn the large levels alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.environments.baselines.autoregression import AutoregressionFits
from weightcast.environments.baselines.next_frame import LEAST_SPREAD, Records, geometric_error, roll_out
from weightcast.environments.commands.data_survey import ChosenTransform
from weightcast.environments.config.baselines import AutoregressionSettings
from weightcast.environments.config.data import TransformName
from weightcast.environments.transform import Transform

SKEWED = 0.5
"""Skewness from which on a channel is tried: textbooks call what is above moderately skewed."""
SPREAD = 0.2
"""Standard deviation over the mean from which on a channel is tried: over less, as of an air pressure, the square root
and the logarithm are nearly straight lines."""
EQUALITY = 0.15
"""What unequal spreads weigh beside errors, both as logarithms: spreads that differ by a factor of e from level to
level, as 16 % more error. Of lognormal and of Poisson processes a linear forecast's error alone tells little; spreads
tell these apart, and errors whether it matters."""
LEVELS = 4
"""Equally many steps each, whose errors' spreads are compared."""
MOST_WINDOWS = 200
"""Of a place; of more, evenly spread ones tell as much."""
NAMES: tuple[TransformName | None, ...] = (None, "sqrt", "log")

Windows = NDArray[np.float64]
"""[place, window, frame, channel]; NaN where a value is missing."""


@dataclass(frozen=True)
class Tried:
    """How a channel is forecast through a transform.

    Attributes:
        name: of the transform; None of none.
        error: of forecasts in the channel's own units, each place's over its own standard deviation.
        unequal: standard deviation of the logarithm of the spread of a step's errors, from level to level, as the
            transform makes them.
    """

    name: TransformName | None
    error: float
    unequal: float


def choose_transforms(
    channels: Sequence[str],
    train: Windows,
    validation: Windows,
    given: Mapping[str, TransformName | None],
    signed: Collection[str] = (),
) -> list[ChosenTransform]:
    """Choose a transform for each channel.

    Args:
        channels: names.
        train: windows of visible places, as far as networks are trained on them.
        validation: later ones, on which choices are made; those that train where there are none.
        given: transforms that the user chose.
        signed: channels that are negative somewhere in the table, if not here: they have none.
    """
    train, validation = _few(train), _few(validation if validation.shape[1] else train)
    chosen = []
    for number, channel in enumerate(channels):
        if channel in given:
            chosen.append(ChosenTransform(channel, given[channel], "as --transform says"))
            continue
        values = train[..., number]
        skewness = _skewness(values)
        negative = channel in signed or min(np.nanmin(values), np.nanmin(validation[..., number])) < 0
        spread = float(np.nanstd(values)) >= SPREAD * float(np.nanmean(values))
        if negative or not spread or not skewness > SKEWED:
            chosen.append(ChosenTransform(channel, None, ""))
            continue
        tried = [_try(name, number, train, validation) for name in NAMES]
        best = choose(tried)
        errors = ", ".join(f"{one.error:.3g} {_words(one.name)}" for one in tried)
        uneven = ", ".join(f"{one.unequal:.2g}" for one in tried)
        why = f"never negative, skewness {skewness:.2g}; of an autoregression the validation error is {errors}, "
        why += f"the steps' errors are uneven by {uneven}"
        chosen.append(ChosenTransform(channel, best.name, why))
    return chosen


def choose(tried: Sequence[Tried]) -> Tried:
    """The one whose forecasts are best, those with equal errors at all levels preferred."""
    return min(tried, key=lambda one: math.log(max(one.error, LEAST_SPREAD)) + EQUALITY * one.unequal)


def given_transforms(arguments: Sequence[str] | None, names: Mapping[str, str]) -> dict[str, TransformName | None]:
    """What ``--transform`` says, by channel.

    Args:
        arguments: each a channel, or its column in the table, an equals sign, and log, sqrt or none.
        names: channels by their own names and by those of their columns.

    Raises:
        InputError: one is no such thing.
    """
    given = dict[str, TransformName | None]()
    for word in arguments or ():
        channel, _, name = word.rpartition("=")
        if channel not in names:
            raise InputError(f"--transform: found {word}, expected NAME=log, sqrt or none of {', '.join(names)}")
        if name not in ("log", "sqrt", "none"):
            raise InputError(f"--transform: found {word}, expected {channel}=log, {channel}=sqrt or {channel}=none")
        given[names[channel]] = None if name == "none" else "log" if name == "log" else "sqrt"
    return given


def _try(name: TransformName | None, number: int, train: Windows, validation: Windows) -> Tried:
    """Forecast a channel through a transform, the others as they are."""
    transform = name and Transform.of(name, torch.from_numpy(train[..., number]))

    def seen(windows: Windows) -> Records:
        values = windows.copy()
        if transform:
            values[..., number] = transform.apply(torch.from_numpy(values[..., number])).numpy()
        return Records(values, values[..., :0])

    own, judged = seen(train), seen(validation)
    fitted = AutoregressionFits(own, judged, AutoregressionSettings()).pooled()
    truth = validation[:, :, 1:, number]
    forecast = roll_out(fitted, judged, truth.shape[2])[..., number]
    if transform:
        forecast = transform.invert(torch.from_numpy(forecast)).numpy()
    steps = own.before.reshape(len(train), -1, own.before.shape[-1])
    ahead = steps[..., number] + fitted(steps)[..., number]
    off = (own.states[:, :, 1:, number].reshape(len(train), -1) - ahead).ravel()
    there, ahead = np.isfinite(off), ahead.ravel()  # a missing value says nothing
    off, ahead = off[there], ahead[there]
    parts = np.array_split(np.argsort(ahead, kind="stable"), LEVELS)
    spreads = np.array([float(np.std(off[part])) for part in parts])
    unequal = float(np.std(np.log(np.maximum(spreads, LEAST_SPREAD * max(1.0, float(spreads.max()))))))
    return Tried(name, geometric_error(forecast[..., None], truth[..., None]), unequal)


def _few(windows: Windows) -> Windows:
    count = windows.shape[1]
    chosen = np.linspace(0, count - 1, min(count, MOST_WINDOWS)).round().astype(int)
    return windows[:, chosen]


def _skewness(values: NDArray[np.float64]) -> float:
    """Third standardised moment of what is not missing; NaN of a constant."""
    if (missing := np.isnan(values)).any():
        values = values[~missing]
    deviations = values - values.mean()
    spread = values.std()
    return float((deviations**3).mean() / spread**3) if spread > 0 else float("nan")


def _words(name: TransformName | None) -> str:
    return "as it is" if name is None else f"through {name}"
