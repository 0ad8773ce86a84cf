"""The weight graph: any supported module as one token per output unit, and back, exactly to the bit."""

from __future__ import annotations

from weightcast.core.graph.rules import Part, register
from weightcast.core.graph.weight_graph import Layer, WeightGraph

__all__ = ["Layer", "Part", "WeightGraph", "register"]
