"""What is known of an environment, as an embedding that networks are conditioned on.

A kind of condition is a module beside this one, named as ``ConditionName`` names the kind
(weightcast/environments/config/condition.py), whose subclass of ``Condition`` is called ``CONDITION``. Weight maps,
origin, VAE, diffusion, generator and evaluation take a condition and do not ask which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from weightcast.core.config.messages import shown
from weightcast.core.errors import InputError
from weightcast.environments.conditions.condition import Condition, Known
from weightcast.environments.config.condition import CONDITIONS, ConditionSettings

__all__ = ["Condition", "Known", "build_condition", "kind_of_condition", "new_condition"]

_MODULES = {"code": "codes"}
"""Of kinds whose own name is taken: by a module of the standard library."""


def kind_of_condition(name: str) -> type[Condition]:
    """The class of a kind.

    Args:
        name: a ``ConditionName``.
    """
    module = _MODULES.get(name, name.replace("-", "_"))
    kind: type[Condition] = import_module(f"{__name__}.{module}").CONDITION
    return kind


def new_condition(
    kind: str,
    visible: Sequence[Known],
    logarithmic: Sequence[str] = (),
    settings: ConditionSettings | None = None,
) -> Condition:
    """A condition made for the visible environments.

    Args:
        kind: a ``ConditionName``.
        visible: what is known of each visible environment.
        logarithmic: parameters whose logarithm counts.
        settings: of the kinds that can be set; their defaults if None.

    Raises:
        InputError: the environments lack what this kind needs.
    """
    return kind_of_condition(kind).of(visible, logarithmic, settings)


def build_condition(description: Mapping[str, Any]) -> Condition:
    """A condition from its description, as artifacts hold it; learned tensors are still to be loaded.

    Raises:
        InputError: the kind is unknown.
    """
    kind = description.get("kind")
    if kind not in CONDITIONS:
        raise InputError(f"condition.kind: found {shown(kind)}, expected one of {', '.join(CONDITIONS)}")
    return kind_of_condition(str(kind)).from_description(description)
