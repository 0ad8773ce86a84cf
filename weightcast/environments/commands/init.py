"""``weightcast init --kind environments``: files of trajectories, one for each environment of a table, or of none."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.core.files import written_whole
from weightcast.environments.commands.data_survey import Survey, survey
from weightcast.environments.commands.drawn_table import SEED, drawn_table
from weightcast.environments.commands.source_data import refuse_own_folder
from weightcast.environments.commands.study_template import fill_template
from weightcast.environments.config.study import parse_study
from weightcast.environments.plan import check_plan


def init_environments(arguments: argparse.Namespace) -> list[str]:
    """Write the configuration, and a table of environments beside it where none is given.

    Returns:
        what was found, a line each.

    Raises:
        InputError: the table or the data cannot be used. Nothing is written then.
    """
    if arguments.table is None:
        table = drawn_table(arguments.data, arguments.output.with_name(f"{arguments.output.stem}-environments.csv"))
    else:
        table = read_environments(arguments.table)
    found = survey(arguments.data, table, arguments.channels)
    text = fill_template(arguments.name, arguments.data, table, found, arguments.output)
    study = parse_study(yaml.safe_load(text), arguments.output)
    check_plan(study, table)
    refuse_own_folder(arguments.data, study.trajectories, "--data")
    if arguments.table is None:
        table.save(table.path)
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    return [*_report(table, found, arguments.data), *(_drawn(table) if arguments.table is None else [])]


def _report(table: EnvironmentTable, found: Survey, directory: Path) -> list[str]:
    where = "of a state without a grid" if found.without_grid else f"on {found.grid[0]} x {found.grid[1]} points (y, x)"
    return [
        f"found {len(table)} environments ({len(table.visible)} visible, {len(table.unseen)} unseen) in {table.path}, "
        + (f"parameters {', '.join(table.parameter_names)}" if table.parameter_names else "no parameters"),
        f"found {found.format} files in {directory}: channels {', '.join(found.channels)} {where}, "
        f"{_range(found.trajectories)} trajectories of {_range(found.frames)} frames for each environment",
    ]


def _drawn(table: EnvironmentTable) -> list[str]:
    return [
        f"wrote {table.path}: an environment a file; which {len(table.visible)} are visible and which "
        f"{len(table.unseen)} are to be tested on was drawn with the seed {SEED}",
        "change its column role where you know better, and add a column for each parameter that you know",
    ]


def _range(counts: tuple[int, int]) -> str:
    least, most = counts
    return str(least) if least == most else f"{least} to {most}"
