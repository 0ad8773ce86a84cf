"""The stage ``evaluate_without_network``: forecasts that need no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from weightcast.core.environment_table import Environment
from weightcast.core.methods import OWN_PREFIX, SEASONAL_CLIMATOLOGY, SEASONAL_PERSISTENCE
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.baselines.damped_persistence import DampedPersistence
from weightcast.environments.baselines.seasonal import SeasonalClimatology
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluation import Row, TestSet, TestSets
from weightcast.environments.jobs import EvaluateWithoutNetwork
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.seen_frames import SeenFrames


@stage("evaluate_without_network")
def evaluate_without_network(run: Run, settings: EvaluateWithoutNetwork, trajectories: TrajectoryFolder) -> Table:
    """Evaluate persistence, climatology and damped persistence, and where there is a calendar the first two by season,
    as well as climatologies of unseen environments' own records: rows of metrics.csv.

    Climatologies and damped persistence are of the channels' own units, in which they have the least squared error; but
    where a channel has a transform, a first frame is carried along the cycle as seen through it: a season then is a
    factor, as of a logarithm, and no amount that could make little negative.
    """
    data = settings.data
    tests = TestSets.read_by(run, settings, trajectories)
    seen = SeenFrames(trajectories, settings.with_role("visible"), data, run)
    mean = seen.mean()  # [channel, y, x]: an unseen environment has no climatology of its own

    def persistence(initial: Tensor, steps: int) -> Tensor:
        return initial[:, None].expand(-1, steps, -1, -1, -1)

    def climatology(initial: Tensor, steps: int) -> Tensor:
        return mean.expand(len(initial), steps, *mean.shape)

    forecasts: dict[str, Callable[[Tensor, int], Tensor]] = {
        "persistence": persistence,
        "climatology": climatology,
        "damped-persistence": DampedPersistence.of_environments(seen, mean),
    }
    rows = list[Row]()
    for name, forecast in forecasts.items():
        for chosen, test in tests.of(settings.ids):
            rows += evaluate_forecast(name, test, forecast, settings.ids[chosen])
    if data.calendar:  # of tables of records, which are small
        rows += seasonal_rows(settings, trajectories, TestSet.read(settings, trajectories, run.device), seen.all)
    return Table.of_rows(rows)


def seasonal_rows(
    settings: EvaluateWithoutNetwork, trajectories: TrajectoryFolder, test: TestSet, seen: Tensor
) -> Iterator[Row]:
    """Rows of climatology by season, and of first frames that are carried along its cycle.

    Args:
        settings: of the stage.
        trajectories: whose files say what the calendar says.
        test: what is forecast.
        seen: the visible environments' training frames [environment, trajectory, frame, channel, y, x].
    """
    data, columns = settings.data, 2 * len(settings.data.calendar)

    def calendar(inputs: Tensor) -> Tensor:
        return inputs[:, :, :, -columns:, 0, 0].to(seen.device)

    of_seen = trajectories.read_inputs(settings.with_role("visible"), data, "train", data.trained_frames)
    climatology = SeasonalClimatology.fit(seen, calendar(of_seen))
    normalisation = Normalisation.of(seen, transforms=data.channel_transforms)
    carried = SeasonalClimatology.fit(normalisation.transformed(seen), calendar(of_seen))
    unseen = [row for row in settings.environments if row.role != "visible"]
    own = {row.id: _own_climatology(row, data, trajectories, seen, calendar) for row in unseen}
    steps = max(test.horizons) + 1
    of_test = calendar(trajectories.read_inputs_of_roles(settings.environments, data, "test", steps))
    for environment, frames, angles in zip(settings.ids, test.frames, of_test, strict=True):
        yield from test.rows(SEASONAL_CLIMATOLOGY, 0, environment, climatology(angles[:, 1:]))
        if environment in own:
            yield from test.rows(OWN_PREFIX + SEASONAL_CLIMATOLOGY, 0, environment, own[environment](angles[:, 1:]))
        ahead = carried.carry(normalisation.transformed(frames[:, 0]), angles)
        yield from test.rows(SEASONAL_PERSISTENCE, 0, environment, normalisation.untransformed(ahead))


def _own_climatology(
    row: Environment,
    data: DataSettings,
    trajectories: TrajectoryFolder,
    like: Tensor,
    calendar: Callable[[Tensor], Tensor],
) -> SeasonalClimatology:
    """The climatology of an environment's own record, as far as others train on theirs, which nobody knows of a place
    that is new: a reference."""
    record = trajectories.read_roles([row], data, "train", data.trained_frames).to(like)
    inputs = trajectories.read_inputs_of_roles([row], data, "train", data.trained_frames)
    return SeasonalClimatology.fit(record, calendar(inputs))


def evaluate_forecast(
    method: str, test: TestSet, forecast: Callable[[Tensor, int], Tensor], environments: Sequence[str]
) -> Iterator[Row]:
    """Rows of a method without networks.

    Args:
        method: its name.
        test: what it is compared with.
        forecast: (initial [trajectory, channel, y, x], steps) -> [trajectory, step, channel, y, x].
        environments: ids.
    """
    for environment in environments:
        initial = test.frames[list(test.split).index(environment)][:, 0]
        yield from test.rows(method, 0, environment, forecast(initial, max(test.horizons)))
