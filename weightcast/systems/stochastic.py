"""The stochastic systems by name, all simulated exactly: counts that jump, and real vectors that diffuse."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.systems.birth_death import birth_death
from weightcast.systems.bounds import ANY, NOT_NEGATIVE, POSITIVE, Bounds, checked_setting
from weightcast.systems.cascade import linear_cascade, saturating_cascade
from weightcast.systems.ecology import ALLELES, ecology
from weightcast.systems.epidemic import epidemic
from weightcast.systems.jump_process import JumpProcess, simulate_jumps
from weightcast.systems.linear_diffusion import LinearDiffusion, simulate_diffusion
from weightcast.systems.ornstein_uhlenbeck import ornstein_uhlenbeck
from weightcast.systems.toggle_switch import toggle_switch

StochasticProcess = JumpProcess | LinearDiffusion

STOCHASTIC_SYSTEMS: dict[str, Callable[..., StochasticProcess]] = {
    "epidemic": epidemic,
    "toggle-switch": toggle_switch,
    "cascade-1": linear_cascade,
    "cascade-2": saturating_cascade,
    "ecology": ecology,
    "birth-death": birth_death,
    "ornstein-uhlenbeck": ornstein_uhlenbeck,
}
_BOUNDS: dict[str, dict[str, Bounds]] = {
    "epidemic": {
        "season": Bounds(0, 1),  # a larger one would make rates negative
        **dict.fromkeys(("susceptible", "infected", "recovered"), NOT_NEGATIVE),
    },
    "ecology": dict.fromkeys(("first", "second"), Bounds(0, ALLELES - 1)),
    "birth-death": dict.fromkeys(("birth", "molecules"), NOT_NEGATIVE),
    "ornstein-uhlenbeck": {
        **dict.fromkeys(("mean", "rotation", "start"), ANY),
        "correlation": Bounds(-1, 1, open=True),
        "spread": NOT_NEGATIVE,
        "dimensions": Bounds(1, 2),
    },
}
"""Of settings that are bounded otherwise than by being positive."""


def build_stochastic_system(name: str, settings: Mapping[str, Any]) -> StochasticProcess:
    """The system with this name, with some of its constants changed.

    Args:
        name: one of `STOCHASTIC_SYSTEMS`.
        settings: constants by name: keyword arguments of the system's function.

    Raises:
        InputError: an unknown system or setting, or a value out of its bounds: a positive number (whole where the
            default is), unless it is among those that may be 0 or below, or may not be above a highest one.
    """
    known = system_settings(name)
    checked = {}
    for key, value in settings.items():
        if key not in known:
            raise InputError(f"settings of {name}: found unknown setting {key!r}, expected some of {', '.join(known)}")
        checked[key] = checked_setting(f"settings of {name}: {key}", value, known[key].bounds, known[key].whole)
    return STOCHASTIC_SYSTEMS[name](**checked)


class SystemSetting(NamedTuple):
    """A constant of a stochastic system.

    Attributes:
        bounds: that it has to lie in.
        whole: whether it counts something, as molecules at the start.
    """

    bounds: Bounds
    whole: bool


def system_settings(name: str) -> dict[str, SystemSetting]:
    """The constants of the system with this name, in the order of its function's arguments.

    Raises:
        InputError: an unknown system.
    """
    if name not in STOCHASTIC_SYSTEMS:
        raise InputError(f"stochastic system: found {name!r}, expected one of {', '.join(STOCHASTIC_SYSTEMS)}")
    bounds = _BOUNDS.get(name, {})
    return {
        key: SystemSetting(bounds.get(key, POSITIVE), isinstance(parameter.default, int))
        for key, parameter in inspect.signature(STOCHASTIC_SYSTEMS[name]).parameters.items()
    }


def default_times(process: StochasticProcess, count: int = 101) -> NDArray[np.float64]:
    """Equally spaced times from 0 to the horizon, [count].

    Raises:
        InputError: fewer than one.
    """
    if count < 1:
        raise InputError(f"number of times of {process.name}: found {count}, expected at least 1")
    return np.linspace(0, process.horizon, count)


def simulate(
    process: StochasticProcess, times: NDArray[np.float64], trajectories: int, seed: int
) -> NDArray[np.int64] | NDArray[np.float64]:
    """Simulate independent trajectories exactly, and record their states at the given times.

    Args:
        process: what to simulate, from its start at time 0.
        times: [time], at least 0 and ascending, in the units of the rates.
        trajectories: how many.
        seed: of the study; the same arguments give the same states.

    Returns:
        [trajectory, time, dimension]: whole numbers where the process counts.

    Raises:
        InputError: as `simulate_jumps` and `simulate_diffusion`.
    """
    if isinstance(process, JumpProcess):
        return simulate_jumps(process, times, trajectories, seed)
    return simulate_diffusion(process, times, trajectories, seed)
