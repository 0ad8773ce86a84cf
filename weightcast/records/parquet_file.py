"""Tables in Parquet, where pyarrow is installed."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.records.cells import Cells
from weightcast.records.json_file import cells_of_columns


def read_parquet_table(file: Path) -> Cells:
    """Read a table.

    Raises:
        InputError: pyarrow is not installed, or the file cannot be read.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{file}: found Parquet, expected pyarrow to be installed for it: {how_to_install('parquet')}"
        ) from None
    try:
        table = parquet.read_table(file)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise InputError(f"{file}: cannot be read ({reason}), expected a whole Parquet file") from None
    columns = [(str(name), [_plain(cell) for cell in table.column(name).to_pylist()]) for name in table.column_names]
    return cells_of_columns(file, columns)


def _plain(value: Any) -> Any:
    """Times as text; everything else is left."""
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value
