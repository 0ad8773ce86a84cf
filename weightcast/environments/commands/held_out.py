"""Which places of a table are held out: named ones, some at random, or those that differ most from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.environment_table import Role
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.core.place_names import place_id
from weightcast.core.seeds import derive_seed

FEWEST_VISIBLE = 2
RANDOM, FARTHEST = "random", "farthest"
VISIBLE_PART = 0.7
"""Of the environments, where nobody says it; the others are tested on."""


def hold_out(
    ids: Sequence[str], features: NDArray[np.float64], wanted: Sequence[str], count: int | None, seed: int
) -> tuple[dict[str, Role], str]:
    """The role of each place, and in words how it came to it.

    Args:
        ids: of the places.
        features: of each, [place, feature], by which the farthest are found.
        wanted: `random`, `farthest`, or names or ids of places.
        count: so many of the first two kinds; None: about 30 %.
        seed: of those at random.

    Raises:
        InputError: a name is no place, or fewer than two places stay visible.
    """
    if wanted in ([RANDOM], [FARTHEST]):
        most = len(ids) - FEWEST_VISIBLE
        number = len(ids) - drawn_visible(len(ids)) if count is None else count
        if not 1 <= number <= most:
            raise InputError(f"--held-out-count: found {number}, expected 1 to {most} of {len(ids)} places")
        if wanted == [RANDOM]:
            drawn = sorted(ids, key=lambda id: derive_seed(seed, "role", id))
            return _roles(ids, drawn[len(ids) - number :], "interpolation"), f"drawn at random with the seed {seed}"
        chosen = [ids[place] for place in farthest(features, number)]
        return _roles(ids, chosen, "extrapolation"), "the farthest from the others"
    if count is not None:
        raise InputError("--held-out-count: found it beside names of places, expected --held-out random or farthest")
    same = {id.lower(): id for id in ids}
    chosen = []
    for name in wanted:
        id = same.get(name.lower()) or same.get(place_id(name).lower())
        if id is None:
            raise InputError(
                f"--held-out: found no place {name!r}, expected random, farthest, or some of {listed(ids)}"
            )
        chosen.append(id)
    if len(ids) - len(set(chosen)) < FEWEST_VISIBLE:
        raise InputError(
            f"--held-out: found {len(set(chosen))} of {len(ids)} places, expected {FEWEST_VISIBLE} to stay"
        )
    return _roles(ids, chosen, "interpolation"), "as named"


def stated_roles(roles: Mapping[str, Role], ids: Sequence[str], table: Path) -> tuple[dict[str, Role], str]:
    """The role of each place as a table states it, and in words how it came to it.

    Args:
        roles: of all places of the table.
        ids: of those that are used.
        table: for messages.

    Raises:
        InputError: too few of them are visible, or none is held out.
    """
    found = {id: roles[id] for id in ids}
    visible = [id for id, role in found.items() if role == "visible"]
    if not FEWEST_VISIBLE <= len(visible) < len(ids):
        raise InputError(
            f"{table}: column role: found {len(visible)} visible of {len(ids)} places with enough records, expected "
            f"{FEWEST_VISIBLE} or more, and others to test on"
        )
    return found, f"as {table} has them"


def drawn_visible(count: int) -> int:
    """How many of so many environments are visible where nobody says it."""
    return max(2, round(VISIBLE_PART * count))


def inside_or_outside(roles: dict[str, Role], ids: Sequence[str], values: NDArray[np.float64]) -> dict[str, Role]:
    """Those that are held out by whether they lie in the visible range of every parameter.

    Args:
        roles: by id.
        ids: of the places.
        values: of their parameters [place, parameter].
    """
    seen = values[[roles[id] == "visible" for id in ids]]
    inside = ((values >= seen.min(0)) & (values <= seen.max(0))).all(1)
    return {
        id: "visible" if roles[id] == "visible" else "interpolation" if within else "extrapolation"
        for id, within in zip(ids, inside, strict=True)
    }


def farthest(features: NDArray[np.float64], count: int) -> list[int]:
    """Places farthest from the mean of those that stay, one after the other, features scaled by their spread."""
    spread = features.std(axis=0)
    scaled = features / np.where(spread > 0, spread, 1.0)
    left = list(range(len(features)))
    chosen: list[int] = []
    for _ in range(count):
        distances = np.linalg.norm(scaled[left] - scaled[left].mean(axis=0), axis=1)
        chosen.append(left.pop(int(distances.argmax())))
    return chosen


def statistics(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean, spread and correlation from a step to the next of each channel: [place, step, channel] -> [place, feature];
    NaN where a value is missing."""
    means, spreads = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
    deviations = values - means[:, None]
    products = np.nanmean(deviations[:, 1:] * deviations[:, :-1], axis=1)
    return np.concatenate([means, spreads, np.nan_to_num(products / np.maximum(spreads, 1e-12) ** 2)], axis=1)


def _roles(ids: Sequence[str], held_out: Sequence[str], role: Role) -> dict[str, Role]:
    return {id: role if id in held_out else "visible" for id in ids}
