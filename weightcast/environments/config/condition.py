"""What a method may be told of an environment: the kinds of conditions, by the names that a configuration uses."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from weightcast.core.config.settings import WIDEST, Settings

ConditionName = Literal["parameters", "code", "frames", "label"]
"""``parameters``: the environment's parameters, scaled to the visible range. ``code``: numbers learned for each visible
environment, and inferred from frames for others (the section ``context``). ``frames``: a few observed frames, through a
network that is trained with what it conditions. ``label``: how the environment's expert differs from the others', as a
regression tells it from a few observed frames. The kinds are the modules of weightcast.environments.conditions, one a
name, with underscores for dashes."""
CONDITIONS: tuple[ConditionName, ...] = get_args(ConditionName)
SHOWN_FRAMES: frozenset[str] = frozenset({"frames", "label"})
"""Kinds that are shown frames of every environment, unseen ones among them; the others never see any."""
SPANNED_ENVIRONMENTS = 64
"""Visible environments whose generated weights are spanned, at most, evenly among all: of weights there are many."""
SPANNED_COPIES = 6
"""Of these weights, while directions are found, in double precision."""
UNREGRESSED: frozenset[str] = frozenset({"frames"})
"""Kinds whose coordinates are what was observed itself, thousands of numbers with gaps, which no regression takes."""
LABELLED: frozenset[str] = frozenset({"label"})
"""Kinds that are made of the experts of an arm's base, so that no base can be told them."""


class FramesSettings(Settings):
    """What kinds that see frames are shown of an environment, and what is made of it (``frames``)."""

    frames: int = Field(default=10, ge=1, le=100_000)
    """Most frames of a trajectory that are looked at. So many, from the start of the first training trajectory, are
    shown in the evaluation; a training step shows a random number of them from a random place."""
    noise: list[Annotated[float, Field(ge=0)]] = Field(default=[0.0, 0.0, 0.01, 0.02, 0.05, 0.1], min_length=1)
    """Noise on frames in training, relative to the channels' spread: a training step draws one of these for each
    observation."""
    masked: float = Field(default=0.5, ge=0, lt=1)
    """Largest share of grid points that a training step hides, of every fourth observation."""
    spacings: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 1, 1, 1, 1, 2, 4], min_length=1)
    """Only every so many-th grid point is shown in a training step: one of these is drawn for each observation."""
    strides: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 1, 2], min_length=1)
    """Only every so many-th frame is shown in a training step."""
    statistics: bool = True
    """Use mean and trend of the frames' moments and structure functions."""
    responses: bool = True
    """Use a least-squares fit of the frames' rates of change by local terms: channels, products, Laplacians."""
    spectra: bool = True
    """Use the frames' low spectra, through a recurrent network."""
    modes: int = Field(default=3, ge=1, le=WIDEST)
    """Fourier modes along each axis, of these spectra."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Numbers of the embedding and of each branch's layers."""
    auxiliary_weight: float = Field(default=0.0, ge=0)
    """Weight of an additional loss in training: the environment's parameters must be read off the embedding, where the
    table has any. 0: without."""


class LabelSettings(Settings):
    """The surrogate label: principal components of the distances between what experts predict."""

    components: int = Field(default=1, ge=1, le=3)
    """Components that make the label."""
    states: int = Field(default=32, ge=1)
    """States of each visible environment on which the experts are compared."""
    observations: int = Field(default=16, ge=1)
    """Observations of each visible environment from which the regression of the label learns."""
    folds: int = Field(default=6, ge=2)
    """Of the cross-validation over visible environments that chooses the regression."""


class ConditionSettings(Settings):
    """Kinds of conditions that can be set."""

    frames: FramesSettings = FramesSettings()
    label: LabelSettings = LabelSettings()
