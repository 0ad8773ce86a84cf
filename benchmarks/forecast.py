"""How near the forecast of ``weightcast check`` is to a run: stage by stage, beside what Snakemake noted of the run.

``python benchmarks/forecast.py [CONFIG] [--benchmarks FOLDER]``, from the folder in which the study was run, on a
machine that does nothing else. What the run noted is not used for the forecast: every kind of job is rehearsed. Jobs
of which Snakemake notes nothing (those that take a second or two) are left out of the comparison on both sides.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.cost.forecast import Forecast, benchmark_seconds, forecast
from weightcast.cost.jobs import planned_jobs
from weightcast.environments.config.study import Study
from weightcast.studies import parse_any_study


@dataclass(frozen=True)
class Compared:
    """Of one stage: jobs that were noted, and their seconds as forecast and as noted."""

    jobs: int
    forecast: float
    noted: float


def compare(found: Forecast, results: Path, benchmarks: Path) -> dict[str, Compared]:
    """Stages of a forecast beside the files of a run.

    Args:
        found: the forecast.
        results: folder of the study's results, as the jobs name it.
        benchmarks: folder with the run's files.
    """
    stages: dict[str, Compared] = {}
    for planned, work in zip(found.jobs, found.work, strict=True):
        if planned.benchmark is None:
            continue
        noted = benchmark_seconds(benchmarks / planned.benchmark.relative_to(results / "benchmarks"))
        if noted is not None:
            before = stages.get(planned.rule, Compared(0, 0.0, 0.0))
            stages[planned.rule] = Compared(before.jobs + 1, before.forecast + work.seconds, before.noted + noted)
    return stages


def table(stages: dict[str, Compared]) -> list[str]:
    """Lines: a stage each, and the sum."""
    whole = Compared(
        sum(stage.jobs for stage in stages.values()),
        sum(stage.forecast for stage in stages.values()),
        sum(stage.noted for stage in stages.values()),
    )
    lines = [f"{'stage':28s}{'jobs':>6s}{'forecast s':>12s}{'run s':>10s}{'ratio':>8s}"]
    for name, stage in (stages | {"all": whole}).items():
        ratio = stage.forecast / stage.noted
        lines.append(f"{name:28s}{stage.jobs:6d}{stage.forecast:12.1f}{stage.noted:10.1f}{ratio:8.2f}")
    return lines


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", type=Path, default=Path("config.yaml"))
    parser.add_argument("--benchmarks", type=Path, help="default: results/<study>/benchmarks")
    arguments = parser.parse_args()
    study = parse_any_study(read_yaml(arguments.config), arguments.config)
    environments = read_environments(study.environments) if isinstance(study, Study) else None
    jobs = planned_jobs([arguments.config])
    found = forecast(study, [arguments.config], environments, jobs, earlier=False)
    benchmarks = arguments.benchmarks or study.results / "benchmarks"
    stages = compare(found, study.results, benchmarks)
    if not stages:
        raise InputError(f"{benchmarks}: found no file of a job of this study, expected those of a run")
    print("\n".join([*table(stages), *(f"not forecast: {reason}" for reason in found.failed)]))


if __name__ == "__main__":
    main()
