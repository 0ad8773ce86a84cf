"""A predictor from its description, as it stands in the configuration and in every artifact."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from weightcast.core.config.predictor import AnyPredictor, PredictorSettings
from weightcast.core.nets.fno import FNO
from weightcast.core.nets.in_context import InContext
from weightcast.core.nets.input_layout import InputLayout
from weightcast.core.nets.mlp import MLP
from weightcast.core.nets.partial_differential_field import PartialDifferentialField
from weightcast.core.nets.polynomial_field import PolynomialField
from weightcast.core.nets.stencil import Stencil
from weightcast.core.nets.unet import UNet
from weightcast.core.nets.uno import UNO

_KINDS: dict[str, type[nn.Module]] = {"fno": FNO, "uno": UNO, "unet": UNet, "mlp": MLP, "stencil": Stencil}
NO_INPUTS = InputLayout()
# Architectures of methods of their own, which no configuration names.
_RIVALS: dict[str, type[nn.Module]] = {
    "in-context": InContext,
    "polynomial-field": PolynomialField,
    "partial-differential-field": PartialDifferentialField,
}


def describe_architecture(
    settings: AnyPredictor | PredictorSettings, channels: int, inputs: InputLayout = NO_INPUTS, history: int = 1
) -> dict[str, Any]:
    """What is needed to build the predictor again: JSON values.

    Args:
        settings: of the predictor.
        channels: of a frame.
        inputs: that it is shown beside the state.
        history: frames of a state: the last so many are seen.
    """
    driven = {"inputs": inputs.describe()} if inputs.shown else {}
    remembered = {"history": history} if history > 1 else {}
    return settings.model_dump(mode="json") | {"channels": channels} | remembered | driven


def build_predictor(architecture: dict[str, Any], seed: int = 0) -> nn.Module:
    """A freshly initialised predictor. The caller's random state is left as it was.

    One that sees several frames has the older ones behind the channels of the newest, and says by ``history`` how many
    they are together. One that is shown inputs has them behind the channels of the state, and says by ``input_layout``
    how they are shown. It returns the next frame alone.

    Raises:
        ValueError: there is no such predictor.
    """
    settings = {name: _tuples(value) for name, value in architecture.items() if name not in ("inputs", "history")}
    kind, layout = settings.pop("kind"), InputLayout.from_description(architecture.get("inputs"))
    history = architecture.get("history", 1)
    if not isinstance(history, int) or isinstance(history, bool) or history < 1:
        raise ValueError(f"history: found {history!r}, expected a whole number above 0")
    kinds = _KINDS | _RIVALS
    if kind not in kinds:
        raise ValueError(f"unknown kind of predictor: {kind!r}")
    if isinstance(settings.get("network"), dict):  # a network inside another
        settings["network"] = build_predictor(settings["network"], seed)
    beside = (history - 1) * settings.get("channels", 0) + layout.shown
    if beside and kind in _KINDS:
        settings["constants"] = settings.get("constants", 0) + beside
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = kinds[kind](**settings)
    if layout.shown:
        network.input_layout = layout  # type: ignore[assignment]
    if history > 1:
        network.history = history  # type: ignore[assignment]
    return network


def history_of(network: nn.Module) -> int:
    """How many frames a predictor sees, the newest among them; one where it was not said."""
    history = getattr(network, "history", 1)
    assert isinstance(history, int)
    return history


def input_layout_of(network: nn.Module) -> InputLayout:
    """How a predictor is shown inputs; without any where it was not said."""
    layout = getattr(network, "input_layout", NO_INPUTS)
    assert isinstance(layout, InputLayout)
    return layout


def _tuples(value: Any) -> Any:
    """JSON has lists alone; networks take pairs as tuples."""
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value
