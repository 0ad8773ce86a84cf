"""The section ``opponents``: what inferred paths are compared with, beside what every study has."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import WIDEST, Settings
from weightcast.core.config.training import TrainingSettings

UNFITTED = {"ecology": "whose rates are known of whole alleles alone"}
"""Simulators whose rates nobody fits, and why."""


class RateFitSettings(Settings):
    """Knows the equations of a simulated system and all of its constants but those in which environments differ. It
    fits these to the shown samples alone, by their exact likelihood where theory knows the law, else by that of a
    normal law with the moments of moment closure. Then it simulates."""

    starts: int = Field(default=2, ge=1)
    """Searches, from the likeliest of some places around the middle of the visible range."""
    evaluations: int = Field(default=120, ge=10)
    """Likelihoods that a search (Nelder and Mead's) computes at most."""


class EnvironmentInterpolationSettings(Settings):
    """Interpolates visible environments, by the same weights in two ways: their samples, by optimal transport, and the
    weights of their learned paths. Weights come from the parameters, if there are any (those of Delaunay's
    triangulation), and from the likelihood of the shown samples."""

    nearest: int = Field(default=4, ge=1)
    """Visible environments, the likeliest ones, that may have a weight by likelihood."""
    steps: int = Field(default=60, ge=1)
    """Of the search for weights by likelihood."""
    samples: int = Field(default=400, ge=2)
    """Most samples of an environment at a time that are coupled; it takes time in about the third power of them."""


class ConditionalFlowSettings(Settings):
    """Multi-marginal flow matching with conditions (MMFM): one velocity network, told time and parameters, is fitted to
    splines through coupled samples of each visible environment's snapshots. For real states and known parameters."""

    training: TrainingSettings = TrainingSettings(steps=2000, learning_rate=0.002)
    """Of the network; its steps are the budget, once more where left-out environments choose the guidance."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Of its three hidden layers."""
    batch: int = Field(default=256, ge=1)
    """Points on splines in a step."""
    curves: int = Field(default=400, ge=2)
    """Most samples of a snapshot that are coupled, and splines of an environment."""
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of what is added to points on splines, in standard deviations of the data."""
    untold: float = Field(default=0.1, ge=0, lt=1)
    """Part of the training in which the network is not told the parameters."""
    guidances: list[Annotated[float, Field(ge=0)]] = Field(default=[1.0, 0.9, 1.1], min_length=1)
    """How far the velocity goes from that of any environment, 0, to that of the parameters, 1, or beyond. Of several,
    as many left-out visible environments as choose a map (``paths.left_out``) choose one by their W1."""


class TrendSettings(Settings):
    """Sees the shown samples of a new environment alone: kernels on them, as wide as makes each likeliest under the
    others, with means and deviations that go on from the last snapshot along a damped trend."""

    dampings: list[Annotated[float, Field(ge=0)]] = Field(default=[0, 0.5, 1, 2, 4], min_length=1)
    """How long a trend goes on after the last snapshot, in the time between the last two: 0 keeps the last law. Of
    several, visible environments that are shown as little choose one by their W1 at later times."""
    judges: int = Field(default=8, ge=1)
    """Visible environments that choose."""


class OpponentSettings(LaterSettings):
    later: ClassVar[tuple[str, ...]] = ("trend",)

    rate_fit: RateFitSettings | None = None
    """Fit of the rate constants, for simulated systems. null: none."""
    interpolation: EnvironmentInterpolationSettings | None = None
    """Interpolation of visible environments, of their samples and of their paths. null: none."""
    flow_matching: ConditionalFlowSettings | None = None
    """Multi-marginal flow matching with conditions. null: none."""
    trend: TrendSettings | None = None
    """What the shown samples alone say of later times, along a damped trend. null: none."""
