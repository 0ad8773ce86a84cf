"""Which environments are visible and which are tested on, where nobody says it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from weightcast.core.environment_table import Role
from weightcast.core.errors import InputError
from weightcast.environments.commands.held_out import FARTHEST, RANDOM, hold_out, inside_or_outside
from weightcast.families.left_out import law_features
from weightcast.samples.record import TimedSamples

BY_LAW = "farthest-by-law"
"""Held out are those whose samples differ most, whatever is known of their parameters."""
FEWEST_VISIBLE = 3
"""One is left out to choose, and two are trained on meanwhile."""


def roles_of(
    samples: Mapping[str, TimedSamples], parameters: Mapping[str, Mapping[str, float]], arguments: argparse.Namespace
) -> tuple[dict[str, Role], str]:
    """The role of each environment, and in words how it came to it.

    Held out are those that are named, some at random, or those farthest from the others by their parameters or, where
    none are known, by their law. What is held out and lies beyond the visible range of a parameter is outside.

    Args:
        samples: of each environment by id.
        parameters: of each; none where none are known.
        arguments: ``--held-out``, ``--held-out-count``, ``--seed``.

    Raises:
        InputError: a name is no environment, or too few stay visible.
    """
    ids = list(samples)
    values = np.array([list(parameters[id].values()) for id in ids])
    wanted: Sequence[str] = arguments.held_out or [RANDOM]
    by_law = not values.size or wanted == [BY_LAW]
    if wanted == [BY_LAW]:
        wanted = [FARTHEST]
    if len(ids) <= FEWEST_VISIBLE:
        raise InputError(
            f"found {len(ids)} environments, expected {FEWEST_VISIBLE + 1} or more: {FEWEST_VISIBLE} to learn from and "
            "one to test on"
        )
    laws = law_features([(one.times, one.samples) for one in samples.values()]).reshape(len(ids), -1)
    features = laws if by_law else values
    roles, how = hold_out(ids, features, wanted, arguments.held_out_count, arguments.seed or 0)
    if wanted == [FARTHEST]:
        how += " by their law" if by_law else " by their parameters"
    visible = [id for id in ids if roles[id] == "visible"]
    if len(visible) < FEWEST_VISIBLE:
        raise InputError(f"--held-out: found {len(visible)} that stay visible, expected {FEWEST_VISIBLE} or more")
    if values.size:
        roles = inside_or_outside(roles, ids, values)
    return roles, how
