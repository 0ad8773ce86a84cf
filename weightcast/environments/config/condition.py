"""What a method may be told of an environment: the kinds of conditions, by the names that a configuration uses."""

from __future__ import annotations

from typing import Literal

ConditionName = Literal["parameters"]
"""``parameters``: the environment's parameters, scaled to the visible range. The kinds are the modules of
weightcast.environments.conditions."""
