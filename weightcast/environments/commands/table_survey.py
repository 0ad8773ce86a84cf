"""What a long table of the user's holds, as ``weightcast init`` finds it, and the study that it makes of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from weightcast.core.console.options import refuse_options
from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.core.significance import FEWEST_PAIRS
from weightcast.environments.commands.chosen_gaps import ChosenGaps, choose_gaps
from weightcast.environments.commands.chosen_parts import choose_parts
from weightcast.environments.commands.chosen_transforms import choose_transforms, given_transforms
from weightcast.environments.commands.constants import check_constants
from weightcast.environments.commands.data_survey import NO_GRID, ChosenTransform, Pace, Survey
from weightcast.environments.commands.held_out import RANDOM, hold_out, stated_roles, statistics
from weightcast.environments.commands.history_choice import HISTORIES, HistoryChoice, choose_history
from weightcast.environments.commands.known_places import asked_columns
from weightcast.environments.commands.place_parameters import of_no_visible, place_parameters, read_with_places
from weightcast.environments.commands.record_parts import Division, divide
from weightcast.environments.commands.study_template import choose_trained_frames, most_history
from weightcast.environments.commands.table_layout import TableLayout, table_layout
from weightcast.environments.config.data import MOST_HISTORY, Known
from weightcast.environments.transform import Transform
from weightcast.records.calendar_inputs import CYCLE, calendar_values
from weightcast.records.cycle import find_cycle
from weightcast.records.doubtful_values import doubts
from weightcast.records.record import Records
from weightcast.records.settings import PartsOf
from weightcast.records.windows import PARTS, cut, training_values
from weightcast.trajectories.checks import check_not_negative

SHOWN_GAPS = 3
SHOWN_REASONS = 5
KNOWN: dict[Known, str] = {
    "horizon": "known over the horizon",
    "past": "known in the past alone",
    "constant": "constant in a place",
}


@dataclass(frozen=True)
class TableStudy:
    """A study of a long table.

    Attributes:
        table: of its environments, with roles.
        survey: what the template needs to know.
        files: of the data.
        settings: how the table is read and cut, without what is as by default.
        lines: what was found, a line each.
    """

    table: EnvironmentTable
    survey: Survey
    files: list[str]
    settings: dict[str, object]
    lines: list[str]


def survey_table(arguments: argparse.Namespace, path: Path) -> TableStudy:
    """Read a table to its end, and decide how it is cut and which places are held out.

    Args:
        arguments: of the command line.
        path: where the table of environments will lie.

    Raises:
        InputError: anything that cannot be used; the message names file, row and column.
    """
    if path.exists():
        raise InputError(
            f"{path}: exists already, expected no such file: init writes the roles of a table's places there"
        )
    asked_of_places = asked_columns(arguments.parameters, arguments.table)
    found = read_with_places(table_layout(arguments), arguments.table, asked_of_places)
    where, calendar = str(arguments.data[0]), list(dict.fromkeys(arguments.calendar or ()))
    states = len(found.layout.channels)
    asked = arguments.history
    if asked is not None and not 1 <= asked <= MOST_HISTORY:
        raise InputError(f"--history: found {asked}, expected 1 to {MOST_HISTORY}")
    told_parts = (arguments.frames, arguments.gap, arguments.validation_from, arguments.test_from)

    def with_gaps(records: Records, layout: TableLayout) -> ChosenGaps:
        return choose_gaps(arguments.gaps, records, layout, where, told_parts, asked or 1)

    found_parts = choose_parts(_asked_parts(arguments), found.layout, found.rows, with_gaps)
    layout, found_gaps = found_parts.layout, found_parts.gaps
    records, division, gaps = found_gaps.records, found_gaps.division, found_gaps.gaps

    def divided(history: int) -> Division:
        return divide(records, layout.settings, where, *told_parts, history, gaps)

    ids = [records.ids[place] for place in division.kept]
    trained = choose_trained_frames(division.frames)
    transformed = given_transforms(arguments.transform, layout.columns)
    for place, id in zip(division.kept, ids, strict=True):
        whole = records.values[place, :, :states, None, None].astype(np.float32)
        check_not_negative(
            Path(where), id, whole, layout.channels, {one: name for one, name in transformed.items() if name}
        )
    parameters, said_of_places = place_parameters(layout, records, ids, found.known)
    known = bool(parameters[ids[0]])
    features = (
        np.array([list(parameters[id].values()) for id in ids])
        if known
        else statistics(training_values(records, division.parts)[list(division.kept), :, :states])
    )
    wanted = arguments.held_out or [RANDOM]
    stated = None if found.known is None else found.known.given
    if stated is not None and stated.roles is not None:
        why = f": {stated.path} has a column role"
        refuse_options(arguments, ("--held-out", "--held-out-count", "--seed"), why)
        roles, chosen = stated_roles(stated.roles, ids, stated.path)
    else:
        roles, chosen = hold_out(ids, features, wanted, arguments.held_out_count, arguments.seed or 0)
    visible = [place for place, id in zip(division.kept, ids, strict=True) if roles[id] == "visible"]
    cycle = arguments.cycle
    if cycle is None and (records.calendar.kind == "numbers" or CYCLE in calendar):
        cycle = find_cycle(training_values(records, division.parts)[visible][..., :states])
    if cycle is not None:
        calendar = list(dict.fromkeys([*calendar, CYCLE]))
    dated = replace(records.calendar, cycle=cycle)
    calendar_values(dated, calendar, np.zeros(1, np.int64), where)  # times must be such that it can be said
    counts = division.counts
    pace, seen = Pace(), []
    for place, id in zip(division.kept, ids, strict=True):
        if roles[id] == "visible":
            numbers = (counts.train, counts.validation, counts.test)
            told = (division.frames, numbers, where, (), division.history, division.settings.repeated, gaps)
            windows = cut(records, place, division.parts[place], *told)
            check_constants(where, windows, layout.inputs)
            pace.see(windows.values[: counts.train, :, :states])
            seen.append(windows.values[: counts.train + counts.validation, :trained, :states, 0, 0])
    own = np.stack(seen).astype(np.float64)
    train, validation = own[:, : counts.train], own[:, counts.train :]
    transforms = choose_transforms(layout.channels, train, validation, transformed, _signed(layout, records, division))
    remembered = None
    if asked is None:
        said = calendar_values(dated, calendar, records.calendar_steps, where)
        remembered = choose_history(
            _seen(records, transforms, training_values(records, division.parts)[visible]),
            _known_of_steps(records, layout, said),
            visible,
            division.parts,
            choose_trained_frames(division.frames) - 1,
            most_history(division.frames),
        )
        division = _with_history(remembered.history, division, divided)
        ids = [records.ids[place] for place in division.kept]
    table = EnvironmentTable(
        tuple(Environment(id, parameters[id], roles[id]) for id in ids), tuple(parameters[ids[0]]), path
    )
    counts = division.counts
    survey = Survey(
        "table",
        layout.channels,
        NO_GRID,
        (counts.total, counts.total),
        (division.frames, division.frames),
        counts,
        substeps=pace.substeps,
        inputs=layout.inputs,
        calendar=calendar,
        history=division.history,
        history_found="As --history says." if remembered is None else remembered.found,
        transforms=transforms,
        gaps=division.gaps,
    )
    by = " by their parameters" if known else " by mean, spread and correlation of their records"
    held = [id for id in ids if roles[id] != "visible"]
    lines = [
        *_found(layout, records),
        *found_parts.why,
        *_cut(records, division, found_gaps),
        f"held out are {listed(held)}: {chosen}{by if wanted == ['farthest'] else ''}",
        *_too_few(held),
        *found.lines,
        *said_of_places,
        *of_no_visible(parameters, [environment.id for environment in table.visible]),
        *_cycle(cycle, arguments.cycle is None, CYCLE in calendar),
        *_history(division.history, remembered),
        *(f"predictors see {one.words} (--transform)" for one in transforms if one.why),
        *_left(layout),
        *(f"warning: {line}" for line in doubts(records, states)),
    ]
    settings = division.settings.model_copy(update={"cycle": cycle}).model_dump(mode="json", exclude_defaults=True)
    return TableStudy(table, survey, list(map(str, arguments.data)), settings, lines)


def _asked_parts(arguments: argparse.Namespace) -> PartsOf | None:
    """What options say of the parts: times at which they begin are those of a calendar."""
    for option, value in (
        ("--validation-from", arguments.validation_from),
        ("--test-from", arguments.test_from),
    ):
        if value is not None and arguments.parts == "own":
            raise InputError(
                f"{option}: found {value} beside --parts own, expected one of them: each record has its own"
            )
        if value is not None:
            return "calendar"
    asked: PartsOf | None = arguments.parts
    return asked


def _signed(layout: TableLayout, records: Records, division: Division) -> list[str]:
    """Channels that are negative somewhere, be it in a place that is held out: a transform would be refused there."""
    values = records.values[list(division.kept)]
    return [name for number, name in enumerate(layout.channels) if bool((values[..., number] < 0).any())]


def _found(layout: TableLayout, records: Records) -> list[str]:
    calendar = records.calendar
    units = [f"{name} ({records.units.get(name, 'unit unknown')})" for name in records.channels]
    inputs = [
        f"{unit}, {KNOWN[known]}"
        for unit, known in zip(units[len(layout.channels) :], layout.inputs.values(), strict=True)
    ]
    missing = np.isnan(records.values)
    within = [
        missing[place, begin:end].mean(axis=0) for place, (begin, end) in enumerate(records.spans)
    ]  # [place][channel]
    worst = sorted(range(len(within)), key=lambda place: -float(within[place].max()))[:SHOWN_GAPS]
    shares = [
        f"{100 * share:.1f} % of {name}" for name, share in zip(records.channels, np.mean(within, axis=0), strict=True)
    ]
    most = [f"{records.ids[place]} {100 * within[place].max():.1f} %" for place in worst if within[place].max() > 0]
    lengths = records.spans[:, 1] - records.spans[:, 0]
    shorter = np.flatnonzero(lengths < records.steps)
    files = listed(list(map(str, layout.paths)), 3)
    first, last = records.calendar_steps[:, 0].min(), (records.calendar_steps[:, 0] + records.spans[:, 1]).max() - 1
    steps = str(records.steps) if records.begins is None else _range(lengths)
    lines = [
        f"found a {layout.settings.layout} table in {files}: {len(records.ids)} places, "
        f"{steps} steps of {calendar.words} from {calendar.label(first)} to {calendar.label(last)}",
        f"channels {', '.join(units[: len(layout.channels)])}",
        *([f"inputs {', '.join(inputs)}"] if inputs else []),
        f"missing within records: {', '.join(shares)}" + (f"; most in {', '.join(most)}" if most else ""),
    ]
    if len(shorter) and records.begins is None:
        spans = [
            f"{records.ids[place]} ({records.label(place, int(records.spans[place, 0]))} to "
            f"{records.label(place, int(records.spans[place, 1]) - 1)})"
            for place in map(int, shorter)
        ]
        lines.append(f"shorter records: {listed(spans, SHOWN_GAPS)}")
    return [*lines, *records.notes]


def _cut(records: Records, division: Division, gaps: ChosenGaps) -> list[str]:
    windows, own = division.windows, list(division.kept)
    kept, possible = windows.found[own], int(windows.possible[own].sum())
    lost = possible - int(kept.sum())
    counts = division.counts
    alike = bool((kept == kept[0]).all())
    fewest = records.ids[division.kept[int(kept[:, 0].argmin())]]
    how = f"as many as the place with the fewest ({fewest}), of others evenly spread ones"
    if division.settings.repeated:
        short = [records.ids[place] for place, own in zip(division.kept, kept, strict=True) if own[0] < counts.train]
        how = f"as many as half of them have; with fewer to train, which come more than once: {listed(short)}"
    lacking = "without gaps" if division.gaps is None else f"with {division.gaps.words} (--gaps)"
    lines = [
        f"cut into windows of {division.steps} steps {lacking}, in time: {_spans(records, division)}, "
        f"{division.settings.gap} steps between",
        f"{lost} of {possible} windows are left out for missing values; every "
        f"place has {counts.train} windows to train, {counts.validation} to make choices, {counts.test} to test"
        + ("" if alike else f": {how}"),
    ]
    return [*lines, *gaps.lines(division), *_left_out(division)]


def _left_out(division: Division) -> list[str]:
    """Of many places the first few with their reasons."""
    reasons = [f"left out is {id}: {reason}" for id, reason in division.too_few.items()]
    more = list(division.too_few)[SHOWN_REASONS:]
    return [*reasons[:SHOWN_REASONS], *([f"left out for the like are {listed(more)}"] if more else [])]


def _spans(records: Records, division: Division) -> str:
    """When each part is; of records on times of their own how many steps it has."""
    parts = [division.parts[place] for place in division.kept]
    if records.begins is None:
        spans = [f"{records.calendar.label(begin)} to {records.calendar.label(end - 1)}" for begin, end in parts[0]]
    else:
        steps = np.array([[end - begin for begin, end in own] for own in parts])
        spans = [f"{_range(column)} steps" for column in steps.T]
    return ", ".join(f"{name} {span}" for name, span in zip(PARTS, spans, strict=True))


def _range(lengths: NDArray[np.int64]) -> str:
    least, most = int(lengths.min()), int(lengths.max())
    return str(least) if least == most else f"{least} to {most}"


def _too_few(held: list[str]) -> list[str]:
    if len(held) >= FEWEST_PAIRS:
        return []
    return [f"{len(held)} held-out places are too few for paired tests, which need {FEWEST_PAIRS} (--held-out-count)"]


def _cycle(cycle: int | None, found: bool, used: bool) -> list[str]:
    if not used:
        return []
    how = ", found by the autocorrelation of visible places" if found else ""
    return [f"records come again after {cycle} steps{how}: predictors are told where in this cycle they are (--cycle)"]


def _seen(records: Records, transforms: Sequence[ChosenTransform], trained: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is forecast of records [place, step, channel] as predictors see it, through transforms that are fitted to
    what they train on [place, step, channel]."""
    values = records.values[..., : len(transforms)].copy()
    for number, chosen in enumerate(transforms):
        if chosen.name is not None:
            transform = Transform.of(chosen.name, torch.from_numpy(trained[..., number]))
            values[..., number] = transform.apply(torch.from_numpy(values[..., number])).numpy()
    return values


def _known_of_steps(records: Records, layout: TableLayout, said: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is known of the step from each on [place, step, number]: inputs that are known over the horizon where it
    begins and where it ends, and what the calendar says [place, step, number]."""
    columns = [place for place, known in enumerate(layout.inputs.values(), len(layout.channels)) if known == "horizon"]
    begins = records.values[..., columns]
    return np.concatenate([begins, np.roll(begins, -1, axis=1), said], axis=-1)


def _with_history(history: int, division: Division, divided: Callable[[int], Division]) -> Division:
    """Longer windows, as far as the same places have them: who is visible has been decided."""
    for shorter in sorted((one for one in HISTORIES if 1 < one <= history), reverse=True):
        try:
            longer = divided(shorter)
        except InputError:
            continue
        if longer.frames == division.frames and longer.kept == division.kept:
            return longer
    return division


def _history(history: int, choice: HistoryChoice | None) -> list[str]:
    if choice is None:
        return []
    if history < choice.history:
        return [f"{choice.words}; here {history}, since records are too short for windows with more"]
    return [choice.words]


def _left(layout: TableLayout) -> list[str]:
    if not layout.unused:
        return []
    return [f"columns of numbers that are not used: {listed(layout.unused)} (further --state, or --parameters)"]
