"""``weightcast check``: whether a study can run, and what it would do."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.console.warning import warn
from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.environments.config.study import parse_study
from weightcast.environments.plan import check_plan
from weightcast.studies import kind_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default=Path("config.yaml"), type=Path, metavar="FILE", help="default: config.yaml")
    parser.add_argument("--no-timing", action="store_true", help="do not measure how long a run would take here")
    parser.add_argument(
        "--gpu-rate",
        type=float,
        metavar="TFLOPS",
        help="what a GPU sustains in float32, to project large studies on it; default: 30 %% of an NVIDIA A100's peak",
    )


def run(arguments: argparse.Namespace) -> None:
    rate = arguments.gpu_rate
    if rate is not None and not 0 < rate < math.inf:
        raise InputError(f"--gpu-rate: found {rate:g}, expected a number above 0")
    config = read_yaml(arguments.config)
    if kind_of(config, arguments.config) == "time":
        if rate is not None:
            raise InputError(f"--gpu-rate: found {rate:g}, expected none: {arguments.config} is a study across time")
        from weightcast.evolution.commands.check import check_time_study

        subjects = check_time_study(config, arguments.config, timing=not arguments.no_timing)
    else:
        subjects = _check_environments(config, arguments)
    print(f"{arguments.config} is in order.\n")
    for subject, lines in subjects.items():
        for number, line in enumerate(lines):
            print(f"{subject if number == 0 else '':14s}{line}")


def _check_environments(config: dict[str, Any], arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Check a study across environments; its plan, subject by subject."""
    study = parse_study(config, arguments.config)
    table = read_environments(study.environments)
    check_plan(study, table)

    # What follows needs torch and xarray: imported here, so that a mistake in a configuration shows at once.
    from weightcast.environments.commands.source_data import check_source
    from weightcast.environments.commands.study_plan import describe_cost, describe_plan
    from weightcast.environments.commands.untrained import check_predictor

    check_predictor(study, arguments.config)
    for warning in check_source(study, table, arguments.config):
        warn(warning)
    if not table.unseen:
        warn(f"{table.path}: column role: found no unseen environment: nothing would tell how well generation works")

    subjects = describe_plan(study, table)
    if not arguments.no_timing:
        subjects |= describe_cost(study, table, arguments.gpu_rate)
    return subjects
