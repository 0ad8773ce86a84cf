"""``weightcast forecast``: roll generated predictors out from initial frames."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from weightcast import __version__
from weightcast.core.artifacts import Artifact
from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.device import choose_device
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.environments.commands.frame_step import agreed_frame_step
from weightcast.environments.commands.observed_frames import ObservedFrames, read_observed_frames
from weightcast.environments.model import PhysicalPredictor, load_models

DIMENSIONS = ("sample", "trajectory", "time", "y", "x")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model.safetensors, from weightcast generate")
    parser.add_argument(
        "--initial",
        required=True,
        type=Path,
        metavar="FILE",
        help="NetCDF with a variable per channel of dimensions (trajectory, time, y, x), the first two optional",
    )
    parser.add_argument(
        "--frame", default=-1, type=int, metavar="INDEX", help="of FILE to start from; default: the last"
    )
    parser.add_argument("--steps", required=True, type=int, metavar="N", help="frames to forecast")
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda or cuda:<number>")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="NetCDF to write")


def run(arguments: argparse.Namespace) -> None:
    check_output(arguments.output)
    if arguments.steps < 1:
        raise InputError(f"--steps: found {arguments.steps}, expected 1 or more")
    device = choose_device(arguments.device, "--device")
    models, artifact = load_models(arguments.model)
    for key in ("channels", "grid"):
        if key not in artifact.metadata:
            raise InputError(f"{artifact.path}: metadata: found no {key}, expected a model from weightcast generate")
    channels, grid = artifact.metadata["channels"], artifact.metadata["grid"]
    initial = read_observed_frames(arguments.initial, channels, grid, arguments.frame)
    step = agreed_frame_step(initial, arguments.initial, artifact.metadata)

    forecast = roll_out(cast(list[PhysicalPredictor], models), initial, arguments.steps, device)
    for warning in replace_blow_ups(forecast):
        warn(warning)
    start = 0.0 if initial.time is None else float(initial.time[-1])
    times = start + step * np.arange(1, arguments.steps + 1)
    dataset = to_dataset(forecast, times, initial, artifact)
    dataset.attrs["initial_frames"] = arguments.initial.name
    with written_whole(arguments.output) as partial:
        encoding = {name: {"_FillValue": None} for name in dataset.variables}
        dataset.to_netcdf(partial, format="NETCDF4", engine="netcdf4", encoding=encoding)
    sizes = ", ".join(f"{name} {size}" for name, size in zip(DIMENSIONS, dataset[channels[0]].shape, strict=True))
    print(f"wrote {arguments.output}: {', '.join(channels)} ({sizes})")


def roll_out(
    models: Sequence[PhysicalPredictor], initial: ObservedFrames, steps: int, device: torch.device | None = None
) -> NDArray[np.float32]:
    """Forecasts [sample, trajectory, step, channel, y, x] of the models, from the last frame that was observed."""
    device = device or torch.device("cpu")
    start = torch.from_numpy(initial.values[:, -1]).to(device)  # [trajectory, channel, y, x]
    return np.stack([model.to(device).rollout(start, steps).cpu().numpy() for model in models])


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


def to_dataset(
    forecast: NDArray[np.float32], times: NDArray[np.float64], initial: ObservedFrames, artifact: Artifact
) -> xr.Dataset:
    """The forecast as it is written, with the observed frames' coordinates and the model's provenance."""
    metadata = artifact.metadata
    units = metadata.get("units", {})

    def attributes(name: str) -> dict[str, Any]:
        return ({"units": units[name]} if name in units else {}) | dict(initial.attributes.get(name, {}))

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
