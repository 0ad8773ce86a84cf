"""Samples of many environments as ``weightcast init`` finds them: files in a folder, one table, one AnnData file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from weightcast.core.errors import InputError
from weightcast.core.names import check_name, listed
from weightcast.evolution.commands.init import ordered_labels, settings_of_words
from weightcast.families.gathering import refuse_components_of_each
from weightcast.families.sources import OF_ALL, endings_of
from weightcast.samples.formats import SUFFIXES, recognise
from weightcast.samples.long_cells import read_long_cells
from weightcast.samples.long_table import read_long_table
from weightcast.samples.read import read_samples
from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import SampleFormat

STATES = ("counts", "real")
SHOWN_FILES = 6
OF_EACH = ("separator", "trajectory_column")
"""Settings that each file of a folder has of its own."""


@dataclass(frozen=True)
class FoundSamples:
    """What files hold, and how they are read.

    Attributes:
        path: the folder, or the file of all.
        format: of the file or files.
        settings: ``data.settings`` of a configuration that reads them so again.
        dimensions: names.
        samples: of each environment by id, those that are left out apart.
        notes: what was left out or assumed, a line each.
        files: of each environment by id, where they have files of their own.
    """

    path: Path
    format: SampleFormat
    settings: dict[str, Any]
    dimensions: tuple[str, ...]
    samples: dict[str, TimedSamples]
    notes: tuple[str, ...]
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def of_all(self) -> bool:
        """Whether one file holds all environments."""
        return not self.path.is_dir()

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value of any dimension anywhere."""
        ranges = [one.range for one in self.samples.values()]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def without(self, ids: list[str]) -> FoundSamples:
        """The same without some environments.

        Raises:
            InputError: there is none of that name.
        """
        for id in ids:
            if id not in self.samples:
                raise InputError(f"--leave-out: found {id!r}, expected some of {listed(list(self.samples))}")
        return replace(
            self,
            samples={id: one for id, one in self.samples.items() if id not in ids},
            files={id: file for id, file in self.files.items() if id not in ids},
        )


def find_samples(arguments: argparse.Namespace) -> FoundSamples:
    """Read what ``--data`` names, as the other options say.

    Raises:
        InputError: it cannot be read, or an option does not go with it.
    """
    (path,) = arguments.data
    settings = _settings(arguments)
    dimensions = _dimensions(arguments)
    if path.is_dir():
        if arguments.environment is not None:
            raise InputError(
                f"--environment: found {arguments.environment}, expected none: {path} is a folder, in which every file "
                "is an environment"
            )
        found = _in_folder(path, settings, dimensions, arguments.table)
    else:
        found = _of_all(path, settings, dimensions, arguments.environment)
    return found.without(arguments.leave_out or [])


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What options say of how files are read."""
    settings = settings_of_words(arguments.settings or ())
    times = [*(arguments.time or ()), *([arguments.time_column] if arguments.time_column is not None else [])]
    if len(times) > 1:
        raise InputError(f"--time: found {' '.join(times)}, expected one column with --kind environments-time")
    if times:
        settings["time_column"] = times[0]
    if arguments.times_order is not None:
        settings["time_labels"] = ordered_labels(arguments.times_order)
    if arguments.condition is not None:
        settings["condition"] = settings_of_words(arguments.condition, "--condition", "COLUMN=VALUE")
    return settings


def _dimensions(arguments: argparse.Namespace) -> list[str] | None:
    """Columns that are named, by ``--dimensions`` or by ``--state``."""
    if arguments.state is None or is_kind_of_state(arguments.state):
        return arguments.dimensions
    if arguments.dimensions is not None:
        raise InputError(
            f"--state: found {' '.join(arguments.state)} beside --dimensions, expected columns as one of them, or "
            "counts or real as --state"
        )
    return list(arguments.state)


def is_kind_of_state(words: list[str] | None) -> bool:
    """Whether ``--state`` says what kind of numbers there are, rather than in which columns."""
    return words is not None and len(words) == 1 and words[0] in STATES


def _of_all(path: Path, settings: dict[str, Any], dimensions: list[str] | None, column: str | None) -> FoundSamples:
    """One file of all environments."""
    format = recognise(path)
    if format not in OF_ALL:
        raise InputError(
            f"{path}: found a file of the format {format}, expected a folder with one for each environment, or one "
            f"file of all: {' or '.join(OF_ALL)}"
        )
    if column is not None:
        settings["environment_column"] = column
    if format == "h5ad":
        samples = read_long_cells(path, settings, dimensions)
    else:
        samples = read_long_table(path, settings, dimensions)
    first = next(iter(samples.values()))
    return FoundSamples(path, format, first.settings, first.dimensions, samples, first.notes)


def _in_folder(
    folder: Path, settings: dict[str, Any], dimensions: list[str] | None, table: Path | None
) -> FoundSamples:
    """A file for each environment, all of one format."""
    files, format, notes = _files(folder, table)
    refuse_components_of_each(str(folder), settings)
    read: dict[str, TimedSamples] = {}
    for id, file in files.items():
        read[id] = read_samples(file, format, settings, dimensions)
        if len(read) == 1:  # the others are read as the first, but for what each says of itself
            settings = {key: value for key, value in read[id].settings.items() if key not in OF_EACH} | settings
    names = _common_dimensions(read)
    if format != "csv":  # of which dimensions cannot be chosen by their names
        _refuse_other_dimensions(read)
    elif dimensions is None:
        constant = _constant(read, names)
        names = tuple(name for name in names if name not in constant)
        if not names:
            raise InputError(
                f"{folder}: found no dimension that changes in an environment among {listed(constant)}, expected one"
            )
        notes += [f"column {name} is not used: never changes in an environment" for name in constant]
    paired = {str(one.settings.get("trajectory_column")) for one in read.values()}
    if len(paired) == 1 and "None" not in paired:
        settings["trajectory_column"] = paired.pop()
    chosen = {id: _only(one, names) for id, one in read.items()}
    return FoundSamples(folder, format, settings, names, chosen, (*notes, *_notes(read)), files)


def _files(folder: Path, table: Path | None) -> tuple[dict[str, Path], SampleFormat, list[str]]:
    """The files by id, and a note on what is none."""
    found: dict[SampleFormat, dict[str, Path]] = {}
    others = []
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or (table is not None and file.resolve() == table.resolve()):
            continue
        ending = next((one for named in SUFFIXES.values() for one in endings_of(named) if _ends(file, one)), None)
        if ending is None or not file.is_file():
            others.append(file.name)
            continue
        format = recognise(file)
        id = check_name(file.name[: -len(ending)], "name of a file", folder)
        of_format = found.setdefault(format, {})
        if any(id.casefold() == other.casefold() for other in of_format):
            raise InputError(f"{folder}: found two files of {id}, expected one for each environment")
        of_format[id] = file
    if len(found) != 1:
        inside = listed(sorted(found)) if found else "no file of samples"
        raise InputError(f"{folder}: found {inside}, expected files of one format, one for each environment")
    ((format, files),) = found.items()
    return files, format, [f"not used: {listed(others, SHOWN_FILES)}"] if others else []


def _ends(file: Path, ending: str) -> bool:
    return file.name.lower().endswith(ending) and len(file.name) > len(ending)


def _common_dimensions(read: Mapping[str, TimedSamples]) -> tuple[str, ...]:
    """The dimensions that all files have, in the order of the first.

    Raises:
        InputError: there is none.
    """
    names = next(iter(read.values())).dimensions
    for id, one in read.items():
        common = tuple(name for name in names if name in one.dimensions)
        if not common:
            raise InputError(
                f"{id}: found the dimensions {listed(one.dimensions)}, expected some of {listed(names)}, which files "
                "before have"
            )
        names = common
    return names


def _refuse_other_dimensions(read: Mapping[str, TimedSamples]) -> None:
    first = next(iter(read))
    for id, one in read.items():
        if one.dimensions != read[first].dimensions:
            raise InputError(
                f"{id}: found {len(one.dimensions)} dimensions, {listed(one.dimensions, SHOWN_FILES)}, expected those "
                f"of {first}: {listed(read[first].dimensions, SHOWN_FILES)}"
            )


def _constant(read: Mapping[str, TimedSamples], names: tuple[str, ...]) -> list[str]:
    """Dimensions that have one value in each environment, though not the same in all of them."""
    found = []
    for name in names:
        values = [[part[:, one.dimensions.index(name)] for part in one.samples] for one in read.values()]
        every = [np.concatenate(parts) for parts in values]
        if all(np.ptp(part) == 0 for part in every) and len({float(part[0]) for part in every}) > 1:
            found.append(name)
    return found


def _only(samples: TimedSamples, names: tuple[str, ...]) -> TimedSamples:
    """The same with some of its dimensions."""
    if samples.dimensions == names:
        return samples
    columns = [samples.dimensions.index(name) for name in names]
    return replace(samples, dimensions=names, samples=tuple(values[:, columns] for values in samples.samples))


def _notes(read: Mapping[str, TimedSamples]) -> list[str]:
    """What files say, each line once, and which columns not all of them have."""
    notes: dict[str, list[str]] = {}
    for id, one in read.items():
        for note in one.notes:
            notes.setdefault(note, []).append(id)
    said = [note if len(ids) == len(read) else f"{listed(ids, SHOWN_FILES)}: {note}" for note, ids in notes.items()]
    every = {name for one in read.values() for name in one.dimensions}
    missing = sorted(name for name in every if any(name not in one.dimensions for one in read.values()))
    return [*said, *([f"not used, since not all files have them: {listed(missing)}"] if missing else [])]
