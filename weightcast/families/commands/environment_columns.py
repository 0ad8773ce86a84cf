"""What is known of environments, as text: columns of the samples' own file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weightcast.core.categories import Cells
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.families.commands.found_samples import FoundSamples
from weightcast.samples.cells import read_cells, recognised_separator
from weightcast.samples.checks import read_settings
from weightcast.samples.environment_labels import ids_of_labels
from weightcast.samples.h5ad import read_obs
from weightcast.samples.long_cells import LongCellsSettings
from weightcast.samples.long_table import LongTableSettings, column_as_text
from weightcast.samples.read import read_samples
from weightcast.samples.table import fulfilling_rows

Columns = dict[str, NDArray[np.str_]]


def cells_of_columns(found: FoundSamples, names: Sequence[str]) -> dict[str, Cells]:
    """The one value that each environment has in columns of the samples' own file, by id.

    Raises:
        InputError: there is no such column, or it changes in an environment.
    """
    labels, columns = _of_all(found, names) if found.of_all else _of_files(found, names)
    rows: dict[str, dict[str, str]] = {id: {} for id in found.samples}
    for name, column in columns.items():
        for id, row in rows.items():
            values = list(dict.fromkeys(column[labels == id]))
            if len(values) != 1:
                raise InputError(
                    f"{found.path}: column {name}: found {listed(values, 3)} in {id}, expected one value in an "
                    "environment, as --parameters"
                )
            row[name] = values[0]
    return dict(rows)


def _of_all(found: FoundSamples, names: Sequence[str]) -> tuple[NDArray[np.str_], Columns]:
    """Ids [row], and columns [row] as text, of a file of all environments."""
    path = found.path
    if found.format == "h5ad":
        settings = read_settings(LongCellsSettings, found.settings, path)
        columns = read_obs(path, settings, [settings.environment_column, *names])
        labels = columns[settings.environment_column].astype(str)
        texts = {name: columns[name].astype(str) for name in names}
    else:
        chosen = read_settings(LongTableSettings, found.settings, path)
        separator = chosen.separator or recognised_separator(path)
        header, rows = read_cells(path, separator)
        rows = fulfilling_rows(path, header, rows, chosen.condition or {})
        for name in names:
            if name not in header:
                raise InputError(
                    f"{path}: found no column {name!r}, expected one of {listed([h for h in header if h])}"
                )
        labels = column_as_text(path, chosen.environment_column, separator, rows.index)
        texts = {name: column_as_text(path, name, separator, rows.index) for name in names}
    of_label, _ = ids_of_labels(path, "environments", labels)
    return np.array([of_label[label] for label in labels]), texts


def _of_files(found: FoundSamples, names: Sequence[str]) -> tuple[NDArray[np.str_], Columns]:
    """The same of a folder of tables, whose columns are numbers.

    Raises:
        InputError: they are files of another format.
    """
    if found.format != "csv":
        raise InputError(
            f"--parameters: found {listed(names)}, expected --table: files of the format {found.format} have no "
            "columns of an environment"
        )
    ids: list[str] = []
    texts: dict[str, list[str]] = {name: [] for name in names}
    for id, file in found.files.items():
        read = read_samples(file, "csv", found.settings, names)
        values = np.concatenate(read.samples)
        ids += [id] * len(values)
        for name, column in zip(names, values.T, strict=True):
            texts[name] += [repr(float(value)) for value in column]
    return np.array(ids), {name: np.array(column) for name, column in texts.items()}
