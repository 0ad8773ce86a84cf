"""How a state that an array holds is made of channels and a grid: published fields are often flattened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError

LEAST_SIDE = 8
"""Points along a side of the smallest square fields that a flattened state is taken for."""
RECOGNISED_CHANNELS = (1, 2)
"""Of the same; no number is both n x n and twice m x m."""

Layout = tuple[int, tuple[int, int]]
"""Number of channels, and points along (y, x)."""
Number = TypeVar("Number", bound=np.generic)


def recognise_layout(
    where: str, state: Sequence[int], channels: int | None = None, grid: tuple[int, int] | None = None
) -> Layout:
    """Channels and grid of a state.

    A flattened state of n x n or 2 x n x n numbers, n at least 8, is a field; any other is one of an ordinary
    differential equation, with a channel a number on a grid of 1 x 1.

    Args:
        where: the array is, for the message.
        state: shape of a state in the array: (number,), (channel, number) of 1 or 2 channels, (y, x), (channel, y, x),
            or (y, x, channel) where there are fewer than 8 numbers along the last alone.
        channels: how many there are, if the user says so.
        grid: points along (y, x), if the user says so.

    Raises:
        InputError: the state has no such channels or grid.
    """
    size = math.prod(state)
    if grid is not None:
        points = math.prod(grid)
        if size % points or channels not in (None, size // points):
            times = "a multiple of" if channels is None else f"{channels} x"
            raise InputError(
                f"{where}: found states of shape {tuple(state)}, expected {times} {grid[0]} x {grid[1]} numbers"
            )
        return size // points, grid
    found: Layout
    if len(state) == 2:
        side = _side(size, state[0]) if state[0] in RECOGNISED_CHANNELS else None
        found = (state[0], (side, side)) if side else (1, (state[0], state[1]))
    elif len(state) == 3:
        last = _channels_last(state)
        found = (state[2], (state[0], state[1])) if last else (state[0], (state[1], state[2]))
    elif channels is not None:
        side = _side(size, channels)
        found = (channels, (side, side)) if side else (size, (1, 1))
    else:
        sides = {number: _side(size, number) for number in RECOGNISED_CHANNELS}
        found = next(((number, (side, side)) for number, side in sides.items() if side), (size, (1, 1)))
    if channels not in (None, found[0]):
        raise InputError(
            f"{where}: found states of shape {tuple(state)}, expected {channels} numbers or square fields of "
            f"{channels} channels, as many as are named; --grid NY NX says how many points other fields have"
        )
    return found


def shape_state(values: NDArray[Number], lead: int, channels: int, grid: tuple[int, int]) -> NDArray[Number] | None:
    """Arrays of states as fields.

    Args:
        values: [..., *state], with as many leading axes as ``lead`` says; see :func:`recognise_layout`.
        lead: axes before those of the state.
        channels: how many there are.
        grid: points along (y, x).

    Returns:
        [..., channel, y, x], or None where the states have not so many numbers or are shaped otherwise.
    """
    y, x = grid
    state = values.shape[lead:]
    if _channels_last(state) and state == (y, x, channels):
        return np.moveaxis(values, -1, -3)
    shapes = [(channels * y * x,), (channels, y * x), (channels, y, x), *([(y, x)] if channels == 1 else [])]
    return values.reshape(*values.shape[:lead], channels, y, x) if state in shapes else None


def _channels_last(state: Sequence[int]) -> bool:
    return len(state) == 3 and state[2] < LEAST_SIDE <= min(state[0], state[1])


def _side(size: int, channels: int) -> int | None:
    """Points along a side, if the numbers are square fields of so many channels."""
    side = math.isqrt(size // channels)
    return side if side >= LEAST_SIDE and channels * side * side == size else None
