"""Tensors larger than memory: rows that are read from a file when they are asked for, and rows that wait in one.

Stages compute with some rows of weights at a time. Whether these are a tensor in memory or lie in a file is told from
neither their shape nor how rows are asked for, so that one piece of code serves both.
"""

from __future__ import annotations

import json
import math
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from weightcast.core.errors import InputError

PIECE = 4 * 1024**2
"""Numbers that are mapped into memory at once, on the way to where they are wanted."""
_TYPES = {"F32": torch.float32, "F64": torch.float64}
_NAMES = {of_torch: name for name, of_torch in _TYPES.items()} | {
    **{torch.float16: "F16", torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8"},
    **{torch.uint8: "U8", torch.bool: "BOOL"},
}
_NUMPY: dict[torch.dtype, type] = {torch.float32: np.float32, torch.float64: np.float64}


class Rows(Protocol):
    """A tensor of which rows can be had: one in memory, or one of the classes below.

    Rows are asked for as of a tensor: by a number, a slice, a list or a tensor of numbers; where a row is a list of
    numbers, also with a slice of these behind a comma.
    """

    @property
    def shape(self) -> torch.Size:
        """The lengths of the axes."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> Tensor: ...


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: memory-mapped piece by piece, so that no more of it is in memory than was asked for.

    Attributes:
        path: of the file.
        start: of the first number, in bytes.
        shape: of the tensor.
        dtype: of its numbers.
        state: of the file when it was opened, by which a change of it is noticed.
    """

    path: Path
    start: int
    shape: torch.Size
    dtype: torch.dtype
    state: tuple[int, int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        return _read_rows(self, rows)

    def numel(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    def flattened(self) -> StoredTensor:
        """The same with the first two axes as one."""
        return replace(self, shape=torch.Size((math.prod(self.shape[:2]), *self.shape[2:])))

    def read_into(self, found: Tensor, rows: Tensor, columns: slice) -> None:
        """Copy rows, flat, or some of their numbers, into a tensor [row, number].

        Raises:
            InputError: the file is gone, or another one than was opened.
        """
        width = math.prod(self.shape[1:])
        first, last, _ = columns.indices(width)
        together = max(1, PIECE // max(1, width))
        for begin, end in _runs(rows, together):
            row = int(rows[begin])
            for left in range(first, last, PIECE):
                right = min(last, left + PIECE)
                numbers = self._mapped(row * width, (end - begin) * width).reshape(end - begin, width)
                found[begin:end, left - first : right - first] = torch.from_numpy(numbers[:, left:right])
                del numbers  # unmapped: what was read counts no more

    def pieces(self) -> Iterator[Tensor]:
        """All numbers in their order, some at a time [number]; each is valid until the next one."""
        for first in range(0, self.numel(), PIECE):
            yield torch.from_numpy(self._mapped(first, min(PIECE, self.numel() - first)))

    def _mapped(self, first: int, count: int) -> np.ndarray:
        kind = _NUMPY[self.dtype]
        try:
            with self.path.open("rb") as file:
                if _state(os.fstat(file.fileno())) != self.state:
                    raise InputError(f"{self.path}: found another file than was opened: was it changed meanwhile?")
                # Copy on write, of which nothing is written: torch takes no arrays that cannot be written.
                return np.memmap(file, kind, "c", self.start + first * np.dtype(kind).itemsize, (count,))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}): was it deleted meanwhile?") from None


class ScratchTensor:
    """A tensor that a stage fills row by row, in a file that has no name and is gone with the process.

    Args:
        folder: on whose disk it lies.
        shape: of the tensor.
    """

    def __init__(self, folder: Path, shape: Sequence[int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open for as long as the tensor is there)
        self.shape = torch.Size(shape)
        self.dtype = torch.float32
        self._file.truncate(4 * self.numel())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        return _read_rows(self, rows)

    def __setitem__(self, rows: Any, values: Tensor) -> None:
        """Put rows, or some of their numbers, where they belong: by the same as they are asked for."""
        rows, columns = rows if isinstance(rows, tuple) else (rows, slice(None))
        width = math.prod(self.shape[1:])
        first, last, _ = columns.indices(width)
        places = _places(rows, len(self))
        flat = values.detach().cpu().float().reshape(len(places), last - first)
        for place, row in zip(places.tolist(), flat, strict=True):
            os.pwrite(self._file.fileno(), row.contiguous().numpy().data, 4 * (place * width + first))

    def numel(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    def read_into(self, found: Tensor, rows: Tensor, columns: slice) -> None:
        """Copy rows, or some of their numbers; see :meth:`StoredTensor.read_into`."""
        width = math.prod(self.shape[1:])
        first, last, _ = columns.indices(width)
        for number, row in enumerate(rows.tolist()):
            found[number] = self._numbers(row * width + first, last - first)

    def pieces(self) -> Iterator[Tensor]:
        """All numbers in their order; see :meth:`StoredTensor.pieces`."""
        for first in range(0, self.numel(), PIECE):
            yield self._numbers(first, min(PIECE, self.numel() - first))

    def _numbers(self, first: int, count: int) -> Tensor:
        content = bytearray(os.pread(self._file.fileno(), 4 * count, 4 * first))
        return torch.frombuffer(content, dtype=torch.float32) if count else torch.empty(0)


@dataclass(frozen=True)
class JoinedRows:
    """Rows of several tensors [row, number], of which each has rows of the same length.

    Attributes:
        parts: the tensors.
        part_of: of each row, which one it is in [row].
        row_of: of each row, which one it is there [row].
    """

    parts: Sequence[Rows]
    part_of: Tensor
    row_of: Tensor

    @classmethod
    def of(cls, parts: Sequence[Rows]) -> JoinedRows:
        """All rows, in their order; of a part that is joined itself, those of its own parts."""
        flat, part_of, row_of = list[Rows](), list[Tensor](), list[Tensor]()
        for part in parts:
            own = part if isinstance(part, JoinedRows) else None
            part_of.append(len(flat) + (torch.zeros(len(part), dtype=torch.long) if own is None else own.part_of))
            row_of.append(torch.arange(len(part)) if own is None else own.row_of)
            flat += [part] if own is None else own.parts
        none = torch.zeros(0, dtype=torch.long)
        return cls(flat, torch.cat([none, *part_of]), torch.cat([none, *row_of]))

    @property
    def shape(self) -> torch.Size:
        """[row, number]."""
        return torch.Size((len(self.part_of), *self.parts[0].shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the numbers."""
        return dtype_of(self.parts[0])

    def __len__(self) -> int:
        return len(self.part_of)

    def __getitem__(self, rows: Any) -> Tensor:
        return _read_rows(self, rows)

    def take(self, rows: Sequence[int]) -> JoinedRows:
        """Some of the rows, which are still to be read."""
        chosen = torch.as_tensor(list(rows), dtype=torch.long)
        used = list(dict.fromkeys(self.part_of[chosen].tolist()))  # in the order in which they come now
        place = torch.zeros(len(self.parts), dtype=torch.long)
        place[used] = torch.arange(len(used))
        return JoinedRows([self.parts[part] for part in used], place[self.part_of[chosen]], self.row_of[chosen])

    def read_into(self, found: Tensor, rows: Tensor, columns: slice) -> None:
        """Copy rows, or some of their numbers; see :meth:`StoredTensor.read_into`."""
        parts, own = self.part_of[rows], self.row_of[rows]
        for part in parts.unique().tolist():
            chosen = (parts == part).nonzero()[:, 0]
            found[chosen] = self.parts[part][own[chosen], columns].flatten(1)


@dataclass(frozen=True)
class GroupedRows:
    """Rows [group * each, number] as [group, each, number].

    Attributes:
        rows: the rows.
        each: rows of a group.
    """

    rows: Rows
    each: int

    @property
    def shape(self) -> torch.Size:
        """[group, row, number]."""
        return torch.Size((len(self.rows) // self.each, self.each, *self.rows.shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the numbers."""
        return dtype_of(self.rows)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, groups: Any) -> Tensor:
        places = _places(groups, len(self))
        rows = self.each * places[:, None] + torch.arange(self.each)
        found = self.rows[rows.flatten()].reshape(len(places), *self.shape[1:])
        return found[0] if isinstance(groups, int) else found


def grouped(rows: Rows, each: int) -> Rows:
    """Rows [group * each, number] as [group, each, number]."""
    return rows.unflatten(0, (-1, each)) if isinstance(rows, Tensor) else GroupedRows(rows, each)


def flattened(groups: Rows) -> Rows:
    """The inverse of :func:`grouped`."""
    if isinstance(groups, Tensor):
        return groups.flatten(0, 1)
    return groups.rows if isinstance(groups, GroupedRows) else cast("StoredTensor", groups).flattened()


def taken(rows: Rows, chosen: Sequence[int] | Tensor) -> Rows:
    """Some rows, which are still to be read where they lie in a file."""
    places = _places(chosen, len(rows))
    return rows[places.to(rows.device)] if isinstance(rows, Tensor) else JoinedRows.of([rows]).take(places.tolist())


def column_blocks(rows: Rows, together: int) -> Iterator[Tensor]:
    """Some numbers of all rows after the others [row, number], so many at a time."""
    flat = rows.flatten(1) if isinstance(rows, Tensor) else rows
    numbers = math.prod(rows.shape[1:])
    for first in range(0, numbers, together):
        yield flat[:, first : first + together].flatten(1)


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file whose header has been read and found in order, by name."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        state = _state(os.fstat(file.fileno()))
    header.pop("__metadata__", None)
    return {
        name: StoredTensor(
            path, 8 + length + one["data_offsets"][0], torch.Size(one["shape"]), _TYPES[one["dtype"]], state
        )
        for name, one in header.items()
    }


def write_safetensors(path: Path, tensors: Mapping[str, Rows], metadata: Mapping[str, str]) -> None:
    """Write tensors, some of which may lie in files, without having one of these in memory whole, or any twice."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    # Wider types first, as the library has it: so each begins at a multiple of its width.
    ordered = sorted(tensors.items(), key=lambda one: (-dtype_of(one[1]).itemsize, one[0]))
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + math.prod(tensor.shape) * dtype_of(tensor).itemsize
        header[name] = {"dtype": _NAMES[dtype_of(tensor)], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for _, tensor in ordered:
            for piece in pieces(tensor):
                file.write(piece.numpy().data)


def pieces(tensor: Rows) -> Iterator[Tensor]:
    """All numbers of a tensor in their order, flat, as few at a time as memory is to hold."""
    if isinstance(tensor, Tensor):
        yield tensor.reshape(-1)
    elif isinstance(tensor, StoredTensor | ScratchTensor):
        yield from tensor.pieces()
    else:
        for row in range(len(tensor)):
            yield tensor[row].reshape(-1)


def dtype_of(tensor: Rows) -> torch.dtype:
    """The type of a tensor's numbers."""
    return getattr(tensor, "dtype", torch.float32)


def _read_rows(tensor: Any, rows: Any) -> Tensor:
    """Rows of a tensor that is read into another one; see :class:`Rows`."""
    rows, columns = rows if isinstance(rows, tuple) else (rows, slice(None))
    places = _places(rows, len(tensor))
    width = math.prod(tensor.shape[1:])
    first, last, _ = columns.indices(width)
    found = torch.empty(len(places), last - first, dtype=tensor.dtype)
    tensor.read_into(found, places, columns)
    if last - first == width:
        found = found.reshape(len(places), *tensor.shape[1:])
    return found[0] if isinstance(rows, int) else found


def _places(rows: Any, count: int) -> Tensor:
    """Numbers of rows that are asked for as of a tensor; a number stands for a list of one."""
    if isinstance(rows, slice):
        return torch.arange(count)[rows]
    places = torch.as_tensor([rows] if isinstance(rows, int) else rows).cpu()
    places = places.nonzero()[:, 0] if places.dtype == torch.bool else places.long()
    places = torch.where(places < 0, places + count, places)
    if len(places) and not 0 <= int(places.min()) <= int(places.max()) < count:
        raise IndexError(f"rows: found {rows}, expected numbers below {count}")
    return places


def _runs(rows: Tensor, most: int) -> Iterator[tuple[int, int]]:
    """Stretches of numbers that follow each other, at most so long, as (first, end) places in the list."""
    numbers = rows.tolist()
    begin = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1 or place - begin == most:
            yield begin, place
            begin = place


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns
