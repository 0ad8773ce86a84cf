"""``weightcast init --kind environments``: files of trajectories, one for each environment of a table, or the files of
an adaptation benchmark, whose table is written too."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from weightcast.core.environment_table import EnvironmentTable, read_environments, write_environments
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.environments.commands.data_survey import Survey, survey
from weightcast.environments.commands.npz_survey import survey_npz
from weightcast.environments.commands.source_data import refuse_own_folder
from weightcast.environments.commands.study_template import fill_template
from weightcast.environments.config.study import parse_study
from weightcast.environments.plan import check_plan
from weightcast.trajectories import find_npz_files
from weightcast.trajectories.npz_folder import FILES, is_npz_folder, open_npz_folder


def init_environments(arguments: argparse.Namespace) -> list[str]:
    """Write the configuration, and of ``.npz`` files the table of environments, unless there is one.

    Returns:
        what was found, a line each.

    Raises:
        InputError: the table or the data cannot be used. Nothing is written then.
    """
    table, found = _found_npz(arguments) if is_npz_folder(arguments.data) else _found(arguments)
    text = fill_template(arguments.name, arguments.data, table, found, arguments.output)
    study = parse_study(yaml.safe_load(text), arguments.output)
    check_plan(study, table)
    refuse_own_folder(arguments.data, study.trajectories, "--data")
    if arguments.table is None:
        write_environments(table.path, table)
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    lines = _report(table, arguments.table or arguments.data, found, arguments.data)
    return [*lines, f"wrote {table.path}"] if arguments.table is None else lines


def _found(arguments: argparse.Namespace) -> tuple[EnvironmentTable, Survey]:
    """Of files of one environment each."""
    if arguments.table is None:
        raise InputError(
            f"--table: missing, expected the table of environments (CSV): {arguments.data} has no {', '.join(FILES)}, "
            "which would tell them"
        )
    if arguments.grid is not None:
        raise InputError(f"--grid: found {arguments.grid}, expected none: files but .npz ones hold their grid")
    table = read_environments(arguments.table)
    return table, survey(arguments.data, table, arguments.channels)


def _found_npz(arguments: argparse.Namespace) -> tuple[EnvironmentTable, Survey]:
    """Of the files of an adaptation benchmark."""
    folder = open_npz_folder(arguments.data)
    if arguments.table is not None:
        table = read_environments(arguments.table)
        find_npz_files(arguments.data, table)
    else:
        table = folder.table(arguments.output.with_name(f"{arguments.output.stem}-environments.csv"))
        if table.path.exists() and not arguments.force:
            raise InputError(f"{table.path}: exists already, expected --table to use it, or --force to overwrite it")
    grid = None if arguments.grid is None else tuple(arguments.grid)
    if grid is not None and min(grid) < 1:
        raise InputError(f"--grid: found {arguments.grid}, expected two numbers above 0")
    return table, survey_npz(folder, arguments.channels, grid)


def _report(table: EnvironmentTable, told_by: Path, found: Survey, directory: Path) -> list[str]:
    where = "of a state without a grid" if found.without_grid else f"on {found.grid[0]} x {found.grid[1]} points (y, x)"
    return [
        f"found {len(table)} environments ({len(table.visible)} visible, {len(table.unseen)} unseen) in {told_by}, "
        f"parameters {', '.join(table.parameter_names) or 'none'}",
        f"found {found.format} files in {directory}: channels {', '.join(found.channels)} {where}, "
        f"{_range(found.trajectories)} trajectories of {_range(found.frames)} frames for each environment",
    ]


def _range(counts: tuple[int, int]) -> str:
    least, most = counts
    return str(least) if least == most else f"{least} to {most}"
