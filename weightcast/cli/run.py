"""``weightcast run``: the whole workflow on a configuration, from any folder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.workflow import snakefile

# Options of Snakemake with which a run says itself how many jobs there are at a time.
PARALLELISM = ("-c", "--cores", "-j", "--jobs", "-e", "--executor", "--profile", "--workflow-profile")

CONFIGURATIONS = ("--configfile", "--configfiles")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "weightcast run CONFIG [--cores N] [TARGET ...] [SNAKEMAKE OPTIONS]"
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML of a study; data and results lie beside it")
    parser.add_argument(
        "snakemake", nargs=argparse.REMAINDER, metavar="...", help="what Snakemake is told; default: --cores all"
    )
    parser.epilog = (
        "Paths in the configuration are relative to its folder. Stages are targets: weightcast run my.yaml zoo."
        " What would run: weightcast run my.yaml -n. On SLURM: weightcast run my.yaml --workflow-profile slurm."
    )


def run(arguments: argparse.Namespace) -> None:
    """Become Snakemake, so that signals and the exit status are its own.

    Raises:
        InputError: a configuration is missing, is not YAML, or is larger or deeper than any, of which Snakemake's own
            reader says thousands of lines.
    """
    if not arguments.config.is_file():
        raise InputError(f"{arguments.config}: not found, expected a configuration (weightcast init writes one)")
    for file in (arguments.config, *further_configurations(arguments.snakemake)):
        read_yaml(file)
    # -P: the folder that one happens to stand in must not lend its Python files to Snakemake.
    command = [sys.executable, "-P", "-m", "snakemake", *snakemake_arguments(arguments.config, arguments.snakemake)]
    sys.stdout.flush()
    os.execv(sys.executable, command)


def snakemake_arguments(config: Path, further: Sequence[str]) -> list[str]:
    """The command line of Snakemake: where everything is, and then what the person said."""
    further = [word for index, word in enumerate(further) if not (index == 0 and word == "--")]
    # Last an option with one value: one with several would take the person's targets for more of its own.
    words = ["--configfile", str(config.resolve()), "--snakefile", str(snakefile())]
    words += ["--directory", str(config.resolve().parent)]
    if not any(_says(word, PARALLELISM) for word in further):
        words += ["--cores", "all"]
    return [*words, *further]


def further_configurations(words: Sequence[str]) -> list[Path]:
    """Files of configuration that a person names to Snakemake beside the first."""
    found, reading = [], False
    for word in words:
        option, _, value = word.partition("=")
        if word.startswith("-"):
            reading = option in CONFIGURATIONS
            found += [Path(value)] if reading and value else []
        elif reading:
            found.append(Path(word))
    return found


def _says(word: str, options: Sequence[str]) -> bool:
    """Whether a word is one of the options, alone or with its value in the same word."""
    return any(
        word == option or word.startswith(f"{option}=" if option.startswith("--") else option)
        for option in options
        if option.startswith("--") or not word.startswith("--")
    )
