"""What the settings of every source of trajectories have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SystemSettings(BaseModel):
    """Settings of a system: known keys only, numbers finite and not written as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
