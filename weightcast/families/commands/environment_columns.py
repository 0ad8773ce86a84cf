"""What is known of environments, as text: columns of a table of them, or of the samples' own file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.environment_table import ROLES, Role, read_lines
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.families.commands.found_samples import FoundSamples
from weightcast.samples.cells import read_cells, recognised_separator
from weightcast.samples.checks import listed, read_settings
from weightcast.samples.environment_labels import ids_of_labels
from weightcast.samples.h5ad import read_obs
from weightcast.samples.long_cells import LongCellsSettings
from weightcast.samples.long_table import LongTableSettings, column_as_text
from weightcast.samples.read import read_samples
from weightcast.samples.table import fulfilling_rows

Cells = Mapping[str, str]
"""Of one environment, by the name of the column."""
Columns = dict[str, NDArray[np.str_]]


@dataclass(frozen=True)
class GivenTable:
    """A table of environments as a user has it.

    Attributes:
        path: of the file.
        cells: of each environment by id, those of the parameters.
        roles: by id; None where the table has none.
        names: of the parameters.
    """

    path: Path
    cells: dict[str, Cells]
    roles: dict[str, Role] | None
    names: tuple[str, ...]


def read_given_table(path: Path) -> GivenTable:
    """Read a table with a column ``id``, a column ``role`` or none, and a column for each parameter.

    Raises:
        InputError: the file cannot be read, or lacks ids; the message names line and column.
    """
    lines = read_lines(path)
    if not lines:
        raise InputError(f"{path}: found an empty file, expected a header with a column id")
    number, header = lines[0]
    if "id" not in header or len(set(header)) < len(header):
        raise InputError(f"{path}: line {number}: found the columns {listed(header)}, expected each once, and one id")
    names = tuple(name for name in header if name not in ("id", "role"))
    cells: dict[str, Cells] = {}
    roles: dict[str, Role] = {}
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise InputError(f"{path}: line {number}: found {len(row)} cells, expected {len(header)} as in the header")
        of_row = dict(zip(header, row, strict=True))
        id = check_name(of_row["id"], f"line {number}, column id", path)
        if id in cells:
            raise InputError(f"{path}: line {number}, column id: found {id!r} again, expected every id once")
        role = next((role for role in ROLES if role == of_row.get("role")), None)
        if role is not None:
            roles[id] = role
        elif "role" in header:
            raise InputError(
                f"{path}: line {number}, column role: found {of_row['role']!r}, expected one of {', '.join(ROLES)}"
            )
        empty = next((name for name in names if of_row[name] == ""), None)
        if empty is not None:
            raise InputError(f"{path}: line {number}, column {empty}: found no value, expected a number or a category")
        cells[id] = {name: of_row[name] for name in names}
    return GivenTable(path, cells, roles if "role" in header else None, names)


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
