"""What a method may be told of an environment: the kinds of conditions, by the names that a configuration uses."""

from __future__ import annotations

from typing import Literal, get_args

ConditionName = Literal["parameters", "code"]
"""``parameters``: the environment's parameters, scaled to the visible range. ``code``: numbers learned for each visible
environment, and inferred from frames for others (the section ``context``). The kinds are the modules of
weightcast.environments.conditions, one a name, with underscores for dashes."""
CONDITIONS: tuple[ConditionName, ...] = get_args(ConditionName)
SHOWN_FRAMES: frozenset[str] = frozenset()
"""Kinds that are shown frames of every environment, unseen ones among them; the others never see any."""
FRAMES = 10
"""How many frames such a kind is shown, from the start of an environment's first training trajectory."""
