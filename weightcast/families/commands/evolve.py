"""``weightcast evolve`` of a study of environments across time: the evolving law of an environment of one's own."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.console.options import refuse_options
from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.environments.commands.stated_parameters import stated_parameters
from weightcast.evolution.commands.evolve import parse_times, wants_genes, with_genes
from weightcast.evolution.commands.genes import genes_of_study
from weightcast.families.commands import shown_file
from weightcast.families.commands.bands_table import check_bands_file, parse_tails, write_bands
from weightcast.families.commands.fit_words import fit_lines, misfit_lines
from weightcast.families.commands.shown_file import read_shown
from weightcast.families.config.load import parse_family_study
from weightcast.families.config.study import FamilyStudy
from weightcast.families.public import InferredLaw, PathFamily
from weightcast.families.snapshots import FamilySnapshots, Samples
from weightcast.samples.record import Loadings
from weightcast.samples.snapshots import read_loadings
from weightcast.samples.write import EvolvedSamples, check_format

OPTIONS = ("--snapshots", "--parameters", "--environment", "--bands", "--tails", *shown_file.OPTIONS)
"""Options of this kind of study alone."""
SHOWN_IDS = 4


@dataclass(frozen=True)
class Asked:
    """Laws that samples are wanted of.

    Attributes:
        laws: by the id of a visible environment, or by what is given of a new one.
        lines: what is to be said of them.
        warnings: what is to be warned of.
    """

    laws: dict[str, InferredLaw]
    lines: list[str]
    warnings: list[str]


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
    of_family.add_argument(
        "--tails",
        nargs="+",
        metavar="NAME=VALUE",
        help="also of the probability that a dimension is above a value, in that table",
    )
    shown_file.add_arguments(of_family)


def run(arguments: argparse.Namespace) -> None:
    """Infer a law from what is given of an environment, and write samples of it."""
    check_output(arguments.output)
    check_format(arguments.output)
    if arguments.bands is not None:
        check_output(arguments.bands)
        check_bands_file(arguments.bands, arguments.output)
    times = parse_times(arguments.times)
    if arguments.samples < 1:
        raise InputError(f"--samples: found {arguments.samples}, expected at least 1")
    _check_which(arguments)
    family = PathFamily.load(arguments.results, device=arguments.device)
    family.family.check_times(times, "--times")
    tails = parse_tails(arguments.tails or (), family.dimensions)
    config = arguments.results / "config.yaml"
    study = parse_family_study(read_yaml(config), config)
    asked = _asked(arguments, family, study)
    laws = asked.laws
    count = arguments.samples
    drawn = np.concatenate([law.sample(times, count, arguments.seed) for law in laws.values()], axis=1)
    said = {
        "families_seed": family.family.metadata["seed"],
        "families_digest": family.family.metadata["digest"],
        "ensemble": sum(len(law.codes.flatten(0, 1)) for law in laws.values()),
        "seed": arguments.seed,
    }
    environments = [name for name in laws for _ in range(count)]
    loadings = _genes(arguments, family, study)
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
        write_bands(arguments.bands, family, law, times, arguments.seed, tails)
        print(f"wrote {arguments.bands}: means{' and tails' if tails else ''} with 90 % bands")
    for line in asked.lines:
        print(line)
    for warning in asked.warnings:
        warn(warning)


def _check_which(arguments: argparse.Namespace) -> None:
    """It is said whose law is meant, and in one way.

    Raises:
        InputError: it is not.
    """
    new = [option for option in ("snapshots", "parameters", "bands") if getattr(arguments, option) is not None]
    if arguments.environment is not None:
        if new:
            raise InputError(f"--environment: found --{new[0]} beside it, expected visible environments or a new one")
        if "all" in arguments.environment and len(arguments.environment) > 1:
            raise InputError("--environment: found all beside others, expected all alone, or ids")
    elif arguments.snapshots is None and arguments.parameters is None:
        raise InputError(
            "--snapshots: missing, expected a file of samples, or --parameters NAME=NUMBER,..., or both; or "
            "--environment ID"
        )
    if arguments.tails is not None and arguments.bands is None:
        raise InputError("--tails: found it without --bands, expected --bands FILE to write them to")
    if arguments.snapshots is None:
        refuse_options(arguments, shown_file.OPTIONS, " without --snapshots")


def _asked(arguments: argparse.Namespace, family: PathFamily, study: FamilyStudy) -> Asked:
    """The laws that are meant.

    Raises:
        InputError: there is no such visible environment, or what is given of a new one cannot be used.
    """
    if arguments.environment is not None:
        ids = family.visible if arguments.environment == ["all"] else dict.fromkeys(arguments.environment)
        for id in ids:
            if id not in family.visible:
                raise InputError(f"--environment: found {id!r}, expected all or some of {_ids(family)}")
        return Asked({id: family.environment(id) for id in ids}, [], [])
    names = family.family.scaling.names
    parameters = None if arguments.parameters is None else stated_parameters(arguments.parameters, names)
    if parameters is not None:
        for warning in family.family.scaling.check(parameters, "--parameters"):
            warn(warning)
    path: Path | None = arguments.snapshots
    if path is None:
        return Asked({arguments.parameters: family.infer(None, parameters, arguments.seed)}, [], [])
    snapshots = arguments.results.resolve().parent.parent / study.snapshots
    shown = read_shown(path, arguments, study, arguments.results.resolve().parent.parent, _loadings(snapshots))
    for note in shown.notes:
        print(f"{path}: {note}")
    _check_times(path, family, shown.samples)
    law = family.infer(shown.samples, parameters, arguments.seed, shown.masses)
    lines, warnings = fit_lines(law, family, shown.samples)
    further, unfit = misfit_lines(law, family, shown.samples, snapshots)
    return Asked({path.name.partition(".")[0]: law}, [*lines, *further], [*warnings, *unfit])


def _ids(family: PathFamily) -> str:
    return f"{listed(family.visible, SHOWN_IDS)} (environments.csv of the results has them)"


def _check_times(path: Path, family: PathFamily, shown: dict[float, Samples]) -> None:
    try:
        family.family.check_times(list(shown), "time")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _loadings(snapshots: Path) -> Loadings | None:
    """Of the study's principal components; None where there are none, or its samples are not there any more."""
    try:
        return read_loadings(snapshots)
    except InputError:
        return None


def _genes(arguments: argparse.Namespace, family: PathFamily, study: FamilyStudy) -> Loadings | None:
    if not wants_genes(arguments):
        return None
    metadata = family.family.metadata
    return genes_of_study(
        arguments.results, study.snapshots, metadata, family.dimensions, lambda file: FamilySnapshots.load(file).digest
    )
