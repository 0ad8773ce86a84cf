"""Sources of trajectories: simulated systems and readers of real data, by name.

A system is a module that defines `SYSTEM`, named as the system is, with underscores. It is imported when it is asked
for, so that naming a system costs nothing and what only one of them needs may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from weightcast.core.config.system import SystemName, SystemSettings
from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.trajectories.record import Trajectories

SYSTEM_NAMES: tuple[SystemName, ...] = get_args(SystemName)

Settings = TypeVar("Settings", bound=SystemSettings)


@dataclass(frozen=True)
class System:
    """One source of trajectories.

    Attributes:
        name: as it stands in a config.
        parameter_names: columns that the table of environments must have.
        channels: of the trajectories, in order; settings with an attribute of this name have the say.
        settings: type of its settings; its fields' defaults are the default settings.
        trajectories: (environments, settings as a mapping, seed) -> one `Trajectories` per environment, in order, made
            one after the other. What it yields for an environment depends on that environment, the settings and the
            seed alone. Raises `InputError` for settings or environments that cannot be used.
        terms: if it is an ordinary differential equation of polynomials: (an environment's parameters, settings) ->
            coefficients by equation and term; see `weightcast.environments.explain.known_terms`.
        reads_files: whether trajectories also depend on files, which may be exchanged.
    """

    name: str
    parameter_names: tuple[str, ...]
    channels: tuple[str, ...]
    settings: type[SystemSettings]
    trajectories: Callable[[Sequence[Environment], Mapping[str, Any], int], Iterator[Trajectories]]
    terms: Callable[[Mapping[str, float], Mapping[str, Any]], dict[str, dict[str, float]]] | None = None
    reads_files: bool = False

    @property
    def default_settings(self) -> dict[str, Any]:
        return self.settings().model_dump()


def load_system(name: str) -> System:
    """The system with this name.

    Raises:
        InputError: there is none.
    """
    if name not in SYSTEM_NAMES:
        raise InputError(f"config: data.source: found {name!r}, expected one of {', '.join(SYSTEM_NAMES)}")
    system: System = import_module(f"{__name__}.{name.replace('-', '_')}").SYSTEM
    return system


def read_settings(kind: type[Settings], settings: Mapping[str, Any], system: str) -> Settings:
    """`settings` as the type `kind`, with defaults for what is not given.

    Raises:
        InputError: an unknown key or a value that does not fit; the message names the first.
    """
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "settings"
        if first["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields)
            raise InputError(f"settings of {system}: found unknown key {key!r}, expected some of {known}") from None
        raise InputError(f"settings of {system}: {key}: found {first['input']!r}, expected: {first['msg']}") from None


def require_parameters(environment: Environment, names: Sequence[str], system: str) -> None:
    """Raise an `InputError` unless the environment has the parameters `names`."""
    for name in names:
        if name not in environment.parameters:
            found = f"only {', '.join(environment.parameters)}" if environment.parameters else "none"
            raise InputError(
                f"environment {environment.id}: parameter {name}: found {found}, expected {', '.join(names)} for "
                f"the system {system}"
            )


def require_positive(values: ArrayLike, parameter: str, environments: Sequence[str], system: str) -> None:
    """Raise an `InputError` that names the first of `environments` whose parameter is not above 0.

    Args:
        values: of the parameter, [environment].
        parameter: its name.
        environments: ids.
        system: its name.
    """
    for environment, value in zip(environments, np.asarray(values, np.float64).tolist(), strict=True):
        if not value > 0:
            raise InputError(
                f"environment {environment}: parameter {parameter}: found {value:g}, expected a number above 0 for the "
                f"system {system}"
            )
