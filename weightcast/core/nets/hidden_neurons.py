"""Which neurons of a network may change places without a change of what it computes."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class HiddenNeurons(Protocol):
    """A network that knows its hidden layers."""

    def hidden_neurons(self) -> list[list[tuple[str, int]]]:
        """List, for each hidden layer, the axes that its neurons lie along: (parameter, axis).

        Rows of the layer itself and columns of the next one alike.
        """
        ...
