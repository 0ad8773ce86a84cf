"""What files of weather on a grid of latitudes and longitudes hold, and a study of regions cut out of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.environments.commands.data_survey import Survey
from weightcast.environments.commands.held_out import RANDOM, hold_out
from weightcast.environments.commands.record_parts import default_frames
from weightcast.environments.commands.study_template import choose_trained_frames, split_trajectories
from weightcast.environments.config.data import TrajectoryCounts
from weightcast.era5.layouts import layout_of, open_sources
from weightcast.era5.layouts.source import Source
from weightcast.era5.read import find_files
from weightcast.era5.variables import SPEEDS
from weightcast.records.step_calendar import DAY, StepCalendar

SIDES = (32, 24, 16, 12, 8, 6, 4)
"""Points along a side of a region, of which the most are taken that leave enough regions."""
ENOUGH_REGIONS = 12
FEWEST_REGIONS = 3
MOST_REGIONS = 48
ENOUGH_TRAJECTORIES = 10
FEWEST_TRAJECTORIES = 3
FEWEST_FRAMES = 5
FURTHER = ("number", "expver", "realization", "surface", "heightaboveground", "level", "height")
"""Dimensions that files of weather have beside time and place, of length 1 or merged when they are read."""
EVEN = 1e-3
"""Degrees by which the steps of a grid may differ; old files hold coordinates in single precision."""


@dataclass(frozen=True)
class WeatherStudy:
    """A study of regions.

    Attributes:
        table: of them.
        survey: what there is of each.
        settings: of the source era5.
        lines: what was found.
    """

    table: EnvironmentTable
    survey: Survey
    settings: dict[str, Any]
    lines: list[str]


@dataclass(frozen=True, eq=False)
class Weather:
    """What all files hold together.

    Attributes:
        files: their number.
        variables: names.
        latitude, longitude: of the points, increasing.
        hours: since 1970, increasing.
    """

    files: int
    variables: list[str]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    hours: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> Weather:
        """What a file holds, or the files of a folder together.

        Raises:
            InputError: a file cannot be used, or lies on another grid than the first.
        """
        files, variables, hours = find_files(path), list[str](), list[NDArray[np.int64]]()
        first: Source | None = None
        for file in files:
            with open_sources(file) as sources:
                for source in sources:
                    first = first or source
                    for name in ("latitude", "longitude"):
                        _check_same(file, name, getattr(source, name), getattr(first, name), first.path)
                    variables += [one for one in source.variables if one not in variables]
                    hours.append(source.hours)
        assert first is not None  # is_weather has seen one
        longitude = np.unwrap(first.longitude, period=360.0)
        return cls(len(files), variables, np.sort(first.latitude), np.sort(longitude), np.unique(np.concatenate(hours)))

    def spacing(self, path: Path) -> float:
        """Degrees between points.

        Raises:
            InputError: it is not the same everywhere.
        """
        steps = np.concatenate([np.diff(self.latitude), np.diff(self.longitude)])
        if np.ptp(steps) > EVEN:
            raise InputError(
                f"{path}: found points {steps.min():g} to {steps.max():g} degrees apart, expected the same spacing "
                "along latitude and longitude"
            )
        return float(np.round(steps.mean(), 4))


def is_weather(paths: Sequence[Path]) -> bool:
    """Whether this is one file, or a folder with files, of variables on (time, latitude, longitude) alone. Files that
    each lie in a place of their own are none: each is an environment."""
    if len(paths) != 1 or not paths[0].exists():
        return False
    try:
        files = find_files(paths[0]) if paths[0].is_dir() or layout_of(paths[0]) is not None else []
        if not files:
            return False
        with open_sources(files[0]) as sources:
            if not all(_is_plain(source) for source in sources):
                return False
        seen = set[tuple[float, ...]]()
        for file in files:  # of months or of variables the second already lies where the first does
            if (place := _place(file)) in seen:
                return True
            seen.add(place)
        return len(files) == 1
    except InputError:
        return False


def _place(file: Path) -> tuple[float, ...]:
    """The corners of a file's grid, by which it is told from others."""
    with open_sources(file) as sources:
        sides = [side for source in sources for side in (source.latitude, source.longitude)]
        return tuple(round(float(bound), 4) for side in sides for bound in (side.min(), side.max()))


def survey_weather(
    arguments: argparse.Namespace, path: Path, given: EnvironmentTable | None, table_path: Path
) -> WeatherStudy:
    """Choose variables, regions and how their hours are cut.

    Args:
        arguments: of ``init``.
        path: of the file or folder.
        given: the table that the user gives, if any.
        table_path: where a new table will lie.

    Raises:
        InputError: files cannot be used, or hold too little.
    """
    found = Weather.read(path)
    channels = _channels(arguments.channels, found.variables, path)
    spacing = found.spacing(path)
    side = _side(len(found.latitude), len(found.longitude), path)
    settings: dict[str, Any] = {
        "directory": str(path),
        "download": "none",
        "variables": channels,
        "periods": None,
        "region_size": round(side * spacing, 4),
        "spacing": spacing,
    }
    offset = [_beyond(values, spacing) for values in (found.latitude, found.longitude)]
    if any(offset):
        settings["offset"] = offset
    step, settings["frame_hours"] = _step(found.hours, path)
    frames, total = _cut(len(found.hours), step, arguments.frames, path)
    train, validation, test = split_trajectories(total)
    if given is not None:
        table, drawn = given, list[str]()
    else:
        table, drawn = _tiles(found, side, arguments, table_path)
    counts = TrajectoryCounts(train=train, validation=validation, test=test)
    survey = Survey("era5", tuple(channels), (side, side), (total, total), (frames, frames), counts)
    times = StepCalendar("dates", float(found.hours[0]) * DAY / 24, step * DAY / 24)
    left = [name for name in found.variables if name not in channels]
    lines = [
        f"found weather in {path} ({found.files} file{'s' if found.files > 1 else ''}): {', '.join(channels)} on "
        f"{len(found.latitude)} x {len(found.longitude)} points (latitude, longitude), {spacing:g} degrees apart, "
        f"{len(found.hours)} times {step:g} h apart from {times.label(0)} to {times.label(len(found.hours) - 1)}",
        *([f"not used: {', '.join(left)} (--channels)"] if left else []),
        f"cut into {len(table)} regions of {side} x {side} points and {total} trajectories of {frames} frames, in "
        f"time: {train} train, then {validation} make choices, {test} are tested on",
        *drawn,
    ]
    return WeatherStudy(table, survey, settings, lines)


def _is_plain(source: Source) -> bool:
    """Whether variables have no dimension of trajectories, members or stations."""
    sizes = source.dataset.sizes
    further = [str(name) for name in sizes if name not in source.dimensions]
    known = all(sizes[name] == 1 or name.lower() in FURTHER for name in further)
    return known and min(len(source.latitude), len(source.longitude)) >= min(SIDES) and len(source.hours) > 1


def _check_same(file: Path, name: str, own: NDArray[np.float64], first: NDArray[np.float64], where: Path | str) -> None:
    if own.shape != first.shape or np.abs(own - first).max() > EVEN:
        raise InputError(
            f"{file}: {name}: found {len(own)} values from {own.min():g} to {own.max():g}, expected the "
            f"{len(first)} from {first.min():g} to {first.max():g} of {where}: all files on one grid"
        )


def _channels(asked: Sequence[str] | None, there: Sequence[str], path: Path) -> list[str]:
    """Those that are asked for; both components of a wind, its speed, a temperature, or what there is."""
    if asked:
        absent = [name for name in asked if name not in there]
        if absent:
            raise InputError(
                f"--channels: found {', '.join(absent)}, expected some of {', '.join(there)}, as in {path}"
            )
        return list(asked)
    pairs = [list(pair) for pair in SPEEDS if set(pair) <= set(there)]
    return pairs[0] if pairs else [next((name for name in ("ws10", "t2m") if name in there), there[0])]


def _side(rows: int, columns: int, path: Path) -> int:
    """Points along a region's side."""
    numbers = {side: (rows // side) * (columns // side) for side in SIDES}
    for least in (ENOUGH_REGIONS, FEWEST_REGIONS):
        for side, regions in numbers.items():
            if regions >= least:
                return side
    raise InputError(
        f"{path}: found {rows} x {columns} points (latitude, longitude), expected enough for {FEWEST_REGIONS} regions "
        f"of {min(SIDES)} x {min(SIDES)}"
    )


def _beyond(values: NDArray[np.float64], spacing: float) -> float:
    """Degrees by which points lie beyond multiples of their spacing."""
    rest = float(values[0] - spacing * np.round(values[0] / spacing))
    return 0.0 if abs(rest) < EVEN else round(rest, 4)


def _step(hours: NDArray[np.int64], path: Path) -> tuple[int, int | None]:
    """Hours between frames, and the setting that takes them."""
    steps = np.diff(hours)
    step = int(np.bincount(steps).argmax())
    if (steps != step).any():
        gap = int(np.flatnonzero(steps != step)[0])
        begun = np.datetime64(int(hours[gap]), "h")
        raise InputError(
            f"{path}: time: found a step of {steps[gap]} hours at {begun}, expected {step} as elsewhere: leave files "
            "of other times out, or set data.settings.periods in a configuration of your own (docs/era5.md)"
        )
    return step, step if (hours % step == 0).all() else None


def _cut(steps: int, step: int, asked: int | None, path: Path) -> tuple[int, int]:
    """Frames of a trajectory, and how many there are."""
    if asked is not None:
        if asked < FEWEST_FRAMES or steps // asked < FEWEST_TRAJECTORIES:
            raise InputError(
                f"--frames: found {asked}, expected {FEWEST_FRAMES} to {steps // FEWEST_TRAJECTORIES}: {path} has "
                f"{steps} times, and at least {FEWEST_TRAJECTORIES} trajectories are needed"
            )
        return asked, steps // asked
    frames = default_frames(StepCalendar("dates", 0.0, step * DAY / 24))
    while frames > FEWEST_FRAMES and steps // frames < ENOUGH_TRAJECTORIES:
        frames = max(FEWEST_FRAMES, 2 * (choose_trained_frames((frames + 1) // 2) - 1) + 1)
    if steps // frames < FEWEST_TRAJECTORIES:
        raise InputError(
            f"{path}: time: found {steps}, expected {FEWEST_TRAJECTORIES * FEWEST_FRAMES} or more: at least "
            f"{FEWEST_TRAJECTORIES} trajectories of {FEWEST_FRAMES} frames"
        )
    return frames, steps // frames


def _tiles(found: Weather, side: int, arguments: argparse.Namespace, path: Path) -> tuple[EnvironmentTable, list[str]]:
    """Squares beside each other, from the south-west on, by their centres."""
    if path.exists():
        raise InputError(f"{path}: exists already, expected --table {path} to use it, or no file to draw a new table")
    centres = [
        (float(found.latitude[row + side // 2]), float(found.longitude[column + side // 2]))
        for row in range(0, len(found.latitude) - side + 1, side)
        for column in range(0, len(found.longitude) - side + 1, side)
    ]
    if len(centres) > MOST_REGIONS:
        centres = [centres[number * len(centres) // MOST_REGIONS] for number in range(MOST_REGIONS)]
    places = {_name(*centre): centre for centre in centres}
    ids = list(places)
    wanted = arguments.held_out or [RANDOM]
    features = np.array([places[id] for id in ids])
    roles, how = hold_out(ids, features, wanted, arguments.held_out_count, arguments.seed or 0)
    known = np.array([places[id] for id in ids if roles[id] == "visible"])
    for id in ids:
        if roles[id] != "visible":
            within = (known.min(axis=0) <= places[id]) & (places[id] <= known.max(axis=0))
            roles[id] = roles[id] if within.all() else "extrapolation"
    rows = tuple(Environment(id, {"latitude": places[id][0], "longitude": places[id][1]}, roles[id]) for id in ids)
    held = [id for id in ids if roles[id] != "visible"]
    return EnvironmentTable(rows, ("latitude", "longitude"), path), [f"held out are {listed(held)}: {how}"]


def _name(latitude: float, longitude: float) -> str:
    """`51.25N_6E` of a centre."""
    east = (longitude + 180) % 360 - 180
    return f"{abs(latitude):.6g}{'S' if latitude < 0 else 'N'}_{abs(east):.6g}{'W' if east < 0 else 'E'}"
