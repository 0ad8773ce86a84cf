"""A predictor from its description, as it stands in the configuration and in every artifact."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from weightcast.core.config.predictor import AnyPredictor, PredictorSettings
from weightcast.core.nets.fno import FNO
from weightcast.core.nets.mlp import MLP
from weightcast.core.nets.stencil import Stencil
from weightcast.core.nets.unet import UNet
from weightcast.core.nets.uno import UNO

_KINDS: dict[str, type[nn.Module]] = {"fno": FNO, "uno": UNO, "unet": UNet, "mlp": MLP, "stencil": Stencil}


def describe_architecture(settings: AnyPredictor | PredictorSettings, channels: int) -> dict[str, Any]:
    """What is needed to build the predictor again: JSON values."""
    return settings.model_dump(mode="json") | {"channels": channels}


def build_predictor(architecture: dict[str, Any], seed: int = 0) -> nn.Module:
    """A freshly initialised predictor. The caller's random state is left as it was."""
    settings = {name: _tuples(value) for name, value in architecture.items()}
    kind = settings.pop("kind")
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of predictor: {kind!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _KINDS[kind](**settings)


def _tuples(value: Any) -> Any:
    """JSON has lists alone; networks take pairs as tuples."""
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value
