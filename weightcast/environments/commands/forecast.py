"""``weightcast forecast``: roll generated predictors out from initial frames."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from weightcast import __version__
from weightcast.core.artifacts import Artifact, understood
from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.device import choose_device
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.environments.commands.forecast_starts import (
    gap_filler,
    read_frames_to_start_from,
    starts_of,
)
from weightcast.environments.commands.frame_step import agreed_frame_step
from weightcast.environments.commands.frames_table import FileReading, check_writable, write_forecast_table
from weightcast.environments.commands.known_inputs import KnownInputs, inputs_ahead
from weightcast.environments.commands.observed_frames import ObservedFrames
from weightcast.environments.commands.study_agreement import check_agreement
from weightcast.environments.ensemble import LEVELS, error_at, forecast_together, summarise
from weightcast.environments.model import WHOLE, PhysicalPredictor, load_models
from weightcast.environments.normalisation import Normalisation
from weightcast.trajectories.checks import check_not_negative

DIMENSIONS = ("sample", "trajectory", "time", "y", "x")
MOST_TIMES = 100_000

Summary = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Mean and quantiles of members."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model.safetensors, from weightcast generate")
    parser.add_argument(
        "--initial",
        required=True,
        type=Path,
        metavar="FILE",
        help="NetCDF with a variable per channel of dimensions (trajectory, time, y, x), the first two optional; .npy; "
        "or, of states without a grid, a table with a row a time (.csv), which starts from its last row with a value",
    )
    parser.add_argument(
        "--frame", default=-1, type=int, metavar="INDEX", help="of FILE to start from; default: the last"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="frames to forecast")
    parser.add_argument(
        "--step",
        type=float,
        metavar="TIME",
        help="between these frames; default: as in the study, and any other where its predictors integrate a rate of "
        "change",
    )
    parser.add_argument(
        "--times",
        metavar="A:B:STEP",
        help="after the initial frame, instead of steps: a slice, its end included, or numbers separated by commas",
    )
    parser.add_argument(
        "--initial-noise",
        type=float,
        metavar="S",
        help="of the initial frame, in standard deviations of the study (of a channel with a transform, of the "
        "transformed one): every predictor then starts from what it may have been; default: 0",
    )
    parser.add_argument(
        "--smooth",
        action="store_true",
        help="start from what all frames of FILE up to that one say of it, each as the predictors forecast it, and not "
        "from it alone; --initial-noise is then that of all frames, by default what looked like noise in those that "
        "the predictors were made of",
    )
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE",
        help="NetCDF, or a table, with what the predictors are shown beside the state (data.inputs), from the initial "
        "frame on and over the whole horizon: where its times say so, or else from its first frame on; default: the "
        "frames of the file of --initial from that one on",
    )
    parser.add_argument(
        "--members",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write every predictor's forecast beside mean and quantiles; default: yes",
    )
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda or cuda:<number>")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="FILE",
        help="NetCDF to write; or, of states without a grid, .csv: mean and quantiles, a row a time",
    )


def run(arguments: argparse.Namespace) -> None:
    check_output(arguments.output)
    _check_times_asked(arguments)
    device = choose_device(arguments.device, "--device")
    models, artifact = load_models(arguments.model)
    for key in ("channels", "grid"):
        if key not in artifact.metadata:
            raise InputError(f"{artifact.path}: metadata: found no {key}, expected a model from weightcast generate")
    channels, grid = artifact.metadata["channels"], artifact.metadata["grid"]
    as_table = check_writable(arguments.output, grid)
    with understood(artifact):
        reading = FileReading.from_metadata(artifact.metadata)
        space = gap_filler(artifact)
    initial = read_frames_to_start_from(arguments, channels, grid, reading, models[0].history, space is not None)
    check_not_negative(
        arguments.initial, None, initial.values, channels, models[0].normalisation.transforms_of(channels)
    )
    check_agreement(initial, arguments.initial, artifact.metadata)
    step = agreed_frame_step(initial, arguments.initial, artifact.metadata)

    after = _times(arguments, step)
    _check_steps(models[0], after / step, arguments)
    predictors = [model.to(device) for model in cast(list[PhysicalPredictor], models)]
    inputs = inputs_of(predictors[0], initial, round(float((after / step).max())), grid, arguments, reading)
    starts = starts_of(predictors, initial, step, artifact, arguments, device, space)
    forecast = forecast_together(predictors, starts, times=(after / step).tolist(), inputs=inputs).cpu().numpy()
    for warning in replace_blow_ups(forecast):
        warn(warning)
    start = 0.0 if initial.time is None else float(initial.time[-1])
    dataset = to_dataset(forecast, start + after, initial, artifact)
    sizes = ", ".join(f"{name} {size}" for name, size in zip(DIMENSIONS, dataset[channels[0]].shape, strict=True))
    summary = together(forecast, after / step, artifact)
    if summary is None and not arguments.members:
        raise InputError(f"--no-members: found a single predictor in {arguments.model}, expected several to summarise")
    if summary is not None:
        if initial.land is not None:
            summary = cast(Summary, tuple(np.where(initial.land, np.float32(np.nan), part) for part in summary))
        dataset = with_summary(dataset, summary, channels)
        dataset = dataset if arguments.members else dataset.drop_vars(channels)
    known = len(artifact.metadata.get("model_error") or [])
    if known and (after / step).max() > known + WHOLE:
        warn(
            f"the forecast goes on past step {known}, up to which errors of its kind are known: the band holds less "
            "there than it says"
        )
    if as_table:
        write_forecast_table(arguments.output, dataset, channels)
        written = "mean and quantiles of " if summary is not None else ""
        print(f"wrote {arguments.output}: {written}{', '.join(channels)}, {len(after)} times")
        return
    dataset.attrs["initial_frames"] = arguments.initial.name
    with written_whole(arguments.output) as partial:
        encoding = {name: {"_FillValue": None} for name in dataset.variables}
        dataset.to_netcdf(partial, format="NETCDF4", engine="netcdf4", encoding=encoding)
    beside = "" if summary is None else ", with mean and quantiles" if arguments.members else " as mean and quantiles"
    print(f"wrote {arguments.output}: {', '.join(channels)} ({sizes}){beside}")


def _check_times_asked(arguments: argparse.Namespace) -> None:
    if (arguments.steps is None) == (arguments.times is None):
        raise InputError("forecast: expected either --steps or --times")
    if arguments.steps is not None and arguments.steps < 1:
        raise InputError(f"--steps: found {arguments.steps}, expected 1 or more")
    noise = arguments.initial_noise
    if noise is not None and not (math.isfinite(noise) and noise >= 0):
        raise InputError(f"--initial-noise: found {arguments.initial_noise:g}, expected a number from 0 on")
    if arguments.step is not None and arguments.times is not None:
        raise InputError("--step: found it beside --times, expected one of them")
    if arguments.step is not None and not (math.isfinite(arguments.step) and arguments.step > 0):
        raise InputError(f"--step: found {arguments.step:g}, expected a number above 0")


def _times(arguments: argparse.Namespace, step: float) -> NDArray[np.float64]:
    """Times of the forecast after the initial frame, in the file's unit."""
    if arguments.times is None:
        return np.asarray((arguments.step or step) * np.arange(1, arguments.steps + 1), np.float64)
    words = str(arguments.times)
    expected = f"--times: found {words!r}, expected A:B:STEP or numbers from 0 on that increase, separated by commas"
    try:
        if ":" in words:
            first, last, between = map(float, words.split(":"))
            count = (last - first) / between if between > 0 else math.nan
            if not 0 <= count < MOST_TIMES:
                raise InputError(expected)
            times = first + between * np.arange(math.floor(count + 1e-9) + 1)
        else:
            times = np.array([float(word) for word in words.split(",")])
    except ValueError:
        raise InputError(expected) from None
    if not (np.isfinite(times).all() and times[0] >= 0 and (np.diff(times) > 0).all()):
        raise InputError(expected)
    return times.astype(np.float64)


def _check_steps(model: object, steps: NDArray[np.float64], arguments: argparse.Namespace) -> None:
    """Refuse times between the steps where the predictor is a map of one."""
    whole = np.abs(np.diff(steps, prepend=0.0) - np.rint(np.diff(steps, prepend=0.0))).max() < WHOLE
    if not whole and not cast(PhysicalPredictor, model).integrates:
        option = "--times" if arguments.step is None else "--step"
        found = arguments.times if arguments.step is None else f"{arguments.step:g}"
        raise InputError(
            f"{option}: found {found}, expected whole multiples of the time between the study's frames: the predictors "
            "of this study are maps of one step (predictor.integrator)"
        )


def inputs_of(
    model: PhysicalPredictor,
    initial: ObservedFrames,
    steps: int,
    grid: Sequence[int],
    arguments: argparse.Namespace,
    reading: FileReading,
) -> Tensor | None:
    """Columns of inputs from the initial frame on [trajectory, frame, column, y, x]; None where none are shown.

    Raises:
        InputError: they are not known over the horizon; or there are options that do not go with inputs.
    """
    layout = model.inputs
    if not layout.shown:
        if arguments.inputs is not None:
            raise InputError(f"--inputs: found {arguments.inputs}, expected none: the predictors are shown no inputs")
        return None
    if arguments.smooth:
        raise InputError("--smooth: found it with predictors that are shown inputs, expected none")
    file = KnownInputs.read(arguments.initial, layout, reading, steps)
    start = None if initial.time is None else float(initial.time[-1])
    units = initial.attributes.get("time", {}).get("units")
    begin = file.frame_at(start, units)  # a table may go on behind the last frame
    sources, begins = [file], [arguments.frame % max(1, file.frames) if begin is None else begin]
    if arguments.inputs is not None:
        ahead = KnownInputs.read(arguments.inputs, layout, reading, steps)
        begin = ahead.frame_at(start, units)
        if begin is None and ahead.time is not None and start is not None:
            raise InputError(
                f"{arguments.inputs}: time: found {ahead.time[0]:g} to {ahead.time[-1]:g}, expected the time "
                f"{start:g} of the initial frame among them"
            )
        sources, begins = [ahead, file], [begin or 0, *begins]
    return torch.from_numpy(inputs_ahead(sources, begins, layout, steps, grid))


def replace_blow_ups(forecast: NDArray[np.float32]) -> list[str]:
    """Make everything NaN that is not finite, in place; a warning for each sample in which that happens."""
    finite = np.isfinite(forecast)
    forecast[~finite] = np.nan
    warnings = []
    for sample in range(len(forecast)):
        whole = np.asarray(finite[sample].all(axis=(2, 3, 4)))  # [trajectory, step]
        trajectories = np.flatnonzero(~whole.all(axis=1))
        if len(trajectories):
            first = int(np.flatnonzero(~whole.all(axis=0))[0])
            warnings.append(
                f"sample {sample}: the forecast stops being finite at step {first + 1} "
                f"({len(trajectories)} of {len(whole)} trajectories); such values are written as NaN"
            )
    return warnings


def together(
    forecast: NDArray[np.float32], steps: NDArray[np.float64], artifact: Artifact
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Mean and quantiles of the forecasts, weighted, the model's error included; None of a single bare predictor.

    Args:
        forecast: [sample, trajectory, step, channel, y, x]; NaN in frames that do not count.
        steps: since the initial frame.
        artifact: whose probabilities and model error are used, where it has them.
    """
    error = artifact.metadata.get("model_error")
    if len(forecast) == 1 and not error:
        return None
    probabilities = artifact.tensors.get("probabilities", torch.ones(len(forecast)))
    normalisation = Normalisation.from_metadata(artifact.metadata["normalisation"])
    noise = error_at(torch.tensor(error), steps.tolist(), normalisation) if error else None
    mean, quantiles = summarise(torch.from_numpy(forecast), probabilities, noise, transforms=normalisation.transforms)
    return mean.numpy(), quantiles.numpy()


def with_summary(dataset: xr.Dataset, summary: Summary, channels: Sequence[str]) -> xr.Dataset:
    """A forecast's dataset with ``<channel>_mean`` and ``<channel>_quantile`` for each channel."""
    mean, quantiles = summary
    further: dict[str, xr.Variable] = {"quantile": xr.Variable(("quantile",), np.array(LEVELS))}
    for channel, name in enumerate(channels):
        attributes = dataset[name].attrs
        further[f"{name}_mean"] = xr.Variable(DIMENSIONS[1:], mean[:, :, channel], attributes)
        further[f"{name}_quantile"] = xr.Variable(
            ("quantile", *DIMENSIONS[1:]), quantiles[:, :, :, channel], attributes
        )
    return dataset.assign(further).set_coords("quantile")


def to_dataset(
    forecast: NDArray[np.float32], times: NDArray[np.float64], initial: ObservedFrames, artifact: Artifact
) -> xr.Dataset:
    """The forecast as it is written, with the observed frames' coordinates and the model's provenance."""
    metadata = artifact.metadata
    units = metadata.get("units", {})

    def attributes(name: str) -> dict[str, Any]:
        return ({"units": units[name]} if name in units else {}) | dict(initial.attributes.get(name, {}))

    if initial.land is not None:  # where nothing was, nothing is forecast
        forecast = np.where(initial.land, np.float32(np.nan), forecast)
    variables = {
        name: xr.Variable(DIMENSIONS, forecast[:, :, :, channel], attributes(name))
        for channel, name in enumerate(metadata["channels"])
    }
    coordinates = {
        name: xr.Variable(variable.dims, variable.values, variable.attrs)
        for name, variable in initial.coordinates.items()
    }
    coordinates["time"] = xr.Variable(("time",), times, attributes("time"))
    return xr.Dataset(variables, coordinates, dict(metadata["environment"]) | _provenance(metadata))


def _provenance(metadata: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        "study": metadata.get("study"),
        "arm": metadata.get("arm"),
        "seed": metadata.get("seed"),
        "model_digest": metadata["digest"],
        "generator_digest": metadata.get("generator_digest"),
        "weightcast_version": __version__,
    }
    return {name: value for name, value in known.items() if value is not None}
