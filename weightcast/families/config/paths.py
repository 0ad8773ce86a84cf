"""The section ``paths``: the map from an environment's code and a time to the weights of its density."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import WIDEST
from weightcast.core.config.training import TrainingSettings
from weightcast.families.config.path_zoo import PathZooSettings

MapKind = Literal["low-rank", "deep", "flow"]


class PathTraining(TrainingSettings):
    """Training of a map and of the codes together, by the likelihood of visible samples."""

    members: int = Field(default=64, ge=1)
    """Densities in a step: of environments, each at one of its snapshots, drawn at random."""
    batch: int = Field(default=24, ge=1)
    """Samples of each density in a step."""


class PathSettings(LaterSettings):
    later: ClassVar[tuple[str, ...]] = ("maps", "zoo")

    kinds: list[MapKind] = Field(default=["low-rank", "deep"], min_length=1)
    """Maps that are tried, of which left-out visible environments choose one. ``low-rank``: weights are linear in the
    code, with coefficients that depend on time; ``deep``: a network of code and time; ``flow``: a neural differential
    equation in time, whose start and velocity depend on the code. All reach the weights through ``rank`` directions."""
    code: int = Field(default=4, ge=1, le=32)
    """Numbers of a code: what one environment may differ in from another."""
    rank: int = Field(default=32, ge=1, le=4096)
    """Directions in the space of weights that the map moves in."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the map's two hidden layers."""
    maps: int = Field(default=1, ge=1, le=64)
    """Maps that a seed trains together, each from first weights and codes of its own. The ensemble of a new environment
    is of the codes of all of them: where they disagree, outside of the visible range above all, its bands are wider.
    1: one map, which does not know where it is wrong."""
    code_penalty: float = Field(default=1.0, ge=0)
    """Weight of the standard normal prior of codes in training, beside the likelihood of all samples."""
    left_out: int = Field(default=6, ge=1)
    """Visible environments that choose the map, the prior and how wide bands are; a map is trained once without
    them. Half of them lie at the edge: farthest outside of the others by their parameters or, where none are known, by
    their law."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Maps and codes are trained once for each; 0 or more, since files are named by them."""
    training: PathTraining
    """Training of every map, those that are only tried included."""
    zoo: PathZooSettings | None = None
    """Experts, a path for each visible environment, whose statistics make a second family of paths, which stands in the
    tables beside the first. null: none."""
