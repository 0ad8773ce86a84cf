"""What stages return that is no artifact: tables, arrays and text, each of which writes itself whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from weightcast.core.files import written_whole
from weightcast.core.netcdf_file import write_netcdf
from weightcast.core.tables import write_table

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Table:
    """A table that is written as CSV, its columns in the frame's order.

    Attributes:
        frame: without an index of its own; the frame's index is not written.
    """

    frame: pd.DataFrame

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Table:
        """A table of rows that all have the same columns, in the order of the first row's."""
        return cls(pd.DataFrame(list(rows)))

    def save(self, path: str | Path) -> None:
        write_table(self.frame, path)


@dataclass(frozen=True)
class Content:
    """A file's content, as bytes."""

    content: bytes

    def save(self, path: str | Path) -> None:
        with written_whole(path) as partial:
            partial.write_bytes(self.content)


@dataclass(frozen=True)
class Dataset:
    """Named arrays that are written as NetCDF.

    Attributes:
        dataset: of xarray.
        encoding: of its variables, as ``xarray.Dataset.to_netcdf`` takes it: compression, types.
    """

    dataset: xr.Dataset
    encoding: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        write_netcdf(self.dataset, path, dict(self.encoding))


@dataclass(frozen=True)
class YamlFile:
    """A mapping that is written as YAML, its keys in their own order."""

    content: Mapping[str, Any]

    def save(self, path: str | Path) -> None:
        with written_whole(path) as partial:
            partial.write_text(yaml.safe_dump(dict(self.content), sort_keys=False), encoding="utf-8")
