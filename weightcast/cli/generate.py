"""``weightcast generate``: predictors for an environment that was never trained on."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from weightcast.cli.frame_step import agreed_frame_step
from weightcast.cli.observed_frames import ObservedFrames, read_observed_frames
from weightcast.cli.outputs import check_output
from weightcast.config.study import Study, load_study
from weightcast.environments.generator import Generator
from weightcast.environments.model import save_models
from weightcast.environments.table import read_environments
from weightcast.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", help="folder of a study that has been run: results/STUDY"
    )
    environment = parser.add_mutually_exclusive_group(required=True)
    environment.add_argument("--environment", metavar="NAME=NUMBER,...", help="value of each of the study's parameters")
    environment.add_argument(
        "--frames",
        type=Path,
        metavar="FILE",
        help="NetCDF with two or more frames observed there, instead of parameters",
    )
    parser.add_argument("-n", "--samples", default=1, type=int, metavar="N", help="predictors to generate; default: 1")
    parser.add_argument("--arm", metavar="NAME", help="of the study's generator; default: the first")
    parser.add_argument("--seed", default=0, type=int, help="another seed gives other predictors; default: 0")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="model.safetensors to write")


def run(arguments: argparse.Namespace) -> None:
    check_output(arguments.output)
    results: Path = arguments.results
    if not results.is_dir():
        raise InputError(f"{results}: found no such folder, expected that of a study that has been run")
    stated = None if arguments.environment is None else parse_environment(arguments.environment)
    generator = Generator.load(results, arguments.arm)
    study = load_study(results / "config.yaml")
    known = {"channels": study.data.channels, "grid": list(study.data.grid), **_frame_metadata(study, results)}
    if stated is None:
        frames = read_observed_frames(arguments.frames, study.data.channels, study.data.grid)
        environment, origin = _infer(generator, frames, arguments, known), {"inferred_from": arguments.frames.name}
    else:
        environment, origin = stated, {}
    weights = generator.sample_weights(environment, arguments.samples, arguments.seed)
    shared = {key: generator.metadata[key] for key in ("architecture", "normalisation", "scaling")}
    metadata = {
        "environment": environment,
        "study": study.study,
        "arm": generator.metadata.get("arm"),
        "seed": arguments.seed,
        "generator_seed": generator.metadata.get("seed"),
        "generator_digest": generator.metadata["digest"],
        **origin,
        **known,
    }
    save_models(arguments.output, weights, shared, metadata)
    values = ", ".join(f"{name}={value:g}" for name, value in environment.items())
    print(f"wrote {arguments.output}: {len(weights)} predictors of {weights.shape[1]:,} weights for {values}")


def parse_environment(text: str) -> dict[str, float]:
    """`beta=1.1,D=0.4` -> {"beta": 1.1, "D": 0.4}.

    Raises:
        InputError: it is not of that form, a value is not a finite number, or a parameter comes twice.
    """
    environment: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise InputError(f"--environment: found {part.strip()!r}, expected NAME=NUMBER, separated by commas")
        if name in environment:
            raise InputError(f"--environment: parameter {name!r}: found twice, expected once")
        try:
            environment[name] = float(value)
        except ValueError:
            environment[name] = math.nan
        if not math.isfinite(environment[name]):
            raise InputError(f"--environment: parameter {name!r}: found {value!r}, expected a finite number")
    return environment


def _infer(
    generator: Generator, frames: ObservedFrames, arguments: argparse.Namespace, known: Mapping[str, Any]
) -> dict[str, float]:
    """The parameters of the environment that the frames come from."""
    trajectories, count = frames.values.shape[:2]
    if count < 2:
        raise InputError(f"{arguments.frames}: time: found {count} frames, expected 2 or more")
    agreed_frame_step(frames, arguments.frames, known)
    environment = generator.infer(torch.from_numpy(frames.values), arguments.seed)
    values = ", ".join(f"{name}={value:g}" for name, value in environment.items())
    print(f"inferred {values} from {count} frames of {trajectories} trajectories in {arguments.frames}")
    return environment


def _frame_metadata(study: Study, results: Path) -> dict[str, Any]:
    """Time between frames, and units of time and channels, as far as a file of the study's trajectories tells them."""
    environment = read_environments(results / "environments.csv").visible[0].id
    # results/STUDY and data/STUDY lie side by side.
    path = results.resolve().parents[1] / study.trajectories / f"{environment}.nc"
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False, decode_timedelta=False) as dataset:
            time = dataset["time"].to_numpy()
            units = {name: dataset[name].attrs.get("units") for name in ("time", *study.data.channels)}
    except (OSError, RuntimeError, ValueError, KeyError):  # the trajectories may have been removed since
        return {}
    return {
        "frame_step": float((time[-1] - time[0]) / (len(time) - 1)),
        "units": {name: unit for name, unit in units.items() if unit},
    }
