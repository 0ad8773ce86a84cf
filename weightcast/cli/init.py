"""``weightcast init``: a complete configuration for data of the user's own, with sizes that fit the data."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from weightcast.cli.data_survey import Survey, survey
from weightcast.cli.source_data import refuse_own_folder
from weightcast.cli.study_template import fill_template
from weightcast.config.study import parse_study
from weightcast.environments.table import EnvironmentTable, read_environments
from weightcast.errors import InputError
from weightcast.files import written_whole
from weightcast.names import check_name
from weightcast.plan import check_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", required=True, choices=("environments", "time"), help="what weights are modelled across"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of NetCDF or .npy files")
    parser.add_argument("--table", required=True, type=Path, metavar="CSV", help="columns id, role and parameters")
    parser.add_argument("--name", required=True, metavar="STUDY", help="of the study; results go to results/STUDY")
    parser.add_argument(
        "--channels", nargs="+", metavar="NAME", help="of .npy files, which do not hold them; or a choice"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="the configuration to write")


def run(arguments: argparse.Namespace) -> None:
    if arguments.kind == "time":
        raise InputError("--kind: found 'time', expected environments: this release does not model weights across time")
    check_name(arguments.name, "--name", "weightcast init")
    if arguments.output.exists() and not arguments.force:
        raise InputError(f"{arguments.output}: exists already, expected a new file (or --force to overwrite it)")
    table = read_environments(arguments.table)
    found = survey(arguments.data, table, arguments.channels)
    text = fill_template(arguments.name, arguments.data, table, found, arguments.output)
    study = parse_study(yaml.safe_load(text), arguments.output)
    check_plan(study, table)
    refuse_own_folder(arguments.data, study.trajectories, "--data")
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    print(*_report(table, found, arguments.data), sep="\n")
    print(f"wrote {arguments.output}; see what it would run with: weightcast check --config {arguments.output}")


def _report(table: EnvironmentTable, found: Survey, directory: Path) -> list[str]:
    shape = f"{found.grid[0]} x {found.grid[1]} points (y, x)"
    return [
        f"found {len(table)} environments ({len(table.visible)} visible, {len(table.unseen)} unseen) in {table.path}, "
        f"parameters {', '.join(table.parameter_names)}",
        f"found {found.format} files in {directory}: channels {', '.join(found.channels)} on {shape}, "
        f"{_range(found.trajectories)} trajectories of {_range(found.frames)} frames for each environment",
    ]


def _range(counts: tuple[int, int]) -> str:
    least, most = counts
    return str(least) if least == most else f"{least} to {most}"
