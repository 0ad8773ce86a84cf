"""What every section of the configuration has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A section: unknown keys are refused, numbers are finite, and nothing changes after loading.

    A number may be written as text, since YAML takes ``1e-5`` for text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
