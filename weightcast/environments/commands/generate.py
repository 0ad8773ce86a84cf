"""``weightcast generate``: predictors for an environment that was never trained on."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.gappy_frames import in_steps
from weightcast.environments.commands.generate_from_frames import generate_from_frames, uses_context
from weightcast.environments.commands.known_inputs import inputs_beside
from weightcast.environments.commands.observed_frames import ObservedFrames, read_observed_frames
from weightcast.environments.commands.stated_parameters import stated_parameters
from weightcast.environments.commands.study_agreement import check_agreement, check_even_steps, described_grid
from weightcast.environments.conditions import Known
from weightcast.environments.config.condition import CONDITIONS
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.generator import Generator
from weightcast.environments.model import save_models
from weightcast.environments.normalisation import Normalisation
from weightcast.trajectories.checks import check_not_negative

_FAR_APART = (
    "{file}: time: found frames more than a step apart, expected such that follow each other: a search compares each "
    "with the forecast from the one before (a context, or an arm told frames without --refine, may be given others)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", help="folder of a study that has been run: results/STUDY"
    )
    environment = parser.add_mutually_exclusive_group(required=True)
    environment.add_argument(
        "--environment",
        metavar="NAME=NUMBER,...",
        help="value of each of the study's parameters; of a category its value in words",
    )
    environment.add_argument(
        "--frames",
        type=Path,
        metavar="FILE",
        help="NetCDF (or, of a state without a grid, a table with a row a time) with frames observed there, instead of "
        "parameters: two or more; or, for an arm that was trained "
        "on frames or labels, one or more, of which points may be missing (NaN); or, where the study has a context, "
        "every k-th pixel or step as well",
    )
    parser.add_argument(
        "-n",
        "--samples",
        type=int,
        metavar="N",
        help="predictors to generate; default: 1, from a context as many as context.refine.members says",
    )
    parser.add_argument(
        "--keep", type=int, metavar="N", help="of a context's: so many of the most probable alone; default: all"
    )
    parser.add_argument(
        "--arm",
        metavar="NAME",
        help="of the study's generator, or context; default: for frames the context if there is one, else the first",
    )
    parser.add_argument(
        "--condition",
        choices=CONDITIONS,
        help="take the first arm that was trained on this: parameters, frames, or a label told from frames",
    )
    parser.add_argument(
        "--refine",
        action="store_true",
        help="of an arm told frames or a label: move its predictor along what the arm generates to where it explains "
        "the frames best, two or more whole ones that follow each other; contexts always do",
    )
    parser.add_argument("--seed", default=0, type=int, help="another seed gives other predictors; default: 0")
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda or cuda:<number>")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="model.safetensors to write")


def run(arguments: argparse.Namespace) -> None:
    check_output(arguments.output)
    results: Path = arguments.results
    if not results.is_dir():
        raise InputError(f"{results}: found no such folder, expected that of a study that has been run")
    stated = None if arguments.environment is None else _stated(results, arguments.environment)
    if uses_context(results, arguments.arm, arguments.environment, arguments.condition):
        study = load_study(results / "config.yaml")
        described = _described(study, results)
        generate_from_frames(arguments, study, described)
        return
    if arguments.keep is not None:
        raise InputError(
            f"--keep: found {arguments.keep}, expected it with frames and a context alone: arms rank nothing"
        )
    samples = 1 if arguments.samples is None else arguments.samples
    if arguments.refine and stated is not None:
        raise InputError("--refine: found --environment, expected --frames: without frames there is nothing to explain")
    generator = Generator.load(results, arguments.arm, device=arguments.device, condition=arguments.condition)
    study = load_study(results / "config.yaml")
    described = _described(study, results)
    if stated is None and generator.condition.shown_frames:
        environment = {}
        known, land = _observed(generator, arguments.frames, described)
        for warning in generator.condition.check(known, str(arguments.frames)):
            warn(warning)
        if generator.condition.describe()["kind"] == "label":
            label = generator.condition.named(generator.condition.prepare([known])[0])
            described["label"] = label
            print(f"told {_words(label)} from the frames in {arguments.frames}")
        weights = generator.known_weights(known, samples, arguments.seed)
        if arguments.refine:
            assert known.frames is not None
            if bool(known.frames.isnan().flatten(2).all(2).any()):
                raise InputError(_FAR_APART.format(file=arguments.frames))
            weights = generator.refined_weights(weights, known.frames, land=land)
        described |= {"observed": arguments.frames.name, "refined": arguments.refine}
    else:
        if arguments.refine:
            raise InputError(
                f"--refine: found the arm {generator.metadata['arm']}, expected one told frames or a label: the "
                "parameters that others are told are searched for in the frames as they are"
            )
        if stated is None:
            environment = _infer(generator, arguments.frames, described, arguments.seed)
            described["inferred_from"] = arguments.frames.name
        else:
            environment = stated
            generator.check_told_parameters("--environment")
        for warning in generator.condition.check(Known(parameters=environment), "environment"):
            warn(warning)
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # the same, as a Python program gets them
            weights = generator.sample_weights(environment, samples, arguments.seed)
    shared = {key: generator.metadata[key] for key in ("architecture", "normalisation", "condition")}
    origin = {
        "study": study.study,
        "arm": generator.metadata["arm"],
        "generator_seed": generator.metadata["seed"],
        "generator_digest": generator.metadata["digest"],
        "seed": arguments.seed,
    }
    save_models(arguments.output, weights, shared, {"environment": environment} | origin | described)
    count = f"{len(weights)} predictor{'s' if len(weights) > 1 else ''} of {weights.shape[1]:,} weights"
    print(f"wrote {arguments.output}: {count} for {_words(environment) or arguments.frames}")


def _stated(results: Path, text: str) -> dict[str, float]:
    """Parameters as they are stated; refused where the study's environments have none."""
    table = results / "environments.csv"
    names = read_environments(table).parameter_names if table.is_file() else None
    if names == ():
        raise InputError(
            f"--environment: found {text!r}, expected --frames FILE: the environments of {table} have no parameters"
        )
    return stated_parameters(text, names or (), "--environment")


def _infer(generator: Generator, file: Path, described: Mapping[str, Any], seed: int) -> dict[str, float]:
    """The parameters of the environment that the frames in a file come from."""
    predictor = generator.predictor
    frames, land = _read(file, described, predictor.layout, generator.normalisation, predictor.history)
    environment = generator.infer(frames, seed, land)
    trajectories, count = frames.shape[:2]
    print(f"inferred {_words(environment)} from {trajectories} x {count} frames (trajectory, time) in {file}")
    return environment


def _read(
    file: Path, described: Mapping[str, Any], inputs: InputLayout, normalisation: Normalisation, history: int
) -> tuple[Tensor, Tensor | None]:
    """Observed frames [trajectory, time, channel, y, x] of a file, more than predictors see, and the columns of inputs
    behind; and where they are land."""
    reading = FileReading.from_metadata(described)
    frames = read_observed_frames(file, described["channels"], described["grid"], reading=reading)
    channels = described["channels"]
    check_not_negative(file, None, frames.values, channels, normalisation.transforms_of(channels))
    count = frames.values.shape[1]
    if count <= history:
        raise InputError(f"{file}: time: found {count} frames, expected {history + 1} or more")
    check_agreement(frames, file, described)
    if _on_steps(frames, file, described).shape[1] > count:
        raise InputError(_FAR_APART.format(file=file))
    if not inputs.columns:
        return torch.from_numpy(frames.values), frames.land_tensor
    shape = frames.values.shape
    columns = inputs_beside(file, inputs, (*shape[:2], *shape[3:]), reading)
    return torch.from_numpy(np.concatenate([frames.values, columns], axis=2)), frames.land_tensor


def _observed(generator: Generator, file: Path, described: Mapping[str, Any]) -> tuple[Known, Tensor | None]:
    """Frames of a file for a condition that sees them: one or more, with NaN where nothing was seen; and where they are
    land, and hold the study's number as those do that the condition was trained with."""
    reading = FileReading.from_metadata(described)
    frames = read_observed_frames(file, described["channels"], described["grid"], masked=True, reading=reading)
    channels = described["channels"]
    check_not_negative(file, None, frames.values, channels, generator.normalisation.transforms_of(channels))
    check_agreement(frames, file, described)
    frames = frames.with_land(channels, reading.land)
    return Known(frames=torch.from_numpy(_on_steps(frames, file, described))), frames.land_tensor


def _on_steps(frames: ObservedFrames, file: Path, described: Mapping[str, Any]) -> NDArray[np.float32]:
    """Values [trajectory, step, channel, y, x] at the study's steps, NaN where the file has no frame.

    Raises:
        InputError: frames are no whole number of steps apart, or not evenly where nobody knows the study's step.
    """
    if described.get("frame_step") is None:
        check_even_steps(frames, file)
    time = frames.time if frames.time is not None and len(frames.time) == frames.values.shape[1] else None
    return in_steps(frames.values, time, frames.attributes.get("time", {}).get("units"), file, described)[0]


def _described(study: Study, results: Path) -> dict[str, Any]:
    """What of the study goes into the artifact, to read further frames by."""
    reading = FileReading.of(study.data).metadata()
    described = {"channels": study.data.channels, "grid": list(study.data.grid), **_units(study, results)}
    return described | ({"table": reading} if reading else {})


def _units(study: Study, results: Path) -> dict[str, Any]:
    """Time between frames and points, and units, as far as a file of the study's trajectories tells them."""
    environment = read_environments(results / "environments.csv").visible[0].id
    # data/STUDY lies beside results/STUDY, wherever the command is run.
    folder = TrajectoryFolder(results.absolute().parents[1] / study.trajectories)
    try:
        found = folder.trajectories(environment, study.data.channels, gaps=True)
    except InputError:  # the trajectories may have been removed since
        return {}
    return {
        "frame_step": float((found.time[-1] - found.time[0]) / (len(found.time) - 1)),
        "units": {
            name: found.units[name] for name in ("time", "y", "x", *study.data.channels) if found.units.get(name)
        },
        **described_grid(found),
    }


def _words(environment: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in environment.items())
