"""The table of environments: which there are, their parameters, and what each is for."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from weightcast.core.bounded_text import read_bytes
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.names import check_name

Role = Literal["visible", "interpolation", "extrapolation"]
# Attributes of a trajectory file that are no parameters.
RESERVED = ("environment",)
LARGEST_TABLE = 256 * 1024**2
"""Bytes of a table, at most: a million environments."""
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Environment:
    """One setting of the system: its id, the value of each parameter, if any is known, and its role.

    `visible` environments are trained on. The unseen ones are tested on alone: `interpolation` lies inside the visible
    range, `extrapolation` outside.
    """

    id: str
    parameters: Mapping[str, float]
    role: Role

    @cached_property
    def text(self) -> str:
        """The row as JSON with sorted keys, as it stands in what jobs are told."""
        row = {"id": self.id, "parameters": {name: float(value) for name, value in self.parameters.items()}}
        return json.dumps(row | {"role": self.role}, sort_keys=True)


@dataclass(frozen=True)
class EnvironmentTable:
    """The environments of a study, in the order of their table. All have the same parameters, which may be none."""

    environments: tuple[Environment, ...]
    parameter_names: tuple[str, ...]
    path: Path

    def __iter__(self) -> Iterator[Environment]:
        return iter(self.environments)

    def __len__(self) -> int:
        return len(self.environments)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    @cached_property
    def _by_id(self) -> dict[str, Environment]:
        return {environment.id: environment for environment in self.environments}

    def __getitem__(self, id: str) -> Environment:
        """The environment with this id.

        Raises:
            InputError: there is none.
        """
        if id in self._by_id:
            return self._by_id[id]
        raise InputError(f"{self.path}: column id: found no environment {id!r}, expected one of {', '.join(self.ids)}")

    @classmethod
    def load(cls, path: str | Path) -> EnvironmentTable:
        """Read a table; see :func:`read_environments`."""
        return read_environments(path)

    def save(self, path: str | Path) -> None:
        """Write the table; see :func:`write_environments`."""
        write_environments(path, self)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(environment.id for environment in self)

    @cached_property
    def visible(self) -> tuple[Environment, ...]:
        return self._with_role("visible")

    @property
    def interpolation(self) -> tuple[Environment, ...]:
        return self._with_role("interpolation")

    @property
    def extrapolation(self) -> tuple[Environment, ...]:
        return self._with_role("extrapolation")

    @cached_property
    def unseen(self) -> tuple[Environment, ...]:
        """Interpolation and extrapolation together, in table order."""
        return tuple(environment for environment in self if environment.role != "visible")

    def parameter_array(self, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Parameters as numbers, [environment, parameter]: of all environments, or of `ids` in their order."""
        chosen = self.environments if ids is None else [self[id] for id in ids]
        rows = [[environment.parameters[name] for name in self.parameter_names] for environment in chosen]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.parameter_names))

    def _with_role(self, role: Role) -> tuple[Environment, ...]:
        return tuple(environment for environment in self if environment.role == role)


def read_environments(path: str | Path) -> EnvironmentTable:
    """Read a table of environments: UTF-8 CSV with the columns `id`, `role` and one for every parameter, in any order.

    Cells are separated by commas, or, where the header has none, by semicolons or tabs; numbers may then have decimal
    commas.

    Where nobody knows any parameter - stations, patients, regions - there are `id` and `role` alone. Spaces around
    cells and empty lines do not count.

    Raises:
        InputError: anything in the file that cannot be used; the message names file, line and column.
    """
    path = Path(path)
    lines = read_lines(path)
    if not lines:
        raise InputError(f"{path}: found an empty file, expected a header with the columns id, role and parameters")
    number, header = lines[0]
    _check_header(path, number, header)
    parameter_names = tuple(name for name in header if name not in ("id", "role"))

    environments: list[Environment] = []
    line_of: dict[str, int] = {}
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise InputError(
                f"{path}: line {number}: found {len(cells)} cells, expected {len(header)} as in the header"
            )
        environment = _read_row(path, number, dict(zip(header, cells, strict=True)), parameter_names)
        # Ids become file names, and many file systems do not tell upper from lower case.
        key = environment.id.casefold()
        if key in line_of:
            raise InputError(
                f"{path}: line {number}, column id: found {environment.id!r} again, expected an id other than that of "
                f"line {line_of[key]} (upper and lower case are the same)"
            )
        line_of[key] = number
        environments.append(environment)

    table = EnvironmentTable(tuple(environments), parameter_names, path)
    if not table.visible:
        raise InputError(f"{path}: column role: found no visible environment, expected at least one to train on")
    return table


def write_environments(path: str | Path, table: EnvironmentTable) -> None:
    """Write `table` as `read_environments` reads it; numbers survive to the bit. Nothing half-written is left."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "role", *table.parameter_names])
    for environment in table:
        values = [repr(float(environment.parameters[name])) for name in table.parameter_names]
        writer.writerow([environment.id, environment.role, *values])
    with written_whole(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """The non-empty lines of a table as (line number, stripped cells), the header first.

    Raises:
        InputError: there is no such file, or it is no CSV in UTF-8.
    """
    if not path.exists():
        raise InputError(f"{path}: found no such file, expected a table of environments (CSV)")
    content = read_bytes(path, "a table of environments (CSV)", LARGEST_TABLE)
    try:
        # utf-8-sig: spreadsheet programs put a byte-order mark before the first column's name.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {number}: found bytes that are not UTF-8, expected UTF-8 text") from None
    lines = []
    first = text.lstrip().partition("\n")[0]
    separator = next((one for one in ";\t" if one in first and "," not in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                lines.append((reader.line_num, stripped))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: found broken CSV ({error}), expected cells in CSV") from None
    return lines


def _check_header(path: Path, number: int, header: list[str]) -> None:
    where = f"{path}: line {number}"
    found = ", ".join(header)
    for column in ("id", "role"):
        if column not in header:
            raise InputError(f"{where}: found no column {column} among {found}, expected id, role and parameters")
    for position, column in enumerate(header, start=1):
        if column in header[: position - 1]:
            raise InputError(f"{where}, column {position}: found {column!r} again, expected every column once")
        check_name(column, f"line {number}, column {position}", path)
        if column in RESERVED:
            raise InputError(f"{where}, column {position}: found {column!r}, expected another name: that one is taken")


def _read_row(path: Path, number: int, row: dict[str, str], parameter_names: Sequence[str]) -> Environment:
    id = check_name(row["id"], f"line {number}, column id", path)
    role = next((role for role in ROLES if role == row["role"]), None)
    if role is None:
        raise InputError(
            f"{path}: line {number}, column role: found {row['role']!r}, expected one of {', '.join(ROLES)}"
        )
    parameters = {}
    for name in parameter_names:
        try:
            parameters[name] = float(plain_number(row[name]))
        except ValueError:
            parameters[name] = math.nan
        if not math.isfinite(parameters[name]):
            raise InputError(
                f"{path}: line {number}, column {name}: found {row[name]!r}, expected a finite number "
                "(weightcast init --table makes numbers of words)"
            )
    return Environment(id, parameters, role)


def plain_number(cell: str) -> str:
    """A number with a point for decimals: a cell has a comma only where these do not separate cells."""
    return cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell
