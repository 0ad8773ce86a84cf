"""The results of a study across time as one offline page, its figures also as files."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.evolution.report.page import build_time_report


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="folder results/<study>")
    parser.add_argument("--snapshots", required=True, type=Path, help="the study's samples")
    parser.add_argument("--output", required=True, type=Path, help="the page")
    parser.add_argument("--figures", required=True, type=Path, help="folder for the figures")
    arguments = parser.parse_args()

    build_time_report(arguments.results, arguments.snapshots, arguments.output, arguments.figures)


if __name__ == "__main__":
    main()
