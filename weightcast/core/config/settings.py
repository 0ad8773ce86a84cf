"""What every section of the configuration has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationInfo

WIDEST = 8192
"""Greatest width of any layer: what is beyond it is a slip, or meant to exhaust a machine's memory."""
MOST_LAYERS = 128
"""Greatest number of layers, or levels, of any network."""
MOST_WEIGHTS = 100_000_000
"""Of a predictor: ten times the largest published one."""
MOST_NUMBERS = 10**9
"""Most numbers that a network that works on weights may consist of."""


class Settings(BaseModel):
    """A section: unknown keys are refused, numbers are finite, and nothing changes after loading.

    A number may be written as text, since YAML takes ``1e-5`` for text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


def fitting_layers(layers: int, info: ValidationInfo) -> int:
    """Check a number of layers beside the width that stands before it in the same section.

    Raises:
        ValueError: there would be more numbers than any machine of today can train.
    """
    width = int(info.data.get("width", 1))
    most = max(1, MOST_NUMBERS // (12 * width**2))  # a Transformer's layer, four square matrices and two of four times
    if layers > most:
        raise ValueError(f"input should be less than or equal to {most} where the width is {width}")
    return layers
