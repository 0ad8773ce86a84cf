"""``weightcast init --kind environments``: files of environments, with a table or without, or those of a benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from weightcast.core.console.options import refuse_options
from weightcast.core.dimensions import Dimension
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.names import listed
from weightcast.environments.commands.data_survey import Survey, recognise_format, survey
from weightcast.environments.commands.drawn_table import SEED, drawn_table
from weightcast.environments.commands.given_dimensions import given_dimensions
from weightcast.environments.commands.known_places import NO_PARAMETERS
from weightcast.environments.commands.npz_survey import survey_npz
from weightcast.environments.commands.parameter_scale import logarithmic_parameters
from weightcast.environments.commands.source_data import refuse_own_folder
from weightcast.environments.commands.stated_table import StatedTable, stated_table
from weightcast.environments.commands.study_template import fill_template
from weightcast.environments.commands.table_layout import given_inputs
from weightcast.environments.commands.table_survey import survey_table
from weightcast.environments.commands.weather_survey import is_weather, survey_weather
from weightcast.environments.config.load import parse_study
from weightcast.environments.plan import check_plan
from weightcast.records.files import is_table
from weightcast.records.station_netcdf import is_station_folder
from weightcast.trajectories import data_without_row, environment_names, find_npz_files
from weightcast.trajectories.npz_folder import is_npz_folder, open_npz_folder

OF_TABLES = (
    "--environment",
    "--time",
    "--state",
    "--calendar",
    "--cycle",
    "--transform",
    "--begins",
    "--every",
    "--parameters",
    "--frames",
    "--history",
    "--gap",
    "--gaps",
    "--parts",
    "--validation-from",
    "--test-from",
    "--held-out",
    "--held-out-count",
    "--seed",
    "--leave-out",
    "--missing",
    "--dates",
    "--decimal",
    "--separator",
    "--encoding",
)
"""Options of long tables alone."""
OF_FILES = ("--frames", "--gaps", "--missing")
"""Of these, options of folders of files as well."""
OF_WEATHER = ("--frames", "--held-out", "--held-out-count", "--seed")
"""Of these, options of weather as well."""


def init_environments(arguments: argparse.Namespace) -> list[str]:
    """Write the configuration, and a table of environments beside it where none is given.

    Returns:
        what was found, a line each.

    Raises:
        InputError: the table or the data cannot be used. Nothing is written then.
    """
    if is_weather(arguments.data):
        return _init_weather(arguments)
    if any(map(is_table, arguments.data)) or is_station_folder(arguments.data):
        return _init_table(arguments)
    _refuse_options_of_tables(arguments)
    (directory,) = arguments.data
    of_benchmark = is_npz_folder(directory)
    if arguments.grid is not None and not of_benchmark:
        raise InputError(f"--grid: found {arguments.grid}, expected none: files but .npz ones hold their grid")
    stated = _stated(arguments, lambda: _ids(directory, of_benchmark))
    given = None if stated is None else stated.table
    table, found = (_found_npz if of_benchmark else _found)(arguments, directory, given)
    text = fill_template(arguments.name, arguments.data, table, found, arguments.output, quick=bool(arguments.quick))
    study = parse_study(yaml.safe_load(text), arguments.output)
    check_plan(study, table)
    refuse_own_folder(directory, study.trajectories, "--data")
    if stated is None or stated.new:
        table.save(table.path)
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    lines = [*_report(table, found, directory), *(stated.lines if stated else []), *_scales(table)]
    if stated is not None:
        return [*lines, *([_wrote_numbers(table, arguments.table)] if stated.new else [])]
    return [*lines, *(_drawn(table) if found.counts is None else [f"wrote {table.path}: ids, and roles by the files"])]


def _init_table(arguments: argparse.Namespace) -> list[str]:
    """The same of a long table, of which records are cut."""
    for option, value in (
        ("--channels", arguments.channels),
        ("--grid", arguments.grid),
        ("--regrid", arguments.regrid),
    ):
        if value is not None:
            raise InputError(f"{option}: found {value}, expected none: {arguments.data[0]} is a long table")
    _dimensions(arguments, f"{arguments.data[0]} is a long table, whose own are said by --environment and --time")
    found = survey_table(arguments, _table_beside(arguments.output))
    table = found.table
    text = fill_template(
        arguments.name, arguments.data, table, found.survey, arguments.output, found.settings, bool(arguments.quick)
    )
    study = parse_study(yaml.safe_load(text), arguments.output)
    check_plan(study, table)
    table.save(table.path)
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    return [
        *found.lines,
        *_scales(table),
        f"wrote {table.path}: {len(table.visible)} visible places, {len(table.unseen)} held out; change its column "
        "role where you know better",
    ]


def _init_weather(arguments: argparse.Namespace) -> list[str]:
    """The same of files of weather, which are cut into regions."""
    (path,) = arguments.data
    refuse_options(
        arguments,
        [one for one in _alone(arguments) if one not in OF_WEATHER],
        f": {path} holds variables on latitudes and longitudes, of which regions are cut",
    )
    if arguments.grid is not None:
        raise InputError(f"--grid: found {arguments.grid}, expected none: {path} holds its grid")
    if arguments.regrid:
        raise InputError(f"--regrid: found it, expected none: {path} is one file, on one grid")
    _dimensions(arguments, f"{path} is taken for weather on latitudes and longitudes")
    if inputs := given_inputs(arguments):
        raise InputError(f"--inputs: found {', '.join(inputs)}, expected none: regions of weather have no inputs yet")
    stated = _stated(arguments, lambda: [])
    given = None if stated is None else stated.table
    found = survey_weather(arguments, path, given, _table_beside(arguments.output))
    table = found.table
    quick = bool(arguments.quick)
    text = fill_template(arguments.name, arguments.data, table, found.survey, arguments.output, found.settings, quick)
    study = parse_study(yaml.safe_load(text), arguments.output)
    check_plan(study, table)
    if stated is None or stated.new:
        table.save(table.path)
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    lines = [*found.lines, *(stated.lines if stated else []), *_scales(table)]
    if stated is not None:
        return [*lines, *([_wrote_numbers(table, arguments.table)] if stated.new else [])]
    return [*lines, f"wrote {table.path}: {len(table.visible)} visible regions, {len(table.unseen)} held out"]


def _dimensions(arguments: argparse.Namespace, why: str = "") -> dict[Dimension, str]:
    """What files call their dimensions, if somebody says it; of data of another kind nobody does."""
    given = given_dimensions(arguments.dimensions)
    if given and why:
        raise InputError(f"--dimensions: found {' '.join(arguments.dimensions)}, expected none: {why}")
    return given


def _alone(arguments: argparse.Namespace) -> list[str]:
    """Options of long tables alone; --parameters chooses among the columns of a table of environments as well."""
    taken = [*OF_FILES, *([] if arguments.table is None else ["--parameters"])]
    return [one for one in OF_TABLES if one not in taken]


def _stated(arguments: argparse.Namespace, there: Callable[[], list[str]]) -> StatedTable | None:
    """The user's table of environments, if there is one, by the ids of the data."""
    if arguments.table is None:
        return None
    asked = [] if arguments.parameters == NO_PARAMETERS else arguments.parameters
    return stated_table(arguments.table, _table_beside(arguments.output), there(), asked)


def _ids(directory: Path, of_benchmark: bool) -> list[str]:
    """Of the environments that there are files of."""
    if of_benchmark:
        return list(open_npz_folder(directory).ids)
    return environment_names(directory, recognise_format(directory))


def _refuse_options_of_tables(arguments: argparse.Namespace) -> None:
    refuse_options(
        arguments,
        _alone(arguments),
        f": {arguments.data[0]} is no table (.csv, .tsv, .txt, .json, .jsonl, .parquet, or one NetCDF file with a "
        "dimension of places)",
    )
    if len(arguments.data) != 1:
        raise InputError(f"--data: found {len(arguments.data)} paths, expected one folder, or the files of one table")


def _wrote_numbers(table: EnvironmentTable, given: Path) -> str:
    return f"wrote {table.path}: {given}, with numbers for words, plain names, and roles"


def _found(
    arguments: argparse.Namespace, directory: Path, table: EnvironmentTable | None
) -> tuple[EnvironmentTable, Survey]:
    """Of files of one environment each."""
    if table is None:
        table = drawn_table(directory, _table_beside(arguments.output))
    dimensions = _dimensions(arguments)
    told = (given_inputs(arguments), dimensions, arguments.frames, arguments.gaps, arguments.missing, arguments.regrid)
    return table, survey(directory, table, arguments.channels, *told)


def _found_npz(
    arguments: argparse.Namespace, directory: Path, table: EnvironmentTable | None
) -> tuple[EnvironmentTable, Survey]:
    """Of the files of an adaptation benchmark."""
    _dimensions(arguments, ".npz files have arrays without names")
    refuse_options(arguments, ["--regrid"], ": .npz files do not say where points lie")
    refuse_options(arguments, ("--frames", "--gaps"), ": .npz files say how long their trajectories are")
    refuse_options(arguments, ["--missing"], ": .npz files lack no value")
    if inputs := given_inputs(arguments):
        raise InputError(f"--inputs: found {', '.join(inputs)}, expected none: .npz files do not name variables")
    folder = open_npz_folder(directory)
    if table is not None:
        find_npz_files(directory, table)
    else:
        table = folder.table(_table_beside(arguments.output))
        if table.path.exists():
            raise InputError(f"{table.path}: exists already, expected --table {table.path} to use it, or no such file")
    grid = None if arguments.grid is None else tuple(arguments.grid)
    if grid is not None and min(grid) < 1:
        raise InputError(f"--grid: found {arguments.grid}, expected two numbers above 0")
    return table, survey_npz(folder, arguments.channels, grid)


def _table_beside(output: Path) -> Path:
    return output.with_name(f"{output.stem}-environments.csv")


def _report(table: EnvironmentTable, found: Survey, directory: Path) -> list[str]:
    strangers = data_without_row(directory, table, found.format)
    where = "of a state without a grid" if found.without_grid else f"on {found.grid[0]} x {found.grid[1]} points (y, x)"
    return [
        f"found {len(table)} environments ({len(table.visible)} visible, {len(table.unseen)} unseen) in {table.path}, "
        + (f"parameters {', '.join(table.parameter_names)}" if table.parameter_names else "no parameters"),
        f"found {found.format} files in {directory}: channels {', '.join(found.channels)} {where}, "
        f"{_range(found.trajectories)} trajectories of {_range(found.frames)} frames for each environment",
        *_windows(found),
        *found.told_of_grids,
        *found.told_of_marks,
        *found.told_of_land,
        *found.missing,
        *([f"dimensions are called {_called(found.renamed)} (--dimensions)"] if found.renamed else []),
        *([f"variables that are not used: {', '.join(found.unused)}"] if found.unused else []),
        *([f"without a row in {table.path}, and not used: {listed(strangers)}"] if strangers else []),
    ]


def _windows(found: Survey) -> list[str]:
    """How trajectories of files were cut, and that there are longer ones, or more, than are used."""
    lines, (fewest, most) = list[str](), found.trajectories
    if found.windows.frames is not None:
        lines.append(f"cut into windows of {found.windows.frames} frames, earlier ones first: {found.windows.why}")
    elif found.frames[0] < found.frames[1]:
        lines.append(f"of longer trajectories the first {found.frames[0]} frames are used (--frames cuts windows)")
    if fewest < most and found.fewest:  # arrays of a published form have a role each, of different sizes
        lines.append(
            f"of more trajectories than {fewest} the first {fewest} are used, as many as {found.fewest} has (a table "
            "without its row leaves it out)"
        )
    return lines


def _called(renamed: Mapping[str, str]) -> str:
    return ", ".join(f"{own}, which is {name}" for own, name in renamed.items())


def _scales(table: EnvironmentTable) -> list[str]:
    """On which scale methods see parameters; nothing where there are none."""
    logarithmic = logarithmic_parameters(table)
    scales = [f"{name} {'logarithmic' if name in logarithmic else 'linear'}" for name in table.parameter_names]
    return [f"scale of parameters, by how visible values are spread: {', '.join(scales)}"] if scales else []


def _drawn(table: EnvironmentTable) -> list[str]:
    return [
        f"wrote {table.path}: an environment a file; which {len(table.visible)} are visible and which "
        f"{len(table.unseen)} are to be tested on was drawn with the seed {SEED}",
        "change its column role where you know better, and add a column for each parameter that you know",
    ]


def _range(counts: tuple[int, int]) -> str:
    least, most = counts
    return str(least) if least == most else f"{least} to {most}"
