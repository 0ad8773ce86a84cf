"""Run one job of the pipeline: the stage, its settings, its inputs and outputs are told as one line of JSON.

Snakemake calls this for every job. By hand, a job is copied from what a failure prints, or from a job's log, whose
first line it is. With --processes several processes of this machine share the trainings of a job; it is the same as
`torchrun --standalone --nproc-per-node N scripts/run_stage.py JOB`, but for what is said of errors.
"""

from __future__ import annotations

import argparse
import logging
import sys

from weightcast.cli.errors import exit_on_input_error, one_line_for_files
from weightcast.core.interruption import listen
from weightcast.core.launch import launch
from weightcast.core.processes import Processes
from weightcast.runner import count_processes, run_job


@exit_on_input_error()
@one_line_for_files()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="JSON, or the path of a file that holds it")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:<number>; default: the study's")
    parser.add_argument(
        "--processes",
        type=_number_or_auto,
        default=1,
        help="that share the job's trainings: a number, or auto, one for each GPU; default: 1",
    )
    arguments = parser.parse_args()
    processes = Processes.started()
    if processes.alone:
        print(f"job: {arguments.job}", file=sys.stderr, flush=True)
    listen()
    if processes.alone and (count := count_processes(arguments.job, arguments.processes, arguments.device)) > 1:
        device = [] if arguments.device is None else ["--device", arguments.device]
        launch([__file__, arguments.job, *device], count)
        return
    logging.basicConfig(level=logging.INFO if processes.leads else logging.CRITICAL, format="%(message)s")
    with processes.speaking():
        run_job(arguments.job, arguments.device, processes)


def _number_or_auto(text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 or more, or auto")
    return int(text)


if __name__ == "__main__":
    main()
