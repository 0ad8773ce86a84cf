"""How long a NetCDF file in a classic format must be, by its header: the library reads zeros past the end of one that
was cut off, and says nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

MAGIC = {b"CDF\x01": (4, 4), b"CDF\x02": (4, 8), b"CDF\x05": (8, 8)}
"""Bytes of a count and of an offset, by how a file begins."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value, by the number of its type."""
UNKNOWN = {4: 2**32 - 1, 8: 2**64 - 1}
"""What stands for the number of records while a program is still writing, by the bytes of a count."""
MOST = 10**6
"""Of dimensions, attributes or variables: a header that says more is none."""


def is_whole(path: Path) -> bool:
    """Whether a file is as long as its header says; True of files in other formats.

    The end of the last value counts, not the bytes that fill up the last four.
    """
    with path.open("rb") as file:
        form = MAGIC.get(file.read(4))
        if form is None:
            return True
        try:
            needed = _Header(file, *form).end()
        except (EOFError, KeyError, IndexError):
            return False
    return path.stat().st_size >= needed


class _Header:
    """Reads a header from behind its first four bytes.

    Raises:
        EOFError: the file ends before its header does, or the header cannot be meant.
    """

    def __init__(self, file: BinaryIO, count: int, offset: int) -> None:
        self._file, self._count, self._offset = file, count, offset

    def end(self) -> int:
        """Bytes up to the last value, or to the end of the header."""
        records = self._number(self._count)
        lengths = [self._dimension() for _ in range(self._list())]
        self._attributes()
        variables = [self._variable(lengths) for _ in range(self._list())]
        end = self._file.tell()
        along = [size for size, _, recorded in variables if recorded]
        # A single variable of records is not filled up to four bytes.
        record = along[0] if len(along) == 1 else sum(4 * math.ceil(size / 4) for size in along)
        for size, begin, recorded in variables:
            if not recorded:
                end = max(end, begin + size)
            elif 0 < records != UNKNOWN[self._count]:
                end = max(end, begin + (records - 1) * record + size)
        return end

    def _number(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), "big")

    def _bytes(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) < size:
            raise EOFError
        return found

    def _list(self) -> int:
        """Number of the entries of a list, behind its tag."""
        self._number(4)
        count = self._number(self._count)
        if count > MOST:
            raise EOFError
        return count

    def _skip(self, size: int) -> None:
        """Pass over bytes that are filled up to a multiple of four."""
        self._file.seek(4 * math.ceil(size / 4), 1)

    def _dimension(self) -> int:
        self._skip(self._number(self._count))
        return self._number(self._count)

    def _attributes(self) -> None:
        for _ in range(self._list()):
            self._skip(self._number(self._count))
            size = SIZES[self._number(4)]
            self._skip(size * self._number(self._count))

    def _variable(self, lengths: list[int]) -> tuple[int, int, bool]:
        """Bytes (of records, of one of them), where they begin, and whether there are records."""
        self._skip(self._number(self._count))
        rank = self._number(self._count)
        if rank > MOST:
            raise EOFError
        shape = [lengths[self._number(self._count)] for _ in range(rank)]
        self._attributes()
        size = SIZES[self._number(4)]
        self._number(self._count)  # the size once more, which large variables do not hold
        begin = self._number(self._offset)
        recorded = bool(shape) and shape[0] == 0
        return size * math.prod(shape[1:] if recorded else shape), begin, recorded
