"""Codes of environments, for stages of arms and zoos that stand on a context base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import Known
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.context import Context
from weightcast.environments.history import embedded


def coded(base: BaseNetwork, known: Sequence[Known]) -> list[Known]:
    """What is known, and the code of each environment where a base is a context: the learned one of an environment that
    it was trained on, or else the most probable one, which is inferred from frames.

    Args:
        base: of any kind.
        known: of environments; with frames of those that the base was not trained on.
    """
    condition = base.condition
    if not isinstance(condition, CodeCondition):
        return list(known)
    unseen = [one for one in known if one.code is None and not condition.has(one.environment)]
    if not unseen:
        return list(known)
    shown = [one.frames for one in unseen if one.frames is not None]
    assert len(shown) == len(unseen)  # a study with codes sees frames
    states = embedded(torch.stack(shown), base.predictor.history)
    found = iter(Context.of(base).infer(states).best.cpu())
    return [
        replace(one, code=next(found)) if one.code is None and not condition.has(one.environment) else one
        for one in known
    ]
