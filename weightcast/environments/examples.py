"""What a training is shown of its environments, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.environments.conditions import Condition, Known


@dataclass(frozen=True)
class Examples:
    """Conditions of visible environments, as many different ones of each as its training data hold.

    A kind that sees frames sees others in every step: of another trajectory, from another start, more or fewer, with
    noise. Parameters are always the same.

    Attributes:
        condition: that is trained; None shows the coordinates in ``pool`` in every step.
        pool: what the condition draws from [environment, ...] (`Condition.pool`).
        targets: of its auxiliary loss [environment, ...]; None without one.
    """

    condition: Condition | None
    pool: Tensor
    targets: Tensor | None = None

    @classmethod
    def of(cls, run: Run, condition: Condition, known: Sequence[Known]) -> Examples:
        """Examples on a run's device.

        Args:
            run: whose device.
            condition: that is trained.
            known: what training may see of each environment (`weightcast.environments.known.training_known_of`).
        """
        targets = condition.targets(known)
        return cls(condition, run.place(condition.pool(known)), None if targets is None else run.place(targets))

    def draw(self, rows: Tensor, draws: Draws) -> Tensor:
        """Coordinates [row, coordinate] of environments, long [row], for one step."""
        return self.pool[rows] if self.condition is None else self.condition.drawn(self.pool, rows, draws)

    def auxiliary_loss(self, prepared: Tensor, rows: Tensor) -> Tensor:
        """What is added to the loss of a step, a scalar, for coordinates that were drawn of these environments."""
        if self.condition is None or self.targets is None:
            return prepared.new_zeros(())
        return self.condition.auxiliary_loss(prepared, self.targets[rows])
