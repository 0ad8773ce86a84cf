"""``weightcast evolve``: samples of an evolving distribution, of the one of a study or of a new environment's."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.console.options import refuse_options
from weightcast.core.errors import InputError
from weightcast.evolution.commands import evolve as of_one
from weightcast.families.commands import evolve as of_family
from weightcast.studies import kind_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    of_one.add_arguments(parser)
    of_family.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Evolve as the kind of the study says; what goes with the other kind alone is refused."""
    results: Path = arguments.results
    if not results.is_dir():
        raise InputError(f"{results}: found no such folder, expected that of a study that has been run")
    config = results / "config.yaml"
    kind = kind_of(read_yaml(config), config) if config.is_file() else "time"
    if kind == "environments-time":
        refuse_options(arguments, ("--arm",), f": {results} is a study of environments across time, which has no arms")
        if arguments.extrapolate:
            raise InputError(
                f"--extrapolate: found it, expected none: {results} is a study of environments across time"
            )
        of_family.run(arguments)
    elif kind == "environments":
        raise InputError(
            f"{results}: found a study across environments, expected one across time: weightcast generate {results} "
            "makes its predictors, and forecast rolls them out"
        )
    else:
        refuse_options(arguments, of_family.OPTIONS, f": {results} is no study of environments across time")
        of_one.run(arguments)
