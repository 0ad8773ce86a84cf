"""A folder of `.npz` archives as the adaptation benchmarks publish them, small enough for unit tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TIME = 0.5 * np.arange(6)
SHAPES = {"train": (3, 4), "test": (3, 5), "ood_train": (2, 1), "ood_test": (2, 5)}
"""Environments and trajectories of each file."""


def states(name: str, state: tuple[int, ...] = (2,), frames: int = 6) -> np.ndarray:
    """Numbers that tell where they stand: hundreds of the environment, tens of the trajectory, ones of the file, tenths
    of the frame and thousandths of the state."""
    environments, trajectories = SHAPES[name]
    size = int(np.prod(state))
    values = (
        100.0 * np.arange(environments)[:, None, None, None]
        + 10.0 * np.arange(trajectories)[:, None, None]
        + list(SHAPES).index(name)
        + 0.1 * np.arange(frames)[:, None]
        + 0.001 * np.arange(size)
    )
    return values.reshape(environments, trajectories, frames, *state)


def write_npz_folder(folder: Path, state: tuple[int, ...] = (2,), **changed: dict[str, Any] | None) -> Path:
    """Write the four files.

    Args:
        folder: where.
        state: shape of a state.
        changed: arrays of a file by name, instead of its own; one that is None, or a file that is None, is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHAPES:
        arrays = {"X": states(name, state), "t": TIME}
        instead = changed.get(name, {})
        if instead is not None:
            arrays = {key: array for key, array in (arrays | instead).items() if array is not None}
            np.savez(folder / f"{name}.npz", **arrays)
    return folder
