"""What labels of times mean in a study: ``2d`` is 48 where the study's own labels count hours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.families.config.study import FamilyStudy
from weightcast.samples.cells import numbers_of, read_cells, recognised_separator
from weightcast.samples.checks import read_settings
from weightcast.samples.formats import recognise
from weightcast.samples.h5ad import AnnDataSettings, columns_of_obs, read_obs
from weightcast.samples.npz import NpzSettings, labels_in_archive
from weightcast.samples.settings import SampleFormat
from weightcast.samples.time_column import choose_time_column
from weightcast.samples.time_labels import times_of_labels, times_of_more_labels


def labels_of_study(study: FamilyStudy, root: Path) -> list[str]:
    """Labels of times in the study's own data; none where times are numbers, or the data are not there any more.

    Args:
        study: its configuration.
        root: the folder that it was run in.
    """
    data = study.data
    if not data.imported or data.file is None:
        return []
    place = root / data.file
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    found: dict[str, None] = {}
    for file in files:
        try:
            if file.is_file() and recognise(file) == data.source:
                found |= dict.fromkeys(labels_in(file, recognise(file), data.settings))
        except InputError:  # another file in the folder
            continue
    return list(found)


def labels_in(path: Path, format: SampleFormat, settings: Mapping[str, Any]) -> list[str]:
    """Labels of times in a file, sorted; none where its times are numbers.

    Raises:
        InputError: the file cannot be read.
    """
    wanted = settings.get("time_column")
    if format == "csv":
        header, rows = read_cells(path, recognised_separator(path))
        name = choose_time_column(path, [name for name in header if name], wanted)
        column = rows[header.index(name)]
        if column.isna().any() or not np.isnan(numbers_of(path, name, column)).any():
            return []
        return sorted(column.astype(str).str.strip().unique())
    if format == "h5ad":
        name = choose_time_column(path, columns_of_obs(path), wanted)
        values = read_obs(path, AnnDataSettings(time_column=name), [name])[name]
        return sorted(str(value) for value in np.unique(values)) if values.dtype.kind in "US" else []
    if format == "npz":
        known = {key: value for key, value in settings.items() if key in NpzSettings.model_fields}
        return labels_in_archive(path, read_settings(NpzSettings, known, path))
    return []


def times_in_terms_of(
    path: Path, format: SampleFormat, settings: Mapping[str, Any], study: FamilyStudy, root: Path
) -> dict[str, float] | None:
    """The time of each label in a new file, in the study's unit; None where the file's times are numbers.

    Args:
        path, format, settings: of the new file.
        study: whose own labels say what these mean.
        root: the folder that it was run in.

    Raises:
        InputError: it cannot be told.
    """
    labels = labels_in(path, format, settings)
    if not labels:
        return None
    of_study = labels_of_study(study, root)
    times = times_of_more_labels(labels, of_study) if times_of_labels(of_study) else None
    if times is None:
        known = f"such as {listed(of_study, 4)}" if of_study else "numbers, as the study's times are"
        given = " ".join(f"{label}=TIME" if " " not in label else f"'{label}=TIME'" for label in labels[:3])
        raise InputError(
            f"{path}: found the labels of times {listed(labels, 6)}, expected {known}, or what they are in the study's "
            f"unit: --times-order {given}{' ...' if len(labels) > 3 else ''}"
        )
    return times
