"""``weightcast check``: whether a study can run, and what it would do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from weightcast.cli.warnings_on_stderr import warn
from weightcast.config.study import Study, load_study
from weightcast.environments.table import EnvironmentTable, read_environments
from weightcast.plan import (
    WEIGHT_MAPS,
    check_plan,
    expert_shards,
    planned_jobs,
    recorded_environments,
    reference_shards,
)

# torch, xarray and what needs them are imported where they are used: a mistake in a configuration shows at once.

BYTES_OF_A_NUMBER = 4
SHOWN_NAMES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default=Path("config.yaml"), type=Path, metavar="FILE", help="default: config.yaml")
    parser.add_argument("--no-timing", action="store_true", help="do not measure how long a run would take here")


def run(arguments: argparse.Namespace) -> None:
    study = load_study(arguments.config)
    table = read_environments(study.environments)
    check_plan(study, table)

    from weightcast.cli.predictor_facts import predictor_facts
    from weightcast.cli.source_data import check_source

    for warning in check_source(study, table, arguments.config):
        warn(warning)
    if not table.unseen:
        warn(f"{table.path}: column role: found no unseen environment: nothing tells how well generated weights work")
    facts = predictor_facts(study, arguments.config)

    _print("study", f"{study.study}: {arguments.config} is in order")
    _print("environments", *_environments(table))
    _print("data", *_data(study))
    _print("predictor", f"{study.predictor.kind}, {facts.weights:,} weights, {facts.nodes} nodes in its weight graph")
    _print("experts", *_experts(study, table))
    _print("generator", *_generator(study))
    jobs = planned_jobs(study, table)
    _print("jobs", f"{sum(jobs.values())}", *(f"{count:4d} {rule}" for rule, count in jobs.items()))
    _print("storage", *_storage(study, table, facts.weights, facts.generator_numbers))
    if not arguments.no_timing:
        _print("cost", *_cost(study, table))
    _print("results", *_results(study, table))


def _print(subject: str, *lines: str) -> None:
    """A subject and its lines, the first beside it."""
    for number, line in enumerate(lines):
        print(f"{subject if number == 0 else '':14s}{line}")


def _environments(table: EnvironmentTable) -> Iterator[str]:
    roles = f"{len(table.visible)} visible, {len(table.interpolation)} interpolation, {len(table.extrapolation)} extrapolation"
    yield f"{len(table)} in {table.path}: {roles}"
    visible = table.parameter_array([environment.id for environment in table.visible])
    for name, low, high in zip(table.parameter_names, visible.min(0), visible.max(0), strict=True):
        yield f"{name} visible from {low:g} to {high:g}"


def _data(study: Study) -> Iterator[str]:
    data, counts = study.data, study.data.trajectories
    yield f"{data.source}{f' files in {data.directory}' if data.imported else ''}"
    yield f"channels {', '.join(data.channels)} on a grid of {data.grid[0]} x {data.grid[1]} points (y, x)"
    yield (
        f"{counts.total} trajectories of each environment ({counts.train} train, {counts.validation} validation, "
        f"{counts.test} test)"
    )
    yield f"{data.frames} frames each, of which training sees {data.trained_frames}; forecasts up to {max(study.evaluation.horizons)} frames"


def _experts(study: Study, table: EnvironmentTable) -> Iterator[str]:
    visible, members = len(table.visible), study.zoo.members
    yield f"from {len(study.zoo.bases)} bases ({', '.join(study.zoo.bases)}), of each:"
    yield f"{visible * members} of visible environments, {members} members each, in {_shards(expert_shards(study, table))}"
    if table.unseen:
        yield f"{len(table.unseen)} of unseen environments, for reference, in {_shards(reference_shards(study, table))}"


def _shards(shards: dict[str, list[str]]) -> str:
    return f"{len(shards)} shard{'s' if len(shards) > 1 else ''} of up to {max(map(len, shards.values()))} environments"


def _generator(study: Study) -> Iterator[str]:
    settings = study.generator
    yield f"{len(settings.arms)} arms x {len(settings.seeds)} seeds"
    for name, arm in settings.arms.items():
        yield f"{name}: from the base {arm.base}{', then end to end' if arm.end_to_end else ''}"


def _storage(study: Study, table: EnvironmentTable, weights: int, generator_numbers: dict[str, int]) -> Iterator[str]:
    """Of what grows with a study; small files are left out."""
    data = study.data
    numbers = data.trajectories.total * data.frames * len(data.channels) * data.grid[0] * data.grid[1]
    yield f"{_size(len(table) * numbers)} trajectories in {study.trajectories}"
    experts = study.zoo.members * len(table.visible) + len(table.unseen)
    # An expert lies in the cache of its environment, in its shard and in the gathered zoo.
    yield f"{_size(3 * len(study.zoo.bases) * experts * weights)} experts in {study.results}"
    # A VAE alone, with a diffusion, and both again if they are tuned end to end.
    stages = sum(generator_numbers[name] * (2 + arm.end_to_end) for name, arm in study.generator.arms.items())
    yield f"{_size(len(study.generator.seeds) * stages)} generators in {study.results}, or somewhat less"


def _size(numbers: float) -> str:
    size = numbers * BYTES_OF_A_NUMBER
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            break
    return f"{size:.3g} {unit}"


def _cost(study: Study, table: EnvironmentTable) -> Iterator[str]:
    from weightcast.cli.cost import estimate_seconds
    from weightcast.cli.step_times import measure_step_times

    seconds = estimate_seconds(study, table, measure_step_times(study, table))
    yield f"about {_minutes(sum(seconds.values()))} core-minutes on this machine"
    for part, spent in seconds.items():
        yield f"{_minutes(spent):>8s} {part}"


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:,.0f}" if minutes >= 10 else f"{minutes:.1f}"


def _results(study: Study, table: EnvironmentTable) -> Iterator[str]:
    """What the bases that are there were trained on, and what they have not seen."""
    visible = [environment.id for environment in table.visible]
    recorded = {name: environments for name in WEIGHT_MAPS if (environments := recorded_environments(study, name))}
    if not recorded:
        yield f"no base in {study.results} yet: they will be trained on all {len(visible)} visible environments"
    for name, environments in recorded.items():
        gone = [id for id in environments if id not in visible]
        new = [id for id in visible if id not in environments]
        yield f"{study.results}/base/{name} was trained on {len(environments)} visible environments: {_some(environments)}"
        if gone:
            yield f"note: {_some(gone)} no longer visible: {name} will be trained again, on all {len(visible)}"
        elif new:
            yield (
                f"note: {_some(new)} new in the table: {name} is kept; "
                f"delete {study.results}/base to train on all {len(visible)}"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more
