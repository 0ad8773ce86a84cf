"""Tables as text: separated by commas, semicolons, tabs, bars or spaces; compressed by gzip or not."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from weightcast.core.bounded_text import read_bytes
from weightcast.core.errors import InputError
from weightcast.records.cell_numbers import Decimal, is_missing, is_number
from weightcast.records.cells import Cells, check_header
from weightcast.records.settings import RecordSettings

LARGEST = 2 * 1024**3
"""Bytes of a text, at most, also once it is decompressed."""
EXPECTED = "a table as text, with a row for each time"
GZIP = b"\x1f\x8b"
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}
FIRST_LINES = 20
_CHARACTERS = {"tab": "\t", "space": " "}
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_OTHER_FORMATS = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\x89HDF": "an HDF5 or NetCDF file",
    b"CDF": "a NetCDF file",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"%PDF": "a PDF file",
}


def read_text_table(file: Path, settings: RecordSettings) -> Cells:
    """Read all cells of a table.

    Lines that are empty, that have nothing but separators, or that begin with ``#`` before the header do not count. A
    first line of nothing but numbers is no header, unless it counts 0, 1, 2, ... or 1, 2, 3, ...

    Raises:
        InputError: the file cannot be read, is no text, or rows have different numbers of cells.
    """
    text, notes = decoded(file, file_bytes(file), settings.encoding)
    lines: Iterator[tuple[int, list[str]]]
    separator = _CHARACTERS.get(settings.separator or "", settings.separator) or _separator(text)
    if separator == " ":
        lines = ((number, line.split()) for number, line in enumerate(text.splitlines(), start=1))
    else:
        lines = _cells(file, text, separator)
    header: tuple[str, ...] | None = None
    width = first = 0
    rows: list[list[str]] = []
    numbers: list[int] = []
    for number, raw in lines:
        cells = [cell.strip() for cell in raw]
        if not any(cells) or (not width and cells[0].startswith("#")):
            continue
        if not width:
            width, first = len(cells), number
            if _is_header(cells, settings.decimal):
                header = tuple(cells)
                continue
        if len(cells) != width:
            # Some programs end every row, but not the header, with a separator.
            if len(cells) == width + 1 and not cells[-1]:
                cells.pop()
            else:
                raise InputError(
                    f"{file}: row {number}: found {len(cells)} cells separated by {SEPARATORS.get(separator, 'spaces')}"
                    f", expected {width} as in row {first}"
                )
        rows.append(cells)
        numbers.append(number)
    if not rows:
        raise InputError(f"{file}: found no row of data, expected {EXPECTED}")
    if header is not None:
        check_header(file, header, first)
    return Cells(file, header, rows, np.array(numbers), tuple(notes))


def file_bytes(file: Path) -> bytes:
    """What a file holds, decompressed.

    Raises:
        InputError: it cannot be read, ends too early, or is of another format.
    """
    content = read_bytes(file, EXPECTED, LARGEST)
    if content.startswith(GZIP):
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(LARGEST + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{file}: cannot be decompressed ({error}), expected a whole gzip file") from None
        if len(content) > LARGEST:
            raise InputError(f"{file}: found more than {LARGEST // 1024**2} MB of text, expected a smaller table")
    elif file.name.lower().endswith(".gz"):
        raise InputError(f"{file}: found no gzip file, expected one as its name says")
    for mark, format in _OTHER_FORMATS.items():
        if content.startswith(mark):
            raise InputError(f"{file}: found {format}, expected {EXPECTED}")
    return content


def decoded(file: Path, content: bytes, encoding: str | None) -> tuple[str, list[str]]:
    """Bytes as text, and a note where the encoding is a guess.

    Raises:
        InputError: the bytes are not text of the encoding that was given, or of none.
    """
    mark = next((name for start, name in _BYTE_ORDER_MARKS.items() if content.startswith(start)), None)
    chosen = encoding or mark or "utf-8"
    notes = []
    try:
        text = content.decode(chosen)
    except LookupError:
        raise InputError(f"{file}: encoding: found {encoding!r}, expected a name as utf-8 or cp1252") from None
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        if encoding is not None or mark is not None:
            raise InputError(f"{file}: row {row}: found bytes that are not {chosen}, expected such text") from None
        text = content.decode("cp1252", errors="replace")
        notes.append(f"{file}: row {row} is not UTF-8: read as Windows-1252 (--encoding NAME says otherwise)")
    if "\0" in text:
        raise InputError(
            f"{file}: row {text[: text.index(chr(0))].count(chr(10)) + 1}: found a zero byte, expected text"
        )
    return text, notes


def _is_header(cells: Sequence[str], decimal: Decimal | None) -> bool:
    counted = [str(number) for number in range(len(cells) + 1)]
    numbers = all(is_number(cell, decimal) or is_missing(cell, ()) for cell in cells)
    return not numbers or (len(cells) > 2 and cells in (counted[:-1], counted[1:]))


def _cells(file: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{file}: row {reader.line_num}: found broken CSV ({error}), expected whole cells") from None


def _separator(text: str) -> str:
    """What splits each of the first lines into the same number of cells, the most of them; else spaces."""
    lines = [line for line in text[: 2**20].splitlines() if line.strip() and not line.startswith("#")][:FIRST_LINES]
    best, cells = "", 1
    for separator in SEPARATORS:
        try:
            counts = {len(row) for row in csv.reader(lines, delimiter=separator)}
        except csv.Error:
            continue
        # Decimal commas are in cells of other separators: those stand first, and win where as many.
        if len(counts) == 1 and next(iter(counts)) > cells:
            best, cells = separator, counts.pop()
            if separator in "\t;":
                return best
    if best:
        return best
    first = lines[0] if lines else ""
    if separator := next((one for one in SEPARATORS if one in first), ""):
        return separator
    return " " if len(re.split(r"\s+", first.strip())) > 1 else ","
