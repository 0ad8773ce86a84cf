"""A predictor from its description, as it stands in the configuration and in every artifact."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from weightcast.config.predictor import PredictorSettings
from weightcast.nets.fno import FNO


def describe_architecture(settings: PredictorSettings, channels: int) -> dict[str, Any]:
    """What is needed to build the predictor again: JSON values."""
    return settings.model_dump(mode="json") | {"channels": channels}


def build_predictor(architecture: dict[str, Any], seed: int = 0) -> nn.Module:
    """A freshly initialised predictor. The caller's random state is left as it was."""
    settings = dict(architecture)
    kind = settings.pop("kind")
    if kind != "fno":
        raise ValueError(f"unknown kind of predictor: {kind!r}")
    settings["modes"] = tuple(settings["modes"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FNO(**settings)
