"""The section ``evaluation`` of a study across time."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings

Protocol = Literal[
    "gene-network",
    "dyngen",
    "emt",
    "mouse-hematopoiesis",
    "mouse-hematopoiesis-left-out",
    "embryoid-body-5",
    "embryoid-body-5-left-out",
    "embryoid-body-50",
    "embryoid-body-100",
    "cite-5",
    "cite-50",
    "multiome-5",
]
PathInterpolation = Literal["linear", "cubic", "pchip", "nearest"]


class TimeEvaluationSettings(LaterSettings):
    later: ClassVar[tuple[str, ...]] = ("draws", "published", "from_previous")

    samples: int = Field(default=1000, ge=2)
    """Drawn from each density; compared are at most as many as the data have for the sampling floor."""
    draws: Literal["random", "even"] = "random"
    """How they are drawn: ``random``, each by itself; ``even``, of scrambled Sobol points, so that every part of a law
    has as many of them as it should: what a weighted or a deterministic set of samples has as well."""
    every: int = Field(default=1, ge=1)
    """Every so many of the data's times is evaluated, besides the observed ones."""
    interpolations: list[PathInterpolation] = Field(default=["linear", "cubic", "pchip", "nearest"])
    """Paths through each kind of anchors, as baselines."""
    displacement: bool = True
    """Displacement interpolation of the samples by optimal transport, as a baseline."""
    flow_matching: bool = False
    """OT-CFM as a baseline, for real states; needs the extra ``flow-matching``."""
    leave_out: list[Annotated[int, Field(ge=1)]] = Field(default=[])
    """Inner snapshots, by number from 0, that everything is trained without once, and scored at."""
    forecast: bool = False
    """Whether the last snapshot is left out once and forecast by the first arm of the flow, beside the last snapshot
    before it, kept as it is; needs three snapshots."""
    from_previous: bool = False
    """Whether samples of the snapshot before, which trained nothing, are carried along to each snapshot and compared
    with its own; for real states."""
    published: list[Protocol] = Field(default=[])
    """Published protocols that the study follows, whose figures then stand beside its own in the report."""
    bootstrap: int = Field(default=2000, ge=100)
    """Resamples behind an interval."""
