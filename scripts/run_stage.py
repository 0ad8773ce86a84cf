"""Run one job of the pipeline: the stage, its settings, its inputs and outputs are told as one line of JSON.

Snakemake calls this for every job. By hand, a job is copied from what a failure prints, or from a job's log, whose
first line it is.
"""

from __future__ import annotations

import argparse
import logging
import sys

from weightcast.cli.errors import exit_on_input_error, one_line_for_files
from weightcast.core.interruption import listen
from weightcast.runner import run_job


@exit_on_input_error()
@one_line_for_files()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="JSON, or the path of a file that holds it")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:<number>; default: the study's")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(f"job: {arguments.job}", file=sys.stderr, flush=True)
    listen()
    run_job(arguments.job, arguments.device)


if __name__ == "__main__":
    main()
