"""The stochastic systems by name: vectors of counts that jump, simulated exactly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.systems.cascade import linear_cascade, saturating_cascade
from weightcast.systems.ecology import ecology
from weightcast.systems.epidemic import epidemic
from weightcast.systems.jump_process import JumpProcess
from weightcast.systems.toggle_switch import toggle_switch

STOCHASTIC_SYSTEMS: dict[str, Callable[..., JumpProcess]] = {
    "epidemic": epidemic,
    "toggle-switch": toggle_switch,
    "cascade-1": linear_cascade,
    "cascade-2": saturating_cascade,
    "ecology": ecology,
}
_MAY_BE_ZERO = {"susceptible", "infected", "recovered", "first", "second"}  # counts and alleles at the start


def build_stochastic_system(name: str, settings: Mapping[str, Any]) -> JumpProcess:
    """The system with this name, with some of its constants changed.

    Args:
        name: one of `STOCHASTIC_SYSTEMS`.
        settings: constants by name: keyword arguments of the system's function.

    Raises:
        InputError: an unknown system or setting, or a value that is not a positive number (whole where the default is;
            what is counted at the start may be 0).
    """
    if name not in STOCHASTIC_SYSTEMS:
        raise InputError(f"stochastic system: found {name!r}, expected one of {', '.join(STOCHASTIC_SYSTEMS)}")
    build = STOCHASTIC_SYSTEMS[name]
    defaults = {key: parameter.default for key, parameter in inspect.signature(build).parameters.items()}
    for key, value in settings.items():
        if key not in defaults:
            raise InputError(
                f"settings of {name}: found unknown setting {key!r}, expected some of {', '.join(defaults)}"
            )
        whole = isinstance(defaults[key], int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool) and isfinite(value)
        if not number or value < 0 or (value == 0 and key not in _MAY_BE_ZERO):
            lowest = "of at least 0" if key in _MAY_BE_ZERO else "above 0"
            kind = "whole" if whole else "finite"
            raise InputError(f"settings of {name}: {key}: found {value!r}, expected a {kind} number {lowest}")
    return build(**settings)


def default_times(process: JumpProcess, count: int = 101) -> NDArray[np.float64]:
    """Equally spaced times from 0 to the horizon, [count].

    Raises:
        InputError: fewer than one.
    """
    if count < 1:
        raise InputError(f"number of times of {process.name}: found {count}, expected at least 1")
    return np.linspace(0, process.horizon, count)
