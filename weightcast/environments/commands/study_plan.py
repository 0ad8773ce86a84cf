"""The plan of a study in words, subject by subject, as ``weightcast check`` prints it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.names import listed
from weightcast.environments.commands.untrained import untrained_generator, untrained_predictor
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.jobs import Plan
from weightcast.environments.memory import LEAST_MB, largest_jobs, unbounded_mb
from weightcast.environments.plan import (
    expert_shards,
    finetuned_maps,
    recorded_environments,
    reference_shards,
    regressions,
)

BYTES_OF_A_NUMBER = 4
SHOWN_NAMES = 4
LARGEST_JOBS = 3
"""Stages of which it is said how much memory their jobs ask for."""

Lines = list[str]


def describe_plan(study: Study, table: EnvironmentTable, every_job: bool = False) -> dict[str, Lines]:
    """What the study would compute, where it would lie, and what is there already.

    Args:
        study: checked.
        table: of its environments.
        every_job: whether the memory of all stages' jobs is told, and not of the largest alone.
    """
    graph = untrained_predictor(study).graph
    return {
        "study": [study.study],
        "environments": _environments(study, table),
        "data": _data(study),
        "predictor": [f"{study.predictor.kind}: {graph.num_parameters:,} weights, {graph.num_nodes} nodes"],
        "experts": _experts(study, table, graph.num_parameters),
        "generator": _generator(study),
        "storage": _storage(study, table, graph.num_parameters),
        "memory": _memory(study, table, every_job),
        "results": _results(study, table),
    }


def _environments(study: Study, table: EnvironmentTable) -> Lines:
    roles = {"visible": table.visible, "interpolation": table.interpolation, "extrapolation": table.extrapolation}
    counts = ", ".join(f"{len(environments)} {role}" for role, environments in roles.items())
    visible = table.parameter_array([environment.id for environment in table.visible])
    ranges = zip(table.parameter_names, visible.min(0), visible.max(0), strict=True)
    scales = dict.fromkeys(study.logarithmic_parameters, ", on a logarithmic scale")
    lines = [f"{name} visible from {low:g} to {high:g}{scales.get(name, '')}" for name, low, high in ranges]
    return [f"{len(table)} in {table.path}: {counts}", *(lines or ["no parameters known"])]


def _data(study: Study) -> Lines:
    data, counts = study.data, study.data.trajectories
    parts = f"{counts.train} train, {counts.validation} validation, {counts.test} test"
    unseen = counts.of_role("extrapolation")
    return [
        _source(data),
        f"channels {', '.join(data.channels)} on {data.grid[0]} x {data.grid[1]} points (y, x)",
        f"{counts.total} trajectories of each {'environment' if unseen == counts else 'visible environment'}: {parts}",
        *([] if unseen == counts else [f"{unseen.total} of each unseen one: {unseen.train} train, {unseen.test} test"]),
        f"{data.frames} frames of each trajectory, of which training sees {data.trained_frames}",
        *([f"of them {data.gaps.words}: trainings and scores leave out what is"] if data.gaps else []),
        *(
            [f"predictors see the last {data.history} frames: so many less one come before these"]
            if data.history > 1
            else []
        ),
        f"forecasts of up to {max(study.evaluation.horizons)} frames from the first, {study.trained_horizon} trained",
    ]


def _source(data: DataSettings) -> str:
    if data.source == "table":
        return f"table in {listed(data.files, 3)}"
    if data.source == "zoo":
        return "none: forecasts of the environments' own experts, from published sample states"
    return f"{data.source} files in {data.directory}" if data.imported else data.source


def _experts(study: Study, table: EnvironmentTable, weights: int) -> Lines:
    zoo, visible = study.zoo, len(table.visible)
    lines = [f"of {zoo.published}: none are trained"] if zoo.published else []
    lines += [
        f"from each of {len(zoo.bases)} bases ({', '.join(zoo.bases)})"
        if len(zoo.bases) > 1
        else f"from the base {zoo.bases[0]}",
        f"{visible * zoo.members} of visible environments, {zoo.members} each, {_shards(expert_shards(study, table))}",
    ]
    if table.unseen:
        unseen = f"{len(table.unseen)} of unseen environments, for reference alone"
        lines.append(f"{unseen}, {_shards(reference_shards(study, table))}")
    for trained in trained_maps(study).values():
        if trained.rivals:
            kinds = " or ".join(one.kind for one in (trained.weight_map, *(rival for rival, _ in trained.rivals)))
            lines.append(f"{trained.field} is {kinds}, as visible environments choose that are left out")
    numbers = visible * zoo.members * weights
    if numbers * BYTES_OF_A_NUMBER > 1e9 * study.memory:
        held = f"{_size(numbers).strip()}, more than memory: {study.memory:g} (GB)"
        lines.append(f"a zoo is {held}: its weights are read as they are needed")
    return lines


def _shards(shards: dict[str, list[str]]) -> str:
    number = "1 shard" if len(shards) == 1 else f"{len(shards)} shards"
    return f"in {number} of up to {max(map(len, shards.values()))} environments"


def _generator(study: Study) -> Lines:
    settings = study.generator
    if not settings.arms:
        return ["none: no arms, baselines and references alone"]
    arms = {name: ", then end to end" if arm.end_to_end else "" for name, arm in settings.arms.items()}
    return [
        f"{len(settings.arms)} arms, each with {len(settings.seeds)} seeds",
        *(f"{name}: from the base {settings.arms[name].base}{then}" for name, then in arms.items()),
    ]


def _storage(study: Study, table: EnvironmentTable, weights: int) -> Lines:
    """Of what grows with a study; small files are left out."""
    data = study.data
    frame = data.frames * len(data.channels) * data.grid[0] * data.grid[1]
    trajectories = sum(data.trajectories.of_role(environment.role).total for environment in table)
    experts = study.zoo.members * len(table.visible) + len(table.unseen)
    evaluated = evaluated_networks(study, table)
    generators = 0
    for name, arm in study.generator.arms.items():
        with torch.device("meta"):  # sizes alone: no memory, no random numbers
            generator = untrained_generator(study, table, name)
        vae, diffusion = (
            sum(parameter.numel() for parameter in part.parameters()) for part in (generator.vae, generator.diffusion)
        )
        generators += vae + (vae + diffusion) * (1 + arm.end_to_end)
    parts = [
        (trajectories * frame, f"trajectories in {study.trajectories}"),
        (len(study.zoo.bases) * experts * weights, f"experts in {study.results}, each in one file"),
        (len(study.generator.seeds) * generators, f"generators in {study.results}"),
        (evaluated * len(table) * weights, f"weights that are evaluated, in {study.results}"),
    ]
    lines = [f"{_size(numbers)} {what}" for numbers, what in parts]
    return [*lines, f"{_size(sum(numbers for numbers, _ in parts))} in all"]


def _memory(study: Study, table: EnvironmentTable, every_job: bool) -> Lines:
    """What bounds the memory of jobs, and what the largest of them ask for, or all."""
    plan = Plan(study, table)
    bound = f"at most {study.memory:g} GB of networks' weights, or of a training step, at once (memory)"
    if every_job:
        least = unbounded_mb(plan)
        rows = [
            f"{megabytes / 1e3:6.1f} GB {stage:26s}{_bounded(megabytes, least[stage])}"
            for stage, megabytes in largest_jobs(plan, len(least))
        ]
        return [bound, *rows, f"{LEAST_MB / 1e3:6.1f} GB all others"]
    jobs = [(stage, megabytes / 1e3) for stage, megabytes in largest_jobs(plan, LARGEST_JOBS)]
    asked = ", ".join(f"{gigabytes:.1f} GB {stage}" for stage, gigabytes in jobs)
    return [bound, f"largest jobs: {asked} (of all: --memory)"]


def _bounded(asked: int, least: int) -> str:
    """How much of what a job asks for the key ``memory`` has a say in, both in megabytes."""
    if asked <= least:
        return "not bounded by memory"
    return "bounded by memory" if least <= LEAST_MB else f"{least / 1e3:.1f} GB of it not bounded by memory"


def evaluated_networks(study: Study, table: EnvironmentTable) -> int:
    """Networks that are kept and rolled out for every environment."""
    arms = study.generator.arms.values()
    generated = sum(1 + arm.end_to_end for arm in arms) * len(study.generator.seeds) * study.generator.samples
    latents = 2 * len(arms) * len(study.generator.seeds)  # experts encoded and decoded, and regression of latents
    # Networks trained on all environments together, fine-tuned bases, and of each zoo its regressions and One-per-Env.
    of_zoo = len(regressions(table)) + 1
    trained = len(trained_maps(study)) + len(finetuned_maps(study))
    return generated + latents + trained + of_zoo * len(study.zoo.bases)


def _results(study: Study, table: EnvironmentTable) -> Lines:
    """What the bases that are there were trained on, and what they have not seen."""
    visible = {environment.id: True for environment in table.visible}
    lines = []
    for name in trained_maps(study):
        recorded = recorded_environments(study, name)
        if not recorded:
            continue
        lines.append(f"base {name} was trained on {len(recorded)} visible environments: {_some(recorded)}")
        gone = [id for id in recorded if id not in visible]
        known = set(recorded)
        new = [id for id in visible if id not in known]
        if gone:
            lines.append(f"note: {_some(gone)} no longer visible: {name} will be trained again, on {len(visible)}")
        elif new:
            lines.append(
                f"note: {_some(new)} new in the table: {name} is kept, experts are trained from it; "
                f"delete {study.results}/base to train on all {len(visible)}"
            )
    if study.zoo.published:
        return [f"nothing in {study.results} but what is made of the experts of {study.zoo.published}"]
    return lines or [f"no base in {study.results} yet: trained on all {len(visible)} visible environments"]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def _size(numbers: float) -> str:
    size = numbers * BYTES_OF_A_NUMBER
    for unit, bytes in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= bytes:
            return f"{size / bytes:6.1f} {unit}"
    return f"{size / 1e3:6.1f} kB"
