"""Where a forecast starts: the frame that was asked for, with those before it that predictors see; what gaps in it may
hold; or what all frames up to it say of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from weightcast.core.artifacts import Artifact
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.gappy_frames import on_grid
from weightcast.environments.commands.observed_frames import ObservedFrames, read_observed_frames
from weightcast.environments.ensemble import disturbed
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.model import WHOLE, PhysicalPredictor
from weightcast.environments.smoothing import smoothed_starts

WHOLE_STEP = 0.02
"""By which frames that predictors see may be more or less than a step apart, in steps."""


def gap_filler(artifact: Artifact) -> FrameSpace | None:
    """What single frames of the study are like, where the predictors were made of a context, which knows it.

    Raises:
        InputError: it is of other frames than the predictors'.
    """
    if "frames.mean" not in artifact.tensors:
        return None
    values = len(artifact.metadata["channels"]) * int(np.prod(artifact.metadata["grid"]))
    space = FrameSpace.from_tensors(artifact.tensors)
    if space.mean.shape != (values,) or space.components.shape[1:] != (values,):
        raise InputError(
            f"{artifact.path}: tensors: frames.mean: found shape {list(space.mean.shape)}, expected [{values}], and "
            "components of as many values"
        )
    return space


def read_frames_to_start_from(
    arguments: argparse.Namespace,
    channels: Sequence[str],
    grid: Sequence[int],
    reading: FileReading,
    history: int = 1,
    gaps: bool = False,
) -> ObservedFrames:
    """The frame that was asked for with those before it that predictors see, or all up to it to be smoothed.

    Args:
        arguments: of the command.
        channels: of the study.
        grid: likewise (y, x).
        reading: how files of the study's kind are read.
        history: frames that predictors see.
        gaps: whether they can be filled: values may then be missing, or points, every k-th of which is there.

    Returns:
        On the study's grid, NaN where nothing was observed.

    Raises:
        InputError: there is no such frame, or there are too few before it, or values are missing that cannot be.
    """
    if not arguments.smooth and history == 1 and not gaps:
        return read_observed_frames(arguments.initial, channels, grid, arguments.frame, reading=reading)
    coarse = gaps and not arguments.smooth
    found = read_observed_frames(arguments.initial, channels, grid, masked=True, coarse=coarse, reading=reading)
    count, frame = found.values.shape[1], arguments.frame
    if not -count <= frame < count:
        raise InputError(f"{arguments.initial}: time: found {count} frames, expected one with the index {frame}")
    if not arguments.smooth:  # which takes what was not seen for that
        found = found.with_land(channels, reading.land)
    last = frame % count + 1
    if last < history:
        raise InputError(
            f"{arguments.initial}: time: found {last} frame{'s' if last > 1 else ''} up to the initial one, expected "
            f"{history}: predictors of this study see so many (data.history)"
        )
    first = 0 if arguments.smooth else last - history
    time = found.time if found.time is not None and len(found.time) == count else None
    kept = replace(found, values=found.values[:, first:last], time=None if time is None else time[first:last])
    if arguments.smooth:
        return kept
    observed = np.isfinite(kept.values)
    if not gaps and not observed.all():
        raise InputError(
            f"{arguments.initial}: found a missing value in the {history} frames up to the initial one, expected none"
        )
    if not observed.any(axis=(2, 3, 4)).all():
        raise InputError(
            f"{arguments.initial}: found no value that was observed in {'a frame' if history > 1 else 'the frame'} to "
            "start from, expected some"
        )
    if not observed.all():
        share = f"{1 - observed.mean():.0%} of the values"
        print(f"{arguments.initial}: {share} to start from are missing: every predictor starts from what they may be")
    placed, every = on_grid(kept.values, grid)
    if every > 1:
        print(f"{arguments.initial}: found points {every} apart: every predictor starts from what may lie between")
        kept = replace(kept, values=placed, coordinates={}, land=None)
    return kept


def starts_of(
    models: Sequence[PhysicalPredictor],
    initial: ObservedFrames,
    step: float,
    artifact: Artifact,
    arguments: argparse.Namespace,
    device: torch.device,
    space: FrameSpace | None = None,
) -> Tensor:
    """Where each predictor's forecast starts [sample, trajectory, channel, y, x]; where predictors see several frames,
    these in the order of time [sample, trajectory, frame, channel, y, x].

    Args:
        models: of one architecture, on the device.
        initial: observed frames.
        step: between the study's frames, in the unit of the file.
        artifact: of the models.
        arguments: of the command.
        device: where it computes.
        space: what frames are like, by which gaps are filled; None where there may be none.
    """
    frames, noise = torch.from_numpy(initial.values).to(device), arguments.initial_noise
    if not arguments.smooth:
        history = models[0].history
        if initial.time is not None and history > 1:
            apart = np.diff(initial.time) / step
            if np.abs(apart - 1).max() > WHOLE_STEP:
                raise InputError(
                    f"{arguments.initial}: time: found frames {float(apart.max()) * step:g} apart, expected {step:g}: "
                    f"predictors see the {history} frames up to the initial one"
                )
        last = frames if history > 1 else frames[:, -1]
        if space is None or bool(torch.isfinite(last).all()):
            return disturbed(last, len(models), noise or 0.0, models[0].normalisation, seed=0)
        return filled(last, models, noise or 0.0, space)
    error = torch.tensor(artifact.metadata.get("model_error") or [], device=device)
    if noise is None:
        noise = artifact.metadata.get("white_noise") or 0.0
    between = np.arange(frames.shape[1]) if initial.time is None else initial.time / step
    lags = [float(lag) for lag in between[-1] - between]
    lags = [float(round(lag)) if abs(lag - round(lag)) < WHOLE else lag for lag in lags]
    if not models[0].integrates and not all(lag.is_integer() for lag in lags):
        raise InputError(
            f"{arguments.initial}: time: found frames that are no whole multiples of {step:g} apart, expected such "
            "with --smooth: the predictors of this study are maps of one step (predictor.integrator)"
        )
    try:
        return smoothed_starts(models, frames, lags, noise, error, seed=0)
    except InputError as error_of_frames:
        raise InputError(f"{arguments.initial}: {error_of_frames}") from None


def filled(frames: Tensor, models: Sequence[PhysicalPredictor], noise: float, space: FrameSpace) -> Tensor:
    """Frames whose gaps hold what they may have held, other values for each predictor.

    Args:
        frames: [trajectory, ..., channel, y, x], physical units; NaN where nothing was observed.
        models: the predictors.
        noise: of the observed values, in standard deviations of the study.
        space: what frames are like.

    Returns:
        [member, trajectory, ..., channel, y, x].
    """
    normalisation = models[0].normalisation
    draws = Draws(frames.device, "gaps of the initial frame")
    whole = space.to(frames.device).draw(normalisation.apply(frames), len(models), draws, noise)
    seen = disturbed(frames, len(models), noise, normalisation, seed=0)
    return torch.where(torch.isfinite(frames), seen, normalisation.invert(whole))
