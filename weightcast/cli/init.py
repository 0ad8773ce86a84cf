"""``weightcast init``: a complete configuration for data of the user's own, with sizes that fit the data."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.core.console.outputs import check_output
from weightcast.core.errors import InputError
from weightcast.core.names import check_name

# Options of one kind of study alone: what they are called on the command line, and where argparse puts them.
OF_ENVIRONMENTS = {"--table": "table", "--channels": "channels", "--grid": "grid"}
OF_TIME = {
    "--time-column": "time_column",
    "--dimensions": "dimensions",
    "--state": "state",
    "--settings": "settings",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", required=True, choices=("environments", "time"), help="what weights are modelled across"
    )
    parser.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="PATH",
        help="folder of NetCDF, .npy or .npz files; across time a file: .npy, .csv, .npz, .h5ad or NetCDF",
    )
    parser.add_argument(
        "--name",
        metavar="STUDY",
        help="of the study; results go to results/STUDY; default: as the data's folder or file",
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="the configuration to write")

    environments = parser.add_argument_group("across environments")
    environments.add_argument(
        "--table",
        type=Path,
        metavar="CSV",
        help="columns id, role and parameters, if any are known; default: one drawn for the files, written beside FILE",
    )
    environments.add_argument(
        "--channels", nargs="+", metavar="NAME", help="of .npy and .npz files, which do not hold them; or a choice"
    )
    environments.add_argument(
        "--grid",
        nargs=2,
        type=int,
        metavar=("NY", "NX"),
        help="points of fields in .npz files; 1 1: a state without a grid; default: square fields are recognised",
    )
    time = parser.add_argument_group("across time")
    time.add_argument("--time-column", metavar="NAME", help="of a CSV table or of obs; default: the one so named")
    time.add_argument("--dimensions", nargs="+", metavar="NAME", help="columns of a CSV table; else names to give")
    time.add_argument("--state", choices=("counts", "real"), help="default: counts where all are small whole numbers")
    time.add_argument(
        "--settings",
        nargs="+",
        metavar="KEY=VALUE",
        help="how to read the file: time_step, first_dimensions, representation, ...; see docs/own-data.md",
    )


def run(arguments: argparse.Namespace) -> None:
    if arguments.name is None:
        arguments.name = arguments.data.resolve().stem
    check_name(arguments.name, "--name", "weightcast init")
    if arguments.output.exists() and not arguments.force:
        raise InputError(f"{arguments.output}: exists already, expected a new file (or --force to overwrite it)")
    check_output(arguments.output)
    across_time = arguments.kind == "time"
    for option, name in (OF_ENVIRONMENTS if across_time else OF_TIME).items():
        if getattr(arguments, name) is not None:
            raise InputError(f"{option}: found {getattr(arguments, name)}, expected none with --kind {arguments.kind}")
    if across_time:
        from weightcast.evolution.commands.init import init_time

        lines = init_time(arguments)
    else:
        from weightcast.environments.commands.init import init_environments

        lines = init_environments(arguments)
    print(*lines, sep="\n")
    print(f"wrote {arguments.output}; see what it would run with: weightcast check --config {arguments.output}")
