"""The section ``opponents``: what inferred paths are compared with, beside what every study has."""

from __future__ import annotations

from pydantic import Field

from weightcast.core.config.settings import Settings

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


class OpponentSettings(Settings):
    rate_fit: RateFitSettings | None = None
    """Fit of the rate constants, for simulated systems. null: none."""
    interpolation: EnvironmentInterpolationSettings | None = None
    """Interpolation of visible environments, of their samples and of their paths. null: none."""
