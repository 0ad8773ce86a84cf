"""``weightcast evolve`` of a study of environments across time: the evolving law of an environment of one's own."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.environments.commands.stated_parameters import stated_parameters
from weightcast.evolution.commands.evolve import parse_times, wants_genes, with_genes
from weightcast.evolution.commands.genes import genes_of_study
from weightcast.families.bands import Band
from weightcast.families.config.load import parse_family_study
from weightcast.families.public import InferredLaw, PathFamily
from weightcast.families.snapshots import FamilySnapshots
from weightcast.samples.formats import recognise
from weightcast.samples.read import read_samples
from weightcast.samples.record import Loadings
from weightcast.samples.write import EvolvedSamples, check_format

OPTIONS = ("--snapshots", "--parameters", "--environment", "--bands")
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
        help="value of each of the study's parameters, beside the snapshots or instead of them; of a category its "
        "value: NAME=VALUE",
    )
    of_family.add_argument(
        "--environment",
        nargs="+",
        metavar="ID",
        help="instead of a new environment: visible ones, whose laws were learned; all: every one of them",
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
    _check_which(arguments)
    family = PathFamily.load(arguments.results, device=arguments.device)
    family.family.check_times(times, "--times")
    laws = _laws(arguments, family)
    count = arguments.samples
    drawn = np.concatenate([law.sample(times, count, arguments.seed) for law in laws.values()], axis=1)
    said = {
        "families_seed": family.family.metadata["seed"],
        "families_digest": family.family.metadata["digest"],
        "ensemble": sum(len(law.codes.flatten(0, 1)) for law in laws.values()),
        "seed": arguments.seed,
    }
    environments = [name for name in laws for _ in range(count)]
    loadings = _genes(arguments, family)
    never = np.zeros(len(times), bool)
    masses = None
    if family.family.masses is not None and len(laws) == 1:
        (law,) = laws.values()
        masses = law.mass(times, arguments.seed)
    EvolvedSamples(times, drawn, family.dimensions, never, said, environments, loadings, masses).save(arguments.output)
    of = (
        f"of an ensemble of {said['ensemble']} paths"
        if arguments.environment is None
        else f"of each of {len(laws)} paths"
    )
    print(
        f"wrote {arguments.output}: {count} samples of {len(family.dimensions)} dimensions at {len(times)} "
        f"times from {times[0]:g} to {times[-1]:g}, {of}{with_genes(loadings)}"
        + ("" if masses is None else f", with masses from {masses[0]:.4g} to {masses[-1]:.4g}")
    )
    if arguments.bands is not None:
        (law,) = laws.values()
        _write_bands(arguments.bands, family, law, times, arguments.seed)
        print(f"wrote {arguments.bands}: means with 90 % bands")


def _check_which(arguments: argparse.Namespace) -> None:
    """It is said whose law is meant, and in one way.

    Raises:
        InputError: it is not.
    """
    new = [option for option in ("snapshots", "parameters", "bands") if getattr(arguments, option) is not None]
    if arguments.environment is not None:
        if new:
            raise InputError(f"--environment: found --{new[0]} beside it, expected visible environments or a new one")
    elif arguments.snapshots is None and arguments.parameters is None:
        raise InputError(
            "--snapshots: missing, expected a file of samples, or --parameters NAME=NUMBER,..., or both; or "
            "--environment ID"
        )


def _laws(arguments: argparse.Namespace, family: PathFamily) -> dict[str, InferredLaw]:
    """The laws that are meant, by the id of a visible environment, or by what is given of a new one."""
    if arguments.environment is not None:
        ids = family.visible if arguments.environment == ["all"] else dict.fromkeys(arguments.environment)
        return {id: family.environment(id) for id in ids}
    names = family.family.scaling.names
    parameters = None if arguments.parameters is None else stated_parameters(arguments.parameters, names)
    if parameters is not None:
        for warning in family.family.scaling.check(parameters, "--parameters"):
            warn(warning)
    name = arguments.parameters if arguments.snapshots is None else arguments.snapshots.name.partition(".")[0]
    samples, masses = _samples(arguments, family)
    return {name: family.infer(samples, parameters, arguments.seed, masses)}


def _genes(arguments: argparse.Namespace, family: PathFamily) -> Loadings | None:
    if not wants_genes(arguments):
        return None
    config = arguments.results / "config.yaml"
    study = parse_family_study(read_yaml(config), config)
    metadata = family.family.metadata
    return genes_of_study(
        arguments.results, study.snapshots, metadata, family.dimensions, lambda file: FamilySnapshots.load(file).digest
    )


def _samples(
    arguments: argparse.Namespace, family: PathFamily
) -> tuple[dict[float, NDArray[np.float64]] | None, dict[float, float]]:
    """Samples by time, and sizes of the population, of a family that knows them, as the study's data say them."""
    path: Path | None = arguments.snapshots
    if path is None:
        return None, {}
    config, mass, settings = arguments.results / "config.yaml", None, dict[str, str]()
    if family.family.masses is not None:
        data = parse_family_study(read_yaml(config), config).data
        mass, column = data.mass, data.settings.get("mass_column")
        settings = {"mass_column": column} if mass == "column" and recognise(path) == "csv" and column else {}
    read = read_samples(path, recognise(path), settings, family.dimensions)
    for note in read.notes:
        warn(f"{path}: {note}")
    try:
        with warnings.catch_warnings():
            family.family.check_times(read.times, "time")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    sizes = read.masses if mass == "column" else [len(values) for values in read.samples] if mass else None
    masses = {} if sizes is None else {float(time): float(size) for time, size in zip(read.times, sizes, strict=True)}
    return {float(time): values for time, values in zip(read.times, read.samples, strict=True)}, masses


def _write_bands(path: Path, family: PathFamily, law: InferredLaw, times: NDArray[np.float64], seed: int) -> None:
    band: Band = law.mean_band(times, seed=seed)
    found = [
        (time, name, *band.at(place, dimension))
        for place, time in enumerate(times)
        for dimension, name in enumerate(family.dimensions)
    ]
    if family.family.masses is not None:
        sizes = law.mass_band(times, seed)
        found = [(time, "(mass)", *sizes.at(place)) for place, time in enumerate(times)] + found
    rows = pd.DataFrame(found, columns=["time", "dimension", "low", "median", "high"])
    with written_whole(path) as partial:
        rows.to_csv(partial, index=False)
