"""The type that every kind of condition has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment
from weightcast.environments.config.condition import SHOWN_FRAMES, UNREGRESSED, ConditionSettings
from weightcast.environments.config.data import TransformName


@dataclass(frozen=True)
class Known:
    """What is known of one environment. A kind of condition takes from it what it needs.

    Attributes:
        parameters: value of each parameter, in the user's units; None where nobody knows them.
        frames: observed frames [trajectory, frame, channel, y, x] in physical units, NaN where a point was not seen;
            None where there are none.
        times: of the frames [frame], counted in the study's frames; consecutive ones if None.
        label: surrogate label [component] of a visible environment; None where it must be told from frames.
        code: learned with the visible environments, or inferred from frames [dimension]; None where there is none.
        environment: id in the study's table; None of one that is not in it.
        transforms: of the frames' channels (`DataSettings.channel_transforms`), of visible environments.
    """

    parameters: Mapping[str, float] | None = None
    frames: Tensor | None = None
    times: Tensor | None = None
    label: Tensor | None = None
    code: Tensor | None = None
    environment: str | None = None
    transforms: tuple[TransformName | None, ...] = ()

    @classmethod
    def of_rows(cls, environments: Sequence[Environment]) -> list[Known]:
        """What the table of environments alone says of each; stages ask `weightcast.environments.known.known_of`."""
        return [cls(parameters=environment.parameters, environment=environment.id) for environment in environments]


class Embedding(nn.Module, ABC):
    """Turns coordinates, numbers that say what is known of an environment, into what networks are told of it.

    Attributes:
        coordinates: numbers of an environment.
        width: numbers of an embedding.
    """

    coordinates: int
    width: int

    @abstractmethod
    def forward(self, prepared: Tensor) -> Tensor:
        """Coordinates [batch, coordinate] -> embeddings [batch, width]."""


class Condition(Embedding):
    """Turns what is known of environments into embeddings, in two steps.

    ``prepare`` makes tensors of what is known, without gradients: numbers in a sensible range. ``forward`` makes
    embeddings of those; its parameters are trained with the network that the condition is part of.

    Attributes:
        coordinates: numbers that ``prepare`` makes of an environment.
        width: numbers of an embedding.
    """

    @property
    def shown_frames(self) -> bool:
        """Whether ``prepare`` takes frames, so that nothing has to be searched for where some are observed."""
        return self.describe()["kind"] in SHOWN_FRAMES

    @property
    def regressable(self) -> bool:
        """Whether coordinates are a few finite numbers, as a regression takes them."""
        return self.describe()["kind"] not in UNREGRESSED

    @classmethod
    @abstractmethod
    def of(
        cls, visible: Sequence[Known], logarithmic: Sequence[str] = (), settings: ConditionSettings | None = None
    ) -> Self:
        """A condition for these visible environments."""

    @classmethod
    @abstractmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`describe`."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """JSON values that the condition is built again from, its kind among them."""

    @abstractmethod
    def prepare(self, known: Sequence[Known]) -> Tensor:
        """What is known of each environment -> coordinates [environment, coordinate], float32, on the CPU."""

    def pool(self, known: Sequence[Known]) -> Tensor:
        """What a training draws from, [environment, ...] on the CPU: the coordinates, unless a kind has more to show.

        Args:
            known: of the visible environments, with all of their training frames where frames are seen.
        """
        return self.prepare(known)

    def drawn(self, pool: Tensor, rows: Tensor, draws: Draws) -> Tensor:
        """Coordinates [row, coordinate] as one training step sees them, of environments that are rows of a pool."""
        return pool[rows]

    def targets(self, known: Sequence[Known]) -> Tensor | None:
        """What an auxiliary loss compares with, [environment, ...] on the CPU; None without such a loss."""
        return None

    def auxiliary_loss(self, prepared: Tensor, targets: Tensor) -> Tensor:
        """A scalar that is added to the loss in training: what coordinates say of the targets, where there are any."""
        return prepared.new_zeros(())

    @abstractmethod
    def towards(self, other: Condition) -> nn.Module:
        """A module from this condition's coordinates to another's of the same kind, made for other environments.

        A network keeps the condition that it was trained with; what is built on it may have been made when more
        environments were visible.
        """

    @abstractmethod
    def candidates(self) -> Tensor:
        """Coordinates [candidate, coordinate] over the visible range, from which a search for an environment starts."""

    @abstractmethod
    def named(self, prepared: Tensor) -> dict[str, float]:
        """Coordinates of one environment [coordinate] as numbers with names, in the user's units if they have any."""

    @abstractmethod
    def check(self, known: Known, source: str) -> list[str]:
        """Check what is known of an environment that somebody asks for.

        Returns:
            Warnings, such as that it lies outside the visible range.

        Raises:
            InputError: what the condition needs is missing or cannot be used; names ``source``.
        """
