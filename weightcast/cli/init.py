"""``weightcast init``: a complete configuration for data of the user's own, with sizes that fit the data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from weightcast.core.console.options import refuse_options
from weightcast.core.console.outputs import check_output
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.studies import KINDS

# Options of one kind of study alone; those of long tables stand where these are read.
OF_ENVIRONMENTS = ("--table", "--channels", "--grid", "--regrid", "--inputs", "--past-inputs", "--constants", "--quick")
OF_TIME = ("--time-column", "--times-order", "--condition", "--settings")
STATES = ("counts", "real")
"""Of a study across time."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", required=True, choices=KINDS, help="what weights are modelled across")
    parser.add_argument(
        "--data",
        required=True,
        nargs="+",
        type=Path,
        metavar="PATH",
        help="folder of NetCDF, .npy or .npz files; or a long table of places: .csv[.gz], .tsv, .txt, .json, .parquet, "
        "one NetCDF file with stations; several files, or a folder of them; across time a file: .npy, .csv, .npz, "
        ".h5ad or NetCDF; of environments across time a folder with one of these for each, or one table or .h5ad file "
        "of all",
    )
    parser.add_argument(
        "--name",
        metavar="STUDY",
        help="of the study; results go to results/STUDY; default: as the data's folder or file",
    )
    parser.add_argument(
        "--state",
        nargs="+",
        metavar="NAME",
        help="across environments: columns of a long table that are forecast; across time counts or real, default: "
        "counts where all are small whole numbers; of environments across time either",
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite FILE; across both axes also the table beside it"
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="the configuration to write")

    environments = parser.add_argument_group("across environments; --table and --quick also across both")
    environments.add_argument(
        "--table",
        type=Path,
        metavar="CSV",
        help="what is known of environments or places: a row each, with a column of their names, parameters in numbers "
        "or words, and role, which may be missing; default: one without parameters, written beside FILE",
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
    environments.add_argument(
        "--regrid",
        action="store_true",
        default=None,
        help="NetCDF files with finer or coarser fields of the same extent are brought to the grid that most are on",
    )
    environments.add_argument(
        "--inputs",
        nargs="+",
        metavar="NAME",
        help="columns or NetCDF variables that are not forecast but known beforehand, over the whole horizon: "
        "controls, a weather forecast",
    )
    environments.add_argument(
        "--past-inputs", nargs="+", metavar="NAME", help="the same of those that are known until a forecast begins"
    )
    environments.add_argument(
        "--constants", nargs="+", metavar="NAME", help="the same of numbers of a place that never change, as a height"
    )
    environments.add_argument(
        "--quick",
        action="store_true",
        default=None,
        help="short trainings and nothing to choose among: a first report in minutes, to see what it will be like",
    )
    _add_table_arguments(
        parser.add_argument_group(
            "long tables, across environments; across both --environment, --time, --parameters, --held-out, "
            "--held-out-count, --seed and --leave-out"
        )
    )
    time = parser.add_argument_group("across time, and of environments across time")
    time.add_argument("--time-column", metavar="NAME", help="of a CSV table or of obs; default: the one so named")
    time.add_argument(
        "--times-order",
        nargs="+",
        metavar="LABEL",
        help="labels in the column of times, in their order: times 0, 1, 2, ...; or LABEL=TIME",
    )
    time.add_argument(
        "--condition", nargs="+", metavar="COLUMN=VALUE", help="only rows (cells) with this value: one batch, say"
    )
    time.add_argument(
        "--dimensions",
        nargs="+",
        metavar="NAME",
        help="columns of a CSV table; else names to give; across environments NAME=OWN, what NetCDF files call "
        "trajectory, time, y or x, where that is not recognised",
    )
    time.add_argument(
        "--settings",
        nargs="+",
        metavar="KEY=VALUE",
        help="how to read the file: time_step, first_dimensions, representation, ...; see docs/own-data.md",
    )


def _add_table_arguments(table: argparse._ArgumentGroup) -> None:
    table.add_argument(
        "--environment", metavar="COLUMN", help="says which place a row is of; none: a column is a place"
    )
    table.add_argument(
        "--time",
        nargs="+",
        metavar="COLUMN",
        help="of times; or several: year month day hour; default: the one so named",
    )
    table.add_argument(
        "--calendar",
        nargs="+",
        choices=("hour", "weekday", "season", "cycle"),
        help="what of the dates predictors see beside the state; default: nothing",
    )
    table.add_argument(
        "--cycle",
        type=int,
        metavar="N",
        help="steps after which seasons come again; default: where times are numbers, found by autocorrelation",
    )
    table.add_argument(
        "--transform",
        nargs="+",
        metavar="NAME=HOW",
        help="how predictors see a channel that is never negative: log, sqrt or none; default: where it is skewed, as "
        "serves forecasts of visible places best",
    )
    table.add_argument(
        "--begins", metavar="DATE", help="of the first row, where rows are even steps without a column of times"
    )
    table.add_argument("--every", choices=("hour", "day", "week", "month"), help="how far such rows lie apart")
    table.add_argument(
        "--parameters",
        nargs="+",
        metavar="COLUMN",
        help="numbers or words that never change in a place, or columns of --table; none for no parameters; default: "
        "such words, and what --table has",
    )
    table.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="steps of a window, twice what is trained; also of trajectories in files, which are cut; default: by step",
    )
    table.add_argument(
        "--history",
        type=int,
        metavar="N",
        help="frames that predictors see; default: 1, 2, 4 or 8, by autoregressions of visible places",
    )
    table.add_argument("--gap", type=int, metavar="N", help="steps between parts; default: the trained horizon")
    table.add_argument(
        "--gaps",
        nargs="+",
        metavar="LIMIT",
        help="what trajectories may lack, of files as well: none, or a share, 0.25 say, and a number of steps in a "
        "row; default: of a table by what it gains, of files where some have gaps",
    )
    table.add_argument(
        "--parts",
        choices=("calendar", "own"),
        help="to train, make choices and test: of a calendar that all places share, or of each record's own time; "
        "default: own where a calendar would leave out many places",
    )
    table.add_argument(
        "--validation-from", metavar="TIME", help="of what makes choices; default: so that it is a tenth"
    )
    table.add_argument("--test-from", metavar="TIME", help="of what is tested on; default: so that it is a fifth")
    table.add_argument(
        "--held-out",
        nargs="+",
        metavar="PLACE",
        help="random (the default), farthest, or names of places to test on; across both also farthest-by-law",
    )
    table.add_argument("--held-out-count", type=int, metavar="N", help="random or farthest ones; default: about 30 %%")
    table.add_argument("--seed", type=int, metavar="N", help="of the random ones; default: 0")
    table.add_argument("--leave-out", nargs="+", metavar="PLACE", help="places that are not used")
    table.add_argument(
        "--missing",
        nargs="+",
        metavar="MARK",
        help="of missing values, as -999, also in folders of files; none: such numbers are numbers",
    )
    table.add_argument("--dates", choices=("day-first", "month-first"), help="order in dates such as 3/4/2020")
    table.add_argument("--decimal", choices=(".", ","), help="mark of decimals; default: recognised")
    table.add_argument(
        "--separator", choices=(",", ";", "|", "tab", "space"), help="between cells; default: recognised"
    )
    table.add_argument("--encoding", metavar="NAME", help="of text; default: UTF-8 or UTF-16, else Windows-1252")


def run(arguments: argparse.Namespace) -> None:
    if arguments.name is None:
        arguments.name = _default_name(arguments.data)
    check_name(arguments.name, "--name", "weightcast init")
    if arguments.output.exists() and not arguments.force:
        raise InputError(f"{arguments.output}: exists already, expected a new file (or --force to overwrite it)")
    check_output(arguments.output)
    why = f" with --kind {arguments.kind}"
    if arguments.kind == "environments":
        from weightcast.environments.commands.init import init_environments

        refuse_options(arguments, OF_TIME, why)
        lines = init_environments(arguments)
    elif arguments.kind == "time":
        from weightcast.environments.commands.init import OF_TABLES
        from weightcast.evolution.commands.init import init_time

        # --state here says what kind of numbers there are.
        refuse_options(arguments, [*OF_ENVIRONMENTS, *_without(OF_TABLES, ["--state"])], why)
        _check_time(arguments)
        lines = init_time(arguments)
    else:
        from weightcast.environments.commands.init import OF_TABLES
        from weightcast.families.commands.init import OPTIONS, init_family

        refuse_options(arguments, _without([*OF_ENVIRONMENTS, *OF_TABLES], OPTIONS), why)
        if len(arguments.data) != 1:
            raise InputError(f"--data: found {len(arguments.data)} paths, expected one folder or one file{why}")
        lines = init_family(arguments)
    print(*lines, sep="\n")
    print(f"wrote {arguments.output}; see what it would run with: weightcast check --config {arguments.output}")


def _without(options: Sequence[str], others: Sequence[str]) -> list[str]:
    return [option for option in options if option not in others]


def _check_time(arguments: argparse.Namespace) -> None:
    """Make single values of what long tables may have several of.

    Raises:
        InputError: there are several, or the state is of another kind.
    """
    if len(arguments.data) != 1:
        raise InputError(f"--data: found {len(arguments.data)} files, expected one with --kind time")
    (arguments.data,) = arguments.data
    if arguments.state is not None:
        if len(arguments.state) != 1 or arguments.state[0] not in STATES:
            raise InputError(f"--state: found {' '.join(arguments.state)}, expected counts or real with --kind time")
        (arguments.state,) = arguments.state


def _default_name(data: list[Path]) -> str:
    """What the folder or file is called; what the names of several begin with."""
    from weightcast.records.files import stem_of

    stems = [stem_of(path.resolve()) for path in data]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))
    return stems[0] if len(stems) == 1 else "".join(letters[0] for letters in alike).rstrip("-_. ")
