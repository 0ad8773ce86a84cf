"""The file of ``evolve --snapshots``: samples of a new environment, read as the study's own data were."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.categories import is_label
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.evolution.commands.init import ordered_labels, settings_of_words
from weightcast.families.commands.time_labels_of_study import times_in_terms_of
from weightcast.families.config.study import FamilyStudy
from weightcast.samples.cells import read_cells, recognised_separator
from weightcast.samples.checks import read_settings
from weightcast.samples.formats import recognise
from weightcast.samples.h5ad import AnnDataSettings, columns_of_obs, read_obs
from weightcast.samples.npz import NpzSettings
from weightcast.samples.projection import read_projected
from weightcast.samples.read import read_samples
from weightcast.samples.record import Loadings, TimedSamples
from weightcast.samples.settings import SampleFormat
from weightcast.samples.table import TableSettings
from weightcast.samples.time_column import choose_time_column

OPTIONS = ("--time-column", "--times-order", "--condition", "--settings")
"""How the file is read where it is not as the study's data are."""
OF_ENVIRONMENTS = frozenset(
    {"environment", "environment_id", "env", "donor", "patient", "subject", "individual", "animal", "mouse"}
)
"""Names of columns that say whose samples they are, where the study's settings name none."""
KNOWN: dict[SampleFormat, type] = {"csv": TableSettings, "h5ad": AnnDataSettings, "npz": NpzSettings}
"""Settings of formats that have some beside time steps."""


@dataclass(frozen=True)
class ShownFile:
    """What a file holds of an environment.

    Attributes:
        samples: [sample, dimension] by time.
        masses: size of the population by time, where the study learns sizes.
        notes: what was read and left out, a line each.
    """

    samples: dict[float, NDArray[np.float64]]
    masses: dict[float, float]
    notes: tuple[str, ...]


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the options that say how the file is read; as for ``init``."""
    group.add_argument(
        "--time-column", metavar="NAME", help="of the snapshots' file; default: as the study's data have"
    )
    group.add_argument(
        "--times-order", nargs="+", metavar="LABEL=TIME", help="the time of each label in it, in the study's unit"
    )
    group.add_argument("--condition", nargs="+", metavar="COLUMN=VALUE", help="only rows (cells) with this value")
    group.add_argument(
        "--settings",
        nargs="+",
        metavar="KEY=VALUE",
        help="how the file is read, where the study's data.settings do not fit; see docs/own-data.md",
    )


def read_shown(
    path: Path, arguments: argparse.Namespace, study: FamilyStudy, root: Path, loadings: Loadings | None
) -> ShownFile:
    """Read samples in the study's own terms.

    Args:
        path: the file.
        arguments: with the options of :func:`add_arguments`.
        study: whose data say how it is read.
        root: the folder that the study was run in, which its data's paths are relative to.
        loadings: of the study's principal components, if it has some.

    Raises:
        InputError: it cannot be read so; one line that names the option which helps.
    """
    format = recognise(path)
    settings, notes = _settings(path, format, arguments, study)
    _refuse_steps(path, format, settings)
    if "time_labels" not in settings:
        labelled = times_in_terms_of(path, format, settings, study, root)
        if labelled is not None:
            settings["time_labels"] = labelled
    _refuse_several(path, format, settings, study)
    try:
        read = _read(path, format, settings, study, loadings)
    except InputError as error:
        hint = " (data.settings: here --settings KEY=VALUE)" if "data.settings" in str(error) else ""
        raise InputError(f"{error}{hint if '--' not in str(error) else ''}") from None
    _refuse_other_components(path, read, loadings)
    counts = ", ".join(f"{len(values)} at {time:g}" for time, values in zip(read.times, read.samples, strict=True))
    values = {float(time): own for time, own in zip(read.times, read.samples, strict=True)}
    return ShownFile(values, _masses(read, study), (f"samples by time: {counts}", *notes, *read.notes))


def _settings(
    path: Path, format: SampleFormat, arguments: argparse.Namespace, study: FamilyStudy
) -> tuple[dict[str, Any], list[str]]:
    """What the study's data and the options say; and notes on what does not hold of this file."""
    data, notes = study.data, list[str]()
    settings: dict[str, Any] = {}
    if data.imported:
        alike = format == data.source
        kind = KNOWN.get(format)
        known = set(data.settings) if kind is None else set(kind.model_fields)  # type: ignore[attr-defined]
        kept = known if alike else known & {"time_labels"}
        settings = {key: value for key, value in data.settings.items() if key in kept and value is not None}
        # Whose trajectory it is says nothing of a law; how cells are separated is each file's own.
        for own in ("trajectory_column", "separator"):
            settings.pop(own, None)
    condition = dict(settings.get("condition") or {})
    absent = [name for name in condition if name not in _columns(path, format)] if condition else []
    if absent:
        notes.append(f"the study's condition on {listed(absent)} is not asked: there is no such column")
        settings["condition"] = {name: value for name, value in condition.items() if name not in absent}
    settings |= settings_of_words(arguments.settings or ())
    if arguments.time_column is not None:
        settings["time_column"] = arguments.time_column
    if arguments.times_order is not None:
        if not all("=" in word for word in arguments.times_order):
            raise InputError(f"--times-order: found {' '.join(arguments.times_order)!r}, expected LABEL=TIME ...")
        # Labels may come in any order here: each has its time.
        words = sorted(arguments.times_order, key=_stated_time)
        settings["time_labels"] = ordered_labels(words)
    if arguments.condition is not None:
        settings["condition"] = settings_of_words(arguments.condition, "--condition", "COLUMN=VALUE")
    if data.mass != "column" or format != "csv":
        settings.pop("mass_column", None)
    return settings, notes


def _stated_time(word: str) -> float:
    """What stands after the last ``=``, or infinity, which is refused later."""
    try:
        return float(word.rpartition("=")[2])
    except ValueError:
        return math.inf


def _columns(path: Path, format: SampleFormat) -> list[str]:
    """Columns of a table, or of obs; none of other files."""
    if format == "csv":
        return [name for name in read_cells(path, recognised_separator(path))[0] if name]
    return columns_of_obs(path) if format == "h5ad" else []


def _refuse_steps(path: Path, format: SampleFormat, settings: dict[str, Any]) -> None:
    """Refuse an array without times of which nobody says how far they lie apart."""
    if format == "npy" and "time_step" not in settings and "time_species" not in settings:
        raise InputError(
            f"{path}: found an array, which holds no times, expected --settings time_step=NUMBER (the first time is "
            "0), or a table with a column of times"
        )


def _refuse_several(path: Path, format: SampleFormat, settings: dict[str, Any], study: FamilyStudy) -> None:
    """Refuse samples of several environments, whose mixture is nobody's law."""
    columns = _columns(path, format)
    named = study.data.settings.get("environment_column")
    whose = [name for name in columns if name == named or name.strip().lower() in OF_ENVIRONMENTS]
    whose = [name for name in whose if name not in study.data.dimensions]
    for name in whose:
        values = _texts(path, format, name, settings)
        if len(values) > 1:
            raise InputError(
                f"{path}: column {name}: found {len(values)} environments ({listed(values, 4)}), expected samples of "
                f"one: --condition {name}={values[0]}"
            )


def _texts(path: Path, format: SampleFormat, name: str, settings: dict[str, Any]) -> list[str]:
    """The different values of a column in the rows that are used, in their order."""
    condition = settings.get("condition") or {}
    if format == "h5ad":
        chosen = read_settings(AnnDataSettings, settings, path)
        return [str(value) for value in dict.fromkeys(read_obs(path, chosen, [name])[name].tolist())]
    header, rows = read_cells(path, recognised_separator(path), as_text=True)
    for column, wanted in condition.items():
        if column in header:
            rows = rows[rows[header.index(column)].str.strip() == str(wanted)]
    cells = rows[header.index(name)].str.strip()
    return [str(value) for value in dict.fromkeys(cells) if value]


def _read(
    path: Path, format: SampleFormat, settings: dict[str, Any], study: FamilyStudy, loadings: Loadings | None
) -> TimedSamples:
    names = study.data.dimensions
    representation = str(settings.get("representation", ""))
    if format == "h5ad" and (representation == "X" or representation.startswith("layers/")):
        if loadings is None:
            raise InputError(
                f"{path}: {representation}: found genes, of which the study keeps no principal components, expected "
                "--settings representation=KEY of coordinates in obsm"
            )
        return read_projected(path, settings, loadings, tuple(names))
    read = read_samples(path, format, settings, names)
    if format != "csv":
        return read
    time_column = choose_time_column(path, _columns(path, format), settings.get("time_column"))
    used = {*names, time_column, settings.get("mass_column"), *(settings.get("condition") or {})}
    others = [name for name in _columns(path, format) if name not in used]
    labels = [name for name in others if is_label(name)]
    note = [f"columns that are no dimension of the study are not used: {listed(others)}"] if others else []
    if labels:
        note.append(f"rows of all {listed(labels)} are taken together; --condition {labels[0]}=VALUE takes one")
    return replace(read, notes=(*read.notes, *note))


def _refuse_other_components(path: Path, read: TimedSamples, loadings: Loadings | None) -> None:
    """Refuse coordinates along other principal components than the study's, where both are known."""
    if loadings is not None and read.loadings is not None and not loadings.same_components(read.loadings):
        raise InputError(
            f"{path}: found principal components of their own in varm, expected the study's: --settings "
            "representation=X projects genes onto them"
        )


def _masses(read: TimedSamples, study: FamilyStudy) -> dict[float, float]:
    """Sizes of the population by time, as the study takes them."""
    mass = study.data.mass
    sizes: Sequence[float] | NDArray[np.float64] | None = None
    if mass == "column":
        sizes = read.masses
    elif mass == "samples":
        sizes = [len(values) for values in read.samples]
    return {} if sizes is None else {float(time): float(size) for time, size in zip(read.times, sizes, strict=True)}
