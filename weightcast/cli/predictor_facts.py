"""How large a study's networks are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PredictorFacts:
    """Attributes:
    weights: of the predictor.
    nodes: of its weight graph.
    generator_numbers: learned by VAE and diffusion together, by arm.
    """

    weights: int
    nodes: int
    generator_numbers: dict[str, int]
