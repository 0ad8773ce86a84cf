"""Systems of ordinary differential equations whose state is a vector of positive amounts.

Such a system is stored like every other, as fields, on a grid of 1 x 1 points.

Every trajectory is integrated on its own by DOP853, an explicit Runge-Kutta method of order 8 with error estimates of
order 5 and 3 and a dense output of order 7 (E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential
Equations I, 2nd ed., Springer 1993, section II.10; SciPy's), in float64. Solving a whole batch at once would let the
hardest trajectory choose the steps of all, and bits would then depend on what else is in the batch. A step's error is
controlled relative to each component's own size, down to a size that the system calls negligible: an amount that falls
to a thousandth may grow back from there, and what an absolute tolerance lets pass would grow with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.integrate import solve_ivp

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.systems import SystemSettings
from weightcast.systems.seeds import trajectory_generator
from weightcast.trajectories.record import Trajectories

# (time, state [component]) -> its rate of change, [component].
Rate = Callable[[float, NDArray[np.float64]], Sequence[float]]

# Per trajectory: hundreds of times what the systems here need, and half a minute.
_MOST_EVALUATIONS = 2_000_000


class OrdinarySettings(SystemSettings):
    """What the settings of all systems of ordinary differential equations have in common."""

    trajectories: int = Field(
        default=22, ge=1, description="trajectories per environment, each from its own random start"
    )
    frames: int = Field(default=61, ge=1, description="frames per trajectory, the start included")
    frame_step: float = Field(default=0.5, gt=0, description="time between frames")
    tolerance: float = Field(default=1e-10, ge=1e-13, le=1e-3, description="relative error allowed in a solver's step")

    @property
    def times(self) -> NDArray[np.float64]:
        """Times of the frames, counted from the start."""
        return self.frame_step * np.arange(self.frames, dtype=np.float64)


def uniform_starts(
    environment: str, low: ArrayLike, high: ArrayLike, settings: OrdinarySettings, seed: int
) -> NDArray[np.float64]:
    """Random starts, [trajectory, component]: independent, uniform between `low` and `high`, both [component]."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    generators = (trajectory_generator(seed, environment, index) for index in range(settings.trajectories))
    return np.stack([generator.uniform(low, high) for generator in generators])


def integrate(
    rates: Sequence[Rate],
    starts: NDArray[np.float64],
    environments: Sequence[str],
    settings: OrdinarySettings,
    negligible: float,
    system: str,
    signed: bool = False,
) -> NDArray[np.float64]:
    """Solve one system of equations per environment, from several starts each.

    Args:
        rates: right-hand side of every environment.
        starts: [environment, trajectory, component], none negative unless `signed`.
        environments: ids, for errors.
        settings: `frames`, `frame_step` and `tolerance` are used.
        negligible: the size below which a component need not be known to the relative tolerance; above 0.
        system: its name, for errors.
        signed: whether components may be negative: positions rather than amounts.

    Returns:
        [environment, trajectory, time, component], nowhere negative unless `signed`; a trajectory depends on its own
        rate and start alone.

    Raises:
        InputError: a solution cannot be followed (it grows without bound, or changes so fast that no feasible number of
            steps resolves it), or a component that may not becomes negative by more than rounding.
    """
    values = np.empty((*starts.shape[:2], settings.frames, starts.shape[2]))
    for row, (environment, rate) in enumerate(zip(environments, rates, strict=True)):
        for column, start in enumerate(starts[row]):
            try:
                values[row, column] = _solve(rate, start, settings, negligible, signed)
            except _UnresolvedError as error:
                raise InputError(
                    f"environment {environment}: the simulation found {error.what} at time {error.time:g}, expected a "
                    f"solution that can be followed up to time {settings.times[-1]:g} with tolerance "
                    f"{settings.tolerance:g} (settings of {system})"
                ) from None
    return values


def _solve(
    rate: Rate, start: NDArray[np.float64], settings: OrdinarySettings, negligible: float, signed: bool
) -> NDArray[np.float64]:
    """One trajectory, [time, component]."""
    times = settings.times
    if len(times) == 1:
        return start[None]
    evaluations = 0

    def watched(time: float, state: NDArray[np.float64]) -> NDArray[np.float64]:
        # The solver would answer a rate that is not finite by shrinking its steps, for ever if it meets one at once.
        nonlocal evaluations
        evaluations += 1
        found = np.array(rate(time, state))
        if not np.isfinite(found).all():
            raise _UnresolvedError("no finite rate of change", time)
        if evaluations > _MOST_EVALUATIONS:
            raise _UnresolvedError(f"no solution in {_MOST_EVALUATIONS} evaluations", time)
        return found

    with np.errstate(all="ignore"):
        solution = solve_ivp(
            watched,
            (times[0], times[-1]),
            start,
            method="DOP853",
            t_eval=times,
            rtol=settings.tolerance,
            atol=settings.tolerance * negligible,
        )
    states: NDArray[np.float64] = solution.y.T
    if not solution.success:
        raise _UnresolvedError("steps too short for the solver", float(solution.t[-1]) if len(solution.t) else 0.0)
    if signed:
        return states
    negative = (states < -negligible).any(axis=1)
    if negative.any():
        first = int(negative.argmax())
        raise _UnresolvedError(f"the negative value {states[first].min():g}", float(times[first]))
    return np.maximum(states, 0)


class _UnresolvedError(Exception):
    """A solution that cannot be followed beyond a time."""

    def __init__(self, what: str, time: float) -> None:
        super().__init__(what, time)
        self.what, self.time = what, time


def as_fields(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """States [..., time, component] as fields on one grid point, float32 [..., time, channel, y, x]."""
    return values.astype(np.float32)[..., None, None]


def point_trajectories(
    values: NDArray[np.float32],
    channels: tuple[str, ...],
    environment: Environment,
    settings: OrdinarySettings,
    units: dict[str, str] | None = None,
) -> Trajectories:
    """An environment's fields [trajectory, time, channel, 1, 1] as the record of its trajectories."""
    return Trajectories(
        values=values,
        channels=channels,
        time=settings.times,
        y=np.zeros(1),
        x=np.zeros(1),
        environment=environment.id,
        parameters=environment.parameters,
        units=units or {},
    )
