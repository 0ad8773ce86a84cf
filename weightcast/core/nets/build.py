"""A predictor from its description, as it stands in the configuration and in every artifact."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from weightcast.core.config.predictor import AnyPredictor, PredictorSettings
from weightcast.core.nets.fno import FNO
from weightcast.core.nets.in_context import InContext
from weightcast.core.nets.mlp import MLP
from weightcast.core.nets.partial_differential_field import PartialDifferentialField
from weightcast.core.nets.polynomial_field import PolynomialField
from weightcast.core.nets.stencil import Stencil
from weightcast.core.nets.unet import UNet
from weightcast.core.nets.uno import UNO

_KINDS: dict[str, type[nn.Module]] = {"fno": FNO, "uno": UNO, "unet": UNet, "mlp": MLP, "stencil": Stencil}
# Architectures of methods of their own, which no configuration names.
_RIVALS: dict[str, type[nn.Module]] = {
    "in-context": InContext,
    "polynomial-field": PolynomialField,
    "partial-differential-field": PartialDifferentialField,
}


def describe_architecture(settings: AnyPredictor | PredictorSettings, channels: int) -> dict[str, Any]:
    """What is needed to build the predictor again: JSON values."""
    return settings.model_dump(mode="json") | {"channels": channels}


def build_predictor(architecture: dict[str, Any], seed: int = 0) -> nn.Module:
    """A freshly initialised predictor. The caller's random state is left as it was."""
    settings = {name: _tuples(value) for name, value in architecture.items()}
    kind = settings.pop("kind")
    kinds = _KINDS | _RIVALS
    if kind not in kinds:
        raise ValueError(f"unknown kind of predictor: {kind!r}")
    if isinstance(settings.get("network"), dict):  # a network inside another
        settings["network"] = build_predictor(settings["network"], seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kinds[kind](**settings)


def _tuples(value: Any) -> Any:
    """JSON has lists alone; networks take pairs as tuples."""
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value
