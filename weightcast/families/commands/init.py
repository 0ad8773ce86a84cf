"""``weightcast init --kind environments-time``: samples of many environments, and what is known of these."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from weightcast.core.categories import parameters_of, unseen_categories
from weightcast.core.environment_table import Environment, EnvironmentTable, Role
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.given_table import GivenTable, read_given_table
from weightcast.core.names import listed
from weightcast.environments.commands.parameter_scale import logarithmic_parameters
from weightcast.evolution.commands.sample_choices import are_whole
from weightcast.evolution.commands.snapshot_words import suggested_growth
from weightcast.evolution.commands.source_file import refuse_own_file
from weightcast.families.commands.environment_columns import cells_of_columns
from weightcast.families.commands.environment_roles import roles_of
from weightcast.families.commands.family_choices import FamilyChoices, choose_for_family
from weightcast.families.commands.found_samples import FoundSamples, find_samples, is_kind_of_state
from weightcast.families.commands.study_template import fill_family_template
from weightcast.families.config.load import check_family_table, parse_family_study
from weightcast.families.gathering import split_family
from weightcast.families.scorable import check_cases
from weightcast.samples.record import TimedSamples

OPTIONS = ("--environment", "--time", "--state", "--parameters", "--held-out", "--held-out-count", "--seed",
           "--leave-out", "--table", "--quick")  # fmt: skip
"""Options of other kinds that this one takes as well; and all of studies across time."""
SHOWN = 6


def init_family(arguments: argparse.Namespace) -> list[str]:
    """Write the configuration, and a table of environments beside it unless a complete one is given.

    Returns:
        what was found and chosen, a line each.

    Raises:
        InputError: the data or the table cannot be used. Nothing is written then.
    """
    found = find_samples(arguments)
    given = None if arguments.table is None else read_given_table(arguments.table, found.samples).check_whole()
    found, notes = _of_table(found, given)
    parameters, said = _parameters(found, given, arguments)
    table, how = _table(found, given, parameters, arguments)
    kind: Any = arguments.state[0] if is_kind_of_state(arguments.state) else None
    choices = choose_for_family(found.samples, table, kind)
    text = fill_family_template(arguments.name, found, table, choices, arguments.output, bool(arguments.quick))
    study = parse_family_study(yaml.safe_load(text), arguments.output)
    check_family_table(study, table, arguments.output)
    refuse_own_file(found.path, study.snapshots, "--data")
    snapshots = split_family(found.samples, study.data, table, study.seed)  # refuses what a study could not run with
    beyond = check_cases(study, snapshots, table)
    written = given is None or table.path != given.path
    if written:
        table.save(table.path)
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    visible = [environment.id for environment in table.visible]
    taken = tuple(f"column {name} is not used:" for name in arguments.parameters or ())
    read = [note for note in found.notes if not note.startswith(taken)]
    return [
        f"found {found.format} data in {found.path}",
        *_describe(found),
        *(f"note: {note}" for note in (*read, *notes, *said)),
        *(f"note: {name}: of no visible environment" for name in unseen_categories(parameters, visible)),
        *(f"note: {line}" for line in beyond),
        *_scales(table),
        *_chosen(choices, found),
        f"roles: {how}; {len(visible)} visible, {len(table.interpolation)} inside, {len(table.extrapolation)} outside",
        *([f"wrote {table.path}: change its column role where you know better"] if written else []),
    ]


def _of_table(found: FoundSamples, given: GivenTable | None) -> tuple[FoundSamples, list[str]]:
    """The samples of the environments that a given table has, in its order."""
    if given is None:
        return found, []
    for id in given.cells:
        if id not in found.samples:
            raise InputError(
                f"{given.path}: column {given.column}: found {id!r}, of which {found.path} has no samples, expected "
                f"some of {listed(list(found.samples))}"
            )
    others = [id for id in found.samples if id not in given.cells]
    note = [f"not in {given.path}, and not used: {listed(others, SHOWN)}"] if others else []
    if given.absent:
        note.append(f"rows of {given.path} without samples, and not used: {listed(given.absent, SHOWN)}")
    kept = found.without(others)
    return FoundSamples(**(vars(kept) | {"samples": {id: found.samples[id] for id in given.cells}})), note


def _parameters(
    found: FoundSamples, given: GivenTable | None, arguments: argparse.Namespace
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Of each environment, from the given table or from columns of the samples' file; and lines."""
    names = arguments.parameters or []
    if given is not None and names:
        raise InputError(f"--parameters: found {listed(names)} beside --table, expected one of them")
    if given is not None:
        return parameters_of(given.cells, given.names)
    return parameters_of(cells_of_columns(found, names), names) if names else ({id: {} for id in found.samples}, [])


def _table(
    found: FoundSamples,
    given: GivenTable | None,
    parameters: dict[str, dict[str, float]],
    arguments: argparse.Namespace,
) -> tuple[EnvironmentTable, str]:
    """The table of environments, and how its roles came to be."""
    beside = arguments.output.with_name(f"{arguments.output.stem}-environments.csv")
    names = tuple(next(iter(parameters.values()), {}))
    roles: dict[str, Role]
    if given is not None and given.roles is not None:
        for option in ("held_out", "held_out_count", "seed"):
            if getattr(arguments, option) is not None:
                raise InputError(
                    f"--{option.replace('_', '-')}: found it, expected none: {given.path} has a column role"
                )
        roles, how = given.roles, f"as {given.path} has them"
        path = given.path if set(names) == set(given.names) and given.as_is else _free(beside, arguments.force)
    else:
        roles, how = roles_of(found.samples, parameters, arguments)
        path = _free(beside, arguments.force)
    rows = tuple(Environment(id, parameters[id], roles[id]) for id in found.samples)
    return EnvironmentTable(rows, names, path), how


def _free(path: Path, force: bool) -> Path:
    """A place for a table, at which there is none, or one that may be overwritten as the configuration may.

    Raises:
        InputError: there is.
    """
    if path.exists() and not force:
        raise InputError(f"{path}: exists already, expected --table {path} to use it, or --force to write a new one")
    return path


def _describe(found: FoundSamples) -> list[str]:
    """Environments, times, samples, dimensions and values, a line each."""
    samples = list(found.samples.values())
    first = samples[0].times
    times = [len(one.times) for one in samples]
    same = all(len(one.times) == len(first) and (one.times == first).all() for one in samples)
    whole = f"{min(one.times[0] for one in samples):g} to {max(one.times[-1] for one in samples):g}"
    unit = f" ({samples[0].time_unit})" if samples[0].time_unit else ""
    how = ", ".join(f"{key} {value}" for key, value in found.settings.items())
    numbers = [len(values) for one in samples for values in one.samples]
    rows = "trajectories, the same at every time" if _paired(samples) else "samples at each time"
    low, high = found.range
    return [
        f"{len(samples)} environments: {listed(list(found.samples), SHOWN)}",
        f"{_range(times)} times of each, from {whole}{unit}" + (", the same in all" if same else ", their own"),
        f"{_range(numbers)} {rows}" + (f" ({how})" if how else ""),
        f"{len(found.dimensions)} dimensions: {listed(found.dimensions, SHOWN)}; values from {low:.6g} to {high:.6g}",
        *_may_grow(samples),
    ]


def _may_grow(samples: list[TimedSamples]) -> list[str]:
    """A line where numbers of samples look like sizes of populations in most environments."""
    growing = sum(bool(suggested_growth(one)) for one in samples)
    if 2 * growing <= len(samples):
        return []
    return [
        f"numbers of samples rise or fall steadily in {growing} of {len(samples)} environments: if they are sizes of "
        "populations, set data.mass: samples"
    ]


def _paired(samples: list[TimedSamples]) -> bool:
    return all(one.trajectories for one in samples)


def _scales(table: EnvironmentTable) -> list[str]:
    """The parameters, and on which scale methods see them."""
    if not table.parameter_names:
        return ["parameters: none: nothing is told them"]
    logarithmic = logarithmic_parameters(table)
    scales = [f"{name} {'logarithmic' if name in logarithmic else 'linear'}" for name in table.parameter_names]
    return [f"parameters, on the scale that visible values speak for: {', '.join(scales)}"]


def _chosen(choices: FamilyChoices, found: FoundSamples) -> list[str]:
    state = "real"
    if choices.states is not None:
        state = f"counts, states {choices.states} (0 to {choices.states - 1})"
    elif found.range[0] >= 0 and all(are_whole(one) for one in found.samples.values()):
        state += f" (whole numbers up to {found.range[1]:g}; --state counts gives each a probability of its own)"
    first = next(iter(choices.shown.values()))
    at = f"at {listed([f'{time:g}' for time in first['times']])}" if "times" in first else (
        f"of the first {first['snapshots']} snapshots"
    )  # fmt: skip
    sizes = " or ".join(str(case["samples"]) for case in choices.shown.values())
    return [
        f"state: {state}; held out for the evaluation: {choices.held_out:.0%}",
        f"codes of {choices.code} numbers, {choices.rank} directions, densities of width {choices.hidden}; "
        f"{choices.left_out} visible environments are left out once to choose",
        f"shown of a new environment: {sizes} samples {at}; later times are scored",
    ]


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"
