"""The tiny study with known inputs: fields that are pushed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tiny_chain import Chain, tiny_plan
from tiny_study import ROWS

from weightcast.trajectories import read_trajectories, write_trajectories


def push(trajectories: int, frames: int) -> np.ndarray:
    """What acts [trajectory, frame], at random."""
    return np.random.default_rng(7).standard_normal((trajectories, frames)).astype(np.float32)


def with_inputs(folder: Path) -> None:
    """Files of the tiny study whose fields are pushed by half of what acts at both ends of a step, and their inputs."""
    for id, _, beta in ROWS:
        found = read_trajectories(folder / f"{id}.nc")
        count, frames = found.values.shape[:2]
        acting = push(count, frames)[:, :, None, None, None] * np.ones_like(found.values[:, :, :1])
        steps = 0.5 * (acting[:, 1:] + acting[:, :-1])
        moved = np.concatenate([0 * acting[:, :1], steps], axis=1).cumsum(axis=1)
        height = np.full_like(acting, beta)
        values = np.concatenate([found.values + moved, acting, acting[::-1], height], axis=2)
        write_trajectories(
            folder / f"{id}.nc", replace(found, values=values, channels=("u", "v", "push", "level", "height"))
        )


def driven_chain(folder: Path, **changes: dict[str, Any]) -> Chain:
    """The chain of that study, with changes of sections of its configuration."""

    def change(config: dict[str, Any]) -> None:
        config["data"]["inputs"] = {"push": "horizon", "level": "past", "height": "constant"}
        config["baselines"]["in_context"] = None
        for section, keys in changes.items():
            config[section] = config[section] | keys

    plan = tiny_plan(folder, change)
    with_inputs(folder / "trajectories")
    return Chain(plan, folder)
