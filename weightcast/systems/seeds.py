"""Random numbers that belong to a trajectory, wherever it stands in a batch."""

from __future__ import annotations

import hashlib

import numpy as np


def trajectory_generator(seed: int, environment: str, trajectory: int) -> np.random.Generator:
    """Random numbers for one trajectory of one environment.

    They depend on the study's seed, the environment's id and the trajectory's index alone, so that another environment
    or another trajectory in the table changes nothing. Python's own hash differs between processes: hence SHA-256.
    """
    digest = hashlib.sha256(environment.encode()).digest()
    words = [int.from_bytes(digest[start : start + 4], "little") for start in range(0, len(digest), 4)]
    return np.random.default_rng(np.random.SeedSequence([seed, trajectory, *words]))
