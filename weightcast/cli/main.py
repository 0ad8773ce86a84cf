"""The command line: ``weightcast <command>``. A command is a module beside this one, imported when it is asked for."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from weightcast import __version__
from weightcast.cli.errors import exit_on_input_error, one_line_for_files

# Each module has `add_arguments(parser)` and `run(arguments)`. Named here rather than found, so that `--help` and a
# command that needs no torch do not wait for those that do.
COMMANDS = {
    "check": ("weightcast.cli.check", "check a study's configuration and data, and print its plan"),
    "init": ("weightcast.cli.init", "write a configuration for data of your own"),
    "run": ("weightcast.cli.run", "run a study, from its data to its report, in any folder"),
    "schema": ("weightcast.cli.schema", "print the JSON schema of configurations"),
    "inspect": ("weightcast.cli.inspect_artifact", "show what an artifact (.safetensors) is and where it comes from"),
    "generate": ("weightcast.environments.commands.generate", "generate predictors for an environment"),
    "forecast": (
        "weightcast.environments.commands.forecast",
        "roll generated predictors out from initial frames",
    ),
    "evolve": ("weightcast.cli.evolve", "draw samples of an evolving distribution at any times"),
    "zoo": ("weightcast.cli.zoo", "publish the experts of a study, or begin a study from published ones"),
    "compare": ("weightcast.cli.compare", "show the methods of several finished studies side by side"),
}


class _Parser(argparse.ArgumentParser):
    """Ends in one line on wrong usage, like every other error here."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"weightcast: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        argv: without the program's name; None: the process's own.

    Raises:
        SystemExit: 1 for input that cannot be used, 2 for wrong usage, each with one line on stderr.
    """
    argv = _with_negative_lists(sys.argv[1:] if argv is None else list(argv))
    arguments = _parser(argv).parse_args(argv)
    try:
        with exit_on_input_error(), one_line_for_files():
            arguments.run(arguments)
            sys.stdout.flush()  # a reader that has gone shows here, not while the interpreter ends
    except BrokenPipeError:  # the output went to `head` or a pager that was closed: enough was read
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None  # as a shell reports a process that SIGPIPE ended
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _with_negative_lists(argv: Sequence[str]) -> list[str]:
    """Lists and slices of numbers that begin with a minus are joined with their option, ``--times -5:50:5``.

    argparse takes them for options, though it takes a plain negative number for a value.
    """
    joined: list[str] = []
    for word in argv:
        if joined and re.fullmatch(r"--[a-z][a-z-]*", joined[-1]) and re.match(r"-\.?\d[\d.eE+-]*[:,]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, in which only the command that ``argv`` names knows its arguments."""
    parser = _Parser(
        prog="weightcast", description="Model how the weights of trained networks vary across environments and time."
    )
    parser.add_argument("--version", action="version", version=f"weightcast {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, (location, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == chosen:
            module = import_module(location)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    main()
