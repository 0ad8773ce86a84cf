"""Observed frames with gaps: every k-th pixel, every k-th time, masked values, placed on the study's grid and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.console.warning import warn
from weightcast.core.errors import InputError
from weightcast.core.nets.build import NO_INPUTS
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.known_inputs import inputs_beside
from weightcast.environments.commands.observed_frames import ObservedFrames, read_observed_frames
from weightcast.environments.commands.study_agreement import check_agreement
from weightcast.environments.history import embedded
from weightcast.environments.inputs import with_shown
from weightcast.environments.normalisation import Normalisation
from weightcast.trajectories.checks import check_not_negative
from weightcast.trajectories.land import declared_land, filled_land
from weightcast.trajectories.time_units import in_unit

MOST_FRAMES = 10_000
"""A file whose frames span more steps than this is refused rather than filled with gaps."""
STEP_TOLERANCE = 0.02
"""By which a time may miss a whole number of steps, in steps."""
LARGE, SMALL = 10.0, 1 / 50
"""Root mean square over the study's from which on, or up to which, units are taken to be others. What decays is small
by itself, so more is needed there."""
ALIKE = 3.0
"""Factor within which the spread of values is that of the study, whatever they are shifted by."""
SHIFTED = 10.0
"""The same for the mean's distance from the study's, in standard deviations."""
SHIFTED_TRANSFORMED = 5.0
"""The same of a channel with a transform, where there is nothing else to tell by."""


@dataclass(frozen=True)
class GappyFrames:
    """Frames of one environment as a context takes them.

    Attributes:
        values: [trajectory, frame, channel, y, x], one step apart on the study's grid; NaN where nothing was observed;
            as predictors see them, older frames and what they are shown of inputs behind the newest frame's channels.
        case: what was observed, for people and for metadata: trajectories, frames, share of the values observed, of
            those that are not land, every how many pixels and steps.
        land: where a channel has no value in any frame, and the study's number (``data.land``) stands in its place,
            with which nothing is to be compared, bool [channel, y, x]; None: nowhere.
    """

    values: Tensor
    case: Mapping[str, Any]
    land: Tensor | None = None

    @property
    def words(self) -> str:
        """The case in plain words."""
        case = self.case
        parts = [f"{case['trajectories']} x {case['frames']} frames (trajectory, time)"]
        parts += [f"every {_ordinal(case['every_pixel'])} pixel"] if case["every_pixel"] > 1 else []
        parts += [f"every {_ordinal(case['every_step'])} step"] if case["every_step"] > 1 else []
        parts += [f"{1 - case['observed']:.0%} of the values masked"] if case["observed"] < 1 else []
        return ", ".join(parts)


def read_gappy_frames(
    file: Path,
    channels: Sequence[str],
    grid: Sequence[int],
    trained: Mapping[str, Any],
    normalisation: Normalisation,
    inputs: InputLayout = NO_INPUTS,
    history: int = 1,
    reading: FileReading | None = None,
) -> GappyFrames:
    """Read frames of an unknown environment, of which one is enough where predictors see one.

    Args:
        file: NetCDF, an array, or a table.
        channels: variables to read, in this order.
        grid: of the study (y, x).
        trained: ``grid``, and where known ``frame_step``, ``units`` and ``spacing`` of the study.
        normalisation: of the study, which says how large values are there.
        inputs: that its predictors are shown, which must be in the file as well.
        history: frames that they see.
        reading: how files of the study's kind are read.

    Raises:
        InputError: the file cannot be used: other channels, another grid, other units, times between the steps, nothing
            observed, too few frames, or nothing that changes; or an input is not known.
    """
    found = read_observed_frames(file, channels, grid, masked=True, coarse=not inputs.shown, reading=reading)
    check_agreement(found, file, trained)
    check_not_negative(file, None, found.values, channels, normalisation.transforms_of(channels))
    land = _Land.of(found, channels, reading)
    if inputs.shown:
        return _driven(found, file, channels, trained, normalisation, inputs, history, reading, land)
    values = _observed_part(found, file)
    _check_changes(values.values, file)
    _check_units(values.values, file, channels, normalisation)
    placed, every_step = in_steps(values.values, values.time, values.units, file, trained)
    frames, every_pixel = on_grid(placed, grid)
    _check_history(frames.shape[1], history, file)
    case = {
        "trajectories": values.values.shape[0],
        "frames": values.values.shape[1],
        "observed": land.observed_share(values.values),
        "every_pixel": every_pixel,
        "every_step": every_step,
    }
    land = land.on_grid(grid)
    return GappyFrames(embedded(torch.from_numpy(land.filled(frames)), history), case, land.tensor)


def _driven(
    found: ObservedFrames,
    file: Path,
    channels: Sequence[str],
    trained: Mapping[str, Any],
    normalisation: Normalisation,
    inputs: InputLayout,
    history: int,
    reading: FileReading | None,
    land: _Land,
) -> GappyFrames:
    """The same of predictors that are shown inputs, which must be known in every step, as frames take them that
    predictors see."""
    shape = found.values.shape
    columns = inputs_beside(file, inputs, (*shape[:2], *shape[3:]), reading)
    part = _observed_part(ObservedFrames(found.values, found.time, None, {}, found.attributes), file)
    _check_changes(part.values, file)
    _check_units(part.values, file, channels, normalisation)
    if in_steps(part.values, part.time, part.units, file, trained)[0].shape[1] != part.values.shape[1]:
        raise InputError(
            f"{file}: time: found frames more than a step apart, expected consecutive ones: what predictors are shown "
            f"between them ({', '.join(inputs.columns)}) must be known"
        )
    seen = np.isfinite(found.values)
    frames = np.flatnonzero(seen.any((0, 2, 3, 4)))
    kept = slice(int(frames[0]), int(frames[-1]) + 1)
    own = torch.from_numpy(np.ascontiguousarray(columns[seen.any((1, 2, 3, 4))][:, kept]))
    values = torch.cat([torch.from_numpy(land.filled(part.values)), own], dim=2)
    case = {
        "trajectories": part.values.shape[0],
        "frames": part.values.shape[1],
        "observed": land.observed_share(part.values),
        "every_pixel": 1,
        "every_step": 1,
    }
    _check_history(values.shape[1], history, file)
    return GappyFrames(with_shown(values, inputs, history), case, land.tensor)


@dataclass(frozen=True, eq=False)
class _Land:
    """Where a file never has a value [channel, y, x] of channels of which the study declares what is seen there."""

    nowhere: NDArray[np.bool_]
    channels: Sequence[str]
    numbers: Mapping[str, float]

    @classmethod
    def of(cls, found: ObservedFrames, channels: Sequence[str], reading: FileReading | None) -> _Land:
        numbers = {} if reading is None else reading.land
        return cls(declared_land(found.values, channels, numbers), channels, numbers)

    @property
    def tensor(self) -> Tensor | None:
        return torch.from_numpy(self.nowhere) if self.nowhere.any() else None

    def observed_share(self, values: NDArray[np.float32]) -> float:
        """Share of values [trajectory, frame, channel, y, x] that were observed, of those that are not land."""
        return float(np.isfinite(values[:, :, ~self.nowhere]).mean())

    def on_grid(self, grid: Sequence[int]) -> _Land:
        """The same on the whole grid: nobody knows of points between those that the file has."""
        every = [size // own for own, size in zip(self.nowhere.shape[-2:], grid, strict=True)]
        placed = np.zeros((len(self.nowhere), *grid), bool)
        placed[:, :: every[0], :: every[1]] = self.nowhere
        return _Land(placed, self.channels, self.numbers)

    def filled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values [trajectory, frame, channel, y, x] with the number of each channel on its land."""
        return filled_land(values, self.channels, self.numbers, self.nowhere)


@dataclass(frozen=True, eq=False)
class _Part:
    """Values [trajectory, frame, channel, y, x] and their times [frame]; None where the file has none."""

    values: NDArray[np.float32]
    time: NDArray[np.float64] | None
    units: object


def _observed_part(found: ObservedFrames, file: Path) -> _Part:
    """Without trajectories of which nothing was observed, and without frames at either end of which nothing was."""
    seen = np.isfinite(found.values)
    if not seen.any():
        raise InputError(f"{file}: found no value that was observed (all NaN), expected some")
    values = found.values[seen.any((1, 2, 3, 4))]
    frames = np.flatnonzero(np.isfinite(values).any((0, 2, 3, 4)))
    kept = slice(int(frames[0]), int(frames[-1]) + 1)
    # A single time of many frames: a file that names the time of none but one.
    time = found.time[kept] if found.time is not None and len(found.time) == values.shape[1] else None
    return _Part(values[:, kept], time, found.attributes.get("time", {}).get("units"))


def _check_history(count: int, history: int, file: Path) -> None:
    if history > 1 and count <= history:
        raise InputError(
            f"{file}: time: found {count} frame{'s' if count > 1 else ''}, expected {history + 1} or more that follow "
            f"each other: predictors of this study see {history} of them (data.history), and are judged by the next"
        )


def _check_changes(values: NDArray[np.float32], file: Path) -> None:
    if values.shape[1] < 2:
        return
    lowest, highest = np.nanmin(values, 1, initial=np.inf), np.nanmax(values, 1, initial=-np.inf)
    seen = np.isfinite(values).sum(1) > 1
    if seen.any() and (lowest[seen] == highest[seen]).all():
        raise InputError(
            f"{file}: found constant frames, the same values in all {values.shape[1]}, expected frames that change"
        )


def _check_units(
    values: NDArray[np.float32], file: Path, channels: Sequence[str], normalisation: Normalisation
) -> None:
    usual_values = zip(channels, normalisation.physical_mean, normalisation.physical_scale, strict=False)
    seen = normalisation.transformed(torch.from_numpy(values)).numpy()
    for number, (name, mean, scale) in enumerate(usual_values):
        own = values[:, :, number].astype(np.float64)
        own = own[np.isfinite(own)]
        if not own.size:
            continue
        if any(normalisation.transforms[number : number + 1]):
            # Places differ by factors here: what is far off is so as predictors see it.
            away = float(np.nanmean(seen[:, :, number])) - normalisation.mean[number]
            if abs(away) > SHIFTED_TRANSFORMED * normalisation.scale[number]:
                typical = float(normalisation.invert(torch.zeros(len(normalisation.mean), 1, 1))[number])
                raise InputError(
                    f"{file}: channel {name}: found values of {own.mean():.3g} +- {own.std():.3g}, expected typically "
                    f"{typical:.3g} as in the study: {abs(away) / normalisation.scale[number]:.2g} standard deviations "
                    "away with its transform, are its units others?"
                )
            continue
        usual, size = float(np.hypot(mean, scale)), float(np.sqrt(np.mean(own**2)))
        ratio, shift = size / usual, float(own.mean()) - mean
        if abs(shift) > SHIFTED * scale and 1 / ALIKE < own.std() / scale < ALIKE:  # kelvin for degrees Celsius, say
            looks = f"looks shifted by {shift:.3g}"
        elif ratio > LARGE:
            looks = f"looks {_factor(ratio)} times too large"
        elif 0 < ratio < SMALL:
            looks = f"looks {_factor(1 / ratio)} times too small"
        elif abs(shift) > SHIFTED * scale:
            looks = f"looks shifted by {shift:.3g}"
        else:
            continue
        raise InputError(
            f"{file}: channel {name}: found values of {own.mean():.3g} +- {own.std():.3g}, expected about {mean:.3g} "
            f"+- {scale:.3g} as in the study: {looks}, are its units others?"
        )


def _factor(ratio: float) -> str:
    """A power of ten, or of two digits, as factors between units are."""
    power = 10.0 ** round(np.log10(ratio))
    return f"{power:g}" if 0.5 < ratio / power < 2 else f"{float(f'{ratio:.2g}'):g}"


def in_steps(
    values: NDArray[np.float32],
    time: NDArray[np.float64] | None,
    units: object,
    file: Path,
    trained: Mapping[str, Any],
) -> tuple[NDArray[np.float32], int]:
    """Frames one step of a study apart.

    Args:
        values: of the frames of a file [trajectory, frame, channel, y, x].
        time: of each; None where nobody knows.
        units: of these times.
        file: that they come from, for messages.
        trained: ``frame_step`` and ``units`` of the study, where known.

    Returns:
        Values a step apart, NaN in between, and every how many steps there are some.

    Raises:
        InputError: frames are no whole number of steps apart.
    """
    step = trained.get("frame_step")
    if time is None or step is None or len(time) < 2:
        return values, 1
    usual = trained.get("units", {}).get("time")
    wanted = in_unit(float(step), usual, units)
    if wanted is None:
        warn(f"{file}: time: found the unit {units}, expected {usual}: frames are taken to be a step apart")
        return values, 1
    steps = (time - time[0]) / wanted
    places = np.rint(steps).astype(np.int64)
    off = np.abs(steps - places) > STEP_TOLERANCE * max(1, len(time) - 1)
    off[1:] |= np.diff(places) < 1
    if off.any():
        last = int(off.argmax())
        raise InputError(
            f"{file}: time: found frames {time[last] - time[last - 1]:g} apart behind {time[last - 1]:g}, expected a "
            f"whole multiple of the study's {wanted:g}: put them on its steps first"
        )
    if places[-1] >= MOST_FRAMES:
        raise InputError(f"{file}: time: found {places[-1]} steps in all, expected at most {MOST_FRAMES - 1}")
    placed = np.full((values.shape[0], int(places[-1]) + 1, *values.shape[2:]), np.nan, np.float32)
    placed[:, places] = values
    return placed, int(np.gcd.reduce(places))


def on_grid(values: NDArray[np.float32], grid: Sequence[int]) -> tuple[NDArray[np.float32], int]:
    """Values on the whole grid, NaN between the points that the file has, and every how many points it has."""
    every = [size // own for own, size in zip(values.shape[-2:], grid, strict=True)]
    if max(every) == 1:
        return values, 1
    placed = np.full((*values.shape[:-2], *grid), np.nan, np.float32)
    placed[..., :: every[0], :: every[1]] = values
    return placed, max(every)


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
