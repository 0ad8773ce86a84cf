"""``weightcast check``: whether a study can run, what it would do, and what that would cost."""

from __future__ import annotations

import argparse
import math
from functools import reduce
from pathlib import Path

from weightcast.core.config.overlay import overlaid
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.console.warning import warn
from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.core.errors import InputError
from weightcast.environments.config.study import Study
from weightcast.environments.plan import check_packages, check_plan
from weightcast.evolution.config.study import TimeStudy
from weightcast.families.config.study import FamilyStudy
from weightcast.studies import AnyStudy, parse_any_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        nargs="+",
        default=[Path("config.yaml")],
        type=Path,
        metavar="FILE",
        help="configuration, and others that lie over it, as Snakemake takes them; default: config.yaml",
    )
    parser.add_argument(
        "--no-timing", action="store_true", help="do not plan the jobs, nor measure how long a run would take here"
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="how much memory the jobs of every stage ask for, and what of it the key memory does not bound",
    )
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
    # As Snakemake reads several: mappings merge, everything else is replaced. What is wrong is in one of them.
    config = Path(" + ".join(str(file) for file in arguments.config))
    study, table = parse_any_study(reduce(overlaid, map(read_yaml, arguments.config)), config), None
    if arguments.memory and not isinstance(study, Study):
        raise InputError(f"--memory: found it, expected none: {config} has a time axis, whose jobs have no such budget")
    if isinstance(study, TimeStudy):
        if rate is not None:
            raise InputError(f"--gpu-rate: found {rate:g}, expected none: {config} is a study across time")
        from weightcast.evolution.commands.check import check_time_study

        subjects = check_time_study(study, config)
    elif isinstance(study, FamilyStudy):
        if rate is not None:
            raise InputError(
                f"--gpu-rate: found {rate:g}, expected none: {config} is a study of environments across time"
            )
        from weightcast.families.commands.check import check_family_study

        table = read_environments(study.environments)
        subjects = check_family_study(study, table, config)
    else:
        table = read_environments(study.environments)
        subjects = _check_environments(study, table, config, arguments.memory)
    if not arguments.no_timing:
        subjects |= _jobs_and_cost(study, table, arguments)
    print(f"{config} is in order.\n")
    for subject, lines in subjects.items():
        for number, line in enumerate(lines):
            print(f"{subject if number == 0 else '':14s}{line}")


def _check_environments(study: Study, table: EnvironmentTable, config: Path, every_job: bool) -> dict[str, list[str]]:
    """Check a study across environments; its plan, subject by subject."""
    check_plan(study, table)
    check_packages(study)

    # What follows needs torch and xarray: imported here, so that a mistake in a configuration shows at once.
    from weightcast.environments.commands.source_data import check_source
    from weightcast.environments.commands.study_plan import describe_plan
    from weightcast.environments.commands.untrained import check_predictor

    check_predictor(study, config)
    for warning in check_source(study, table, config):
        warn(warning)
    if not table.unseen:
        warn(f"{table.path}: column role: found no unseen environment: nothing would tell how well generation works")
    return describe_plan(study, table, every_job)


def _jobs_and_cost(
    study: AnyStudy, table: EnvironmentTable | None, arguments: argparse.Namespace
) -> dict[str, list[str]]:
    """How many jobs Snakemake would run, and what they would cost."""
    from weightcast.cost.forecast import forecast
    from weightcast.cost.jobs import planned_jobs
    from weightcast.cost.words import describe_cost

    jobs = planned_jobs(arguments.config)
    found = forecast(study, arguments.config, table, jobs)
    return describe_cost(found, arguments.gpu_rate, gpu=isinstance(study, Study))
