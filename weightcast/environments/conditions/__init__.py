"""What is known of an environment, as an embedding that networks are conditioned on.

A kind of condition is a module beside this one with a subclass of ``Condition``; its name stands in ``_KINDS`` and in
``ConditionName`` (weightcast/environments/config/condition.py). Weight maps, origin, VAE, diffusion, generator and
evaluation take a condition and do not ask which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weightcast.core.errors import InputError
from weightcast.environments.conditions.condition import Condition, Known
from weightcast.environments.conditions.parameters import ParametersCondition

__all__ = ["Condition", "Known", "build_condition", "new_condition"]

_KINDS: dict[str, type[Condition]] = {"parameters": ParametersCondition}


def new_condition(kind: str, visible: Sequence[Known], logarithmic: Sequence[str] = ()) -> Condition:
    """A condition made for the visible environments.

    Args:
        kind: a ``ConditionName``.
        visible: what is known of each visible environment.
        logarithmic: parameters whose logarithm counts.

    Raises:
        InputError: the environments lack what this kind needs.
    """
    return _KINDS[kind].of(visible, logarithmic)


def build_condition(description: Mapping[str, Any]) -> Condition:
    """A condition from its description, as artifacts hold it; learned tensors are still to be loaded.

    Raises:
        InputError: the kind is unknown.
    """
    kind = description.get("kind")
    if kind not in _KINDS:
        raise InputError(f"condition.kind: found {kind!r}, expected one of {', '.join(_KINDS)}")
    return _KINDS[kind].from_description(description)
