"""What every section of the configuration has in common."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

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

    # A job is told by a few of a hundred types, and starts sooner if only these are built.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        own = handler.resolve_ref_schema(schema)
        for name, text in documented_keys(cls).items():
            own["properties"][name].setdefault("description", text)
        return schema


def documented_keys(section: type[BaseModel]) -> dict[str, str]:
    """What stands below each key of a section in its source: a string of its own, like a docstring.

    Pydantic reads these, too (``use_attribute_docstrings``), but of every type as soon as it is defined: half a second
    in each job, where only documentation wants them.
    """
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= _documented(kind)
    return {name: text for name, text in found.items() if name in section.model_fields}


def _documented(kind: type[Any]) -> dict[str, str]:
    module = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    (own,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    return {
        key.target.id: inspect.cleandoc(text.value.value)
        for key, text in zip(own.body, own.body[1:], strict=False)
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


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
