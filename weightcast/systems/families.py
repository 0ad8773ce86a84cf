"""Families of stochastic systems: one system in many environments, which differ in two of its settings.

A family is a table of environments. Its 24 visible ones lie in a box of the two settings, on a rank-1 lattice in their
logarithms: 24 values of either setting, each taken once, and no two environments nearer than 0.22 of the box's side.
Of the unseen ones eight lie inside, each where it is farthest from all visible ones and those before it, and four
outside, a sixth of the side beyond one of the box's edges, the last beyond two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.environment_table import Environment, EnvironmentTable, Role
from weightcast.core.errors import InputError

VISIBLE, INSIDE = 24, 8
BEYOND = 1 / 6
"""How far outside environments lie beyond the edge, in sides of the box (of logarithms)."""
_OUTSIDE = ((1 + BEYOND, 0.3), (0.7, -BEYOND), (-BEYOND, 0.7), (1 + BEYOND, 1 + BEYOND))
_STEP, _SHIFT = 5, 2
"""Of the lattice: no step keeps points farther apart, and with this shift half a turn leaves the pattern as it is."""
_MARGIN, _FINENESS = 0.1, 81
"""Inside environments are chosen from a grid of so many points a side that keeps this distance from the edges."""
DIGITS = 4
"""Significant digits of a value in the table."""


@dataclass(frozen=True)
class VariedSetting:
    """One of the two settings in which a family's environments differ.

    Attributes:
        name: of the setting.
        lowest: of the visible environments, above 0.
        highest: of the visible environments.
    """

    name: str
    lowest: float
    highest: float

    def at(self, part: float) -> float:
        """The value at this part of the way from lowest to highest, evenly in logarithms, rounded."""
        value = self.lowest * np.exp(part * log(self.highest / self.lowest))
        return float(np.format_float_positional(value, DIGITS, unique=False, fractional=False))


FAMILIES: dict[str, tuple[VariedSetting, VariedSetting]] = {
    "epidemic": (VariedSetting("infection", 0.0018, 0.005), VariedSetting("recovery", 0.01, 0.09)),
    "toggle-switch": (VariedSetting("production", 25, 60), VariedSetting("binding", 4e-5, 4e-4)),
    "cascade-1": (VariedSetting("production", 6, 15), VariedSetting("transfer", 2.5, 8)),
    "birth-death": (VariedSetting("birth", 4, 16), VariedSetting("death", 0.4, 1.6)),
    "ornstein-uhlenbeck": (VariedSetting("relaxation", 0.3, 1.2), VariedSetting("noise", 0.4, 1.2)),
}
"""The two settings of each system's family, with the range of the visible environments."""


def family_table(system: str) -> EnvironmentTable:
    """The environments of a system's family; the same at every call, and on every machine.

    A row's parameters are settings of the system: `build_stochastic_system(system, environment.parameters)`.

    Args:
        system: one of `FAMILIES`.

    Returns:
        24 visible, 8 interpolation and 4 extrapolation environments, in this order; `save` writes them.

    Raises:
        InputError: a system without a family.
    """
    if system not in FAMILIES:
        raise InputError(f"family: found {system!r}, expected one of {', '.join(FAMILIES)}")
    first, second = FAMILIES[system]
    visible = _visible_places()
    chosen: tuple[tuple[Role, NDArray[np.float64]], ...] = (
        ("visible", visible),
        ("interpolation", _inside_places(visible)),
        ("extrapolation", np.array(_OUTSIDE)),
    )
    environments = []
    for role, places in chosen:
        for parts in places:
            values = {first.name: first.at(parts[0]), second.name: second.at(parts[1])}
            environments.append(Environment(_id(values), values, role))
    return EnvironmentTable(tuple(environments), (first.name, second.name), Path(f"{system}.csv"))


def _visible_places() -> NDArray[np.float64]:
    """Parts of the box's sides, [environment, setting], by the first one."""
    first = np.arange(VISIBLE)
    return np.stack([first, (_STEP * first + _SHIFT) % VISIBLE], axis=1) / (VISIBLE - 1)


def _inside_places(visible: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of a grid, one after the other the one that is farthest from all before it, [environment, setting]."""
    side = np.linspace(_MARGIN, 1 - _MARGIN, _FINENESS)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    nearest = np.linalg.norm(grid[:, None] - visible, axis=-1).min(1)
    chosen = []
    for _ in range(INSIDE):
        chosen.append(grid[nearest.round(9).argmax()])  # rounded: the first of equals, on every machine
        nearest = np.minimum(nearest, np.linalg.norm(grid - chosen[-1], axis=-1))
    return np.array(chosen)


def _id(values: dict[str, float]) -> str:
    """A file name of the values, as in `birth_4-death_0.4`."""
    return "-".join(f"{name}_{np.format_float_positional(value, trim='-')}" for name, value in values.items())
