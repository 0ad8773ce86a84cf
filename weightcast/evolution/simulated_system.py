"""The simulator that a study across time names, as its settings make it."""

from __future__ import annotations

from weightcast.core.errors import InputError
from weightcast.samples.settings import SnapshotSettings
from weightcast.systems.stochastic import StochasticProcess, build_stochastic_system


def simulated_system(data: SnapshotSettings, source: object = "config") -> StochasticProcess:
    """The stochastic system of a study that simulates.

    Args:
        data: the section of the configuration.
        source: file that it was read from, named in the messages.

    Raises:
        InputError: a setting that the system does not have or that is out of its bounds, or names of dimensions that
            are not its own.
    """
    try:
        process = build_stochastic_system(data.source, data.settings)
    except InputError as error:
        raise InputError(f"{source}: data: {error}") from None
    if tuple(data.dimensions) != process.species:
        raise InputError(
            f"{source}: data.dimensions: found {', '.join(data.dimensions)}, expected {', '.join(process.species)} as "
            f"{data.source} has them"
        )
    return process
