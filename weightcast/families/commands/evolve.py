"""``weightcast evolve`` of a study of environments across time: the evolving law of an environment of one's own."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.environments.commands.generate import parse_environment
from weightcast.evolution.commands.evolve import parse_times
from weightcast.families.bands import Band
from weightcast.families.public import InferredLaw, PathFamily
from weightcast.samples.formats import recognise
from weightcast.samples.read import read_samples
from weightcast.samples.write import EvolvedSamples, check_format

OPTIONS = ("--snapshots", "--parameters", "--bands")
"""Options of this kind of study alone."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which environment is meant."""
    of_family = parser.add_argument_group("of a study of environments across time")
    of_family.add_argument(
        "--snapshots",
        type=Path,
        metavar="FILE",
        help="samples of a new environment at one or more times: .csv with a time column, .npz, .npy, .nc or .h5ad",
    )
    of_family.add_argument(
        "--parameters",
        metavar="NAME=NUMBER,...",
        help="value of each of the study's parameters, beside the snapshots or instead of them",
    )
    of_family.add_argument(
        "--bands",
        type=Path,
        metavar="FILE",
        help="also write a table (.csv) of each dimension's mean at each time: the ensemble's median and 90 %% band",
    )


def run(arguments: argparse.Namespace) -> None:
    """Infer a law from what is given of an environment, and write samples of it."""
    check_output(arguments.output)
    check_format(arguments.output)
    if arguments.bands is not None:
        check_output(arguments.bands)
    times = parse_times(arguments.times)
    if arguments.samples < 1:
        raise InputError(f"--samples: found {arguments.samples}, expected at least 1")
    if arguments.snapshots is None and arguments.parameters is None:
        raise InputError("--snapshots: missing, expected a file of samples, or --parameters NAME=NUMBER,..., or both")
    family = PathFamily.load(arguments.results, device=arguments.device)
    family.family.check_times(times, "--times")
    parameters = None if arguments.parameters is None else parse_environment(arguments.parameters, "--parameters")
    if parameters is not None:
        for warning in family.family.scaling.check(parameters, "--parameters"):
            warn(warning)
    law = family.infer(_samples(family, arguments.snapshots), parameters, arguments.seed)
    drawn = law.sample(times, arguments.samples, arguments.seed)
    said = {
        "families_seed": family.family.metadata["seed"],
        "families_digest": family.family.metadata["digest"],
        "ensemble": len(law.codes),
        "seed": arguments.seed,
    }
    EvolvedSamples(times, drawn, family.dimensions, np.zeros(len(times), bool), said).save(arguments.output)
    print(
        f"wrote {arguments.output}: {arguments.samples} samples of {len(family.dimensions)} dimensions at {len(times)} "
        f"times from {times[0]:g} to {times[-1]:g}, of an ensemble of {len(law.codes)} paths"
    )
    if arguments.bands is not None:
        _write_bands(arguments.bands, family, law, times, arguments.seed)
        print(f"wrote {arguments.bands}: means with 90 % bands")


def _samples(family: PathFamily, path: Path | None) -> dict[float, NDArray[np.float64]] | None:
    if path is None:
        return None
    read = read_samples(path, recognise(path), {}, family.dimensions)
    for note in read.notes:
        warn(f"{path}: {note}")
    try:
        with warnings.catch_warnings():
            family.family.check_times(read.times, "time")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return {float(time): values for time, values in zip(read.times, read.samples, strict=True)}


def _write_bands(path: Path, family: PathFamily, law: InferredLaw, times: NDArray[np.float64], seed: int) -> None:
    band: Band = law.mean_band(times, seed=seed)
    rows = [
        {
            "time": time,
            "dimension": name,
            "low": band.low[place, dimension],
            "median": band.median[place, dimension],
            "high": band.high[place, dimension],
        }
        for place, time in enumerate(times)
        for dimension, name in enumerate(family.dimensions)
    ]
    with written_whole(path) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)
