"""The stage ``evaluate_without_network``: forecasts that need no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from weightcast.core.environment_table import Environment
from weightcast.core.methods import OWN_PREFIX, SEASONAL_CLIMATOLOGY, SEASONAL_NAIVE, SEASONAL_PERSISTENCE
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.baselines.damped_persistence import DampedPersistence
from weightcast.environments.baselines.seasonal import SeasonalClimatology
from weightcast.environments.baselines.seasonal_naive import SeasonalNaive
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluation import Row, TestSet, TestSets
from weightcast.environments.jobs import EvaluateWithoutNetwork
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.seen_frames import SeenFrames


@stage("evaluate_without_network")
def evaluate_without_network(run: Run, settings: EvaluateWithoutNetwork, trajectories: TrajectoryFolder) -> Table:
    """Evaluate persistence, climatology and damped persistence, and where there is a calendar the first two by season,
    as well as all of these, and the seasonal naive forecast, of unseen places' own records: rows of metrics.csv.

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
    if data.source == "table":  # records of places, which are small
        test = TestSet.read(settings, trajectories, run.device)
        rows += own_rows(settings, trajectories, test)
        if data.calendar:
            rows += seasonal_rows(settings, trajectories, test, seen.all)
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
    data = settings.data

    def calendar(inputs: Tensor) -> Tensor:
        return inputs[:, :, :, -2 * len(data.calendar) :, 0, 0].to(seen.device)

    of_seen = trajectories.read_inputs(settings.with_role("visible"), data, "train", data.trained_frames)
    climatology = SeasonalClimatology.fit(seen, calendar(of_seen))
    normalisation = Normalisation.of(seen, transforms=data.channel_transforms)
    carried = SeasonalClimatology.fit(normalisation.transformed(seen), calendar(of_seen))
    unseen = [row for row in settings.environments if row.role != "visible"]
    own = {row.id: _Season.of(row, data, trajectories, normalisation, calendar) for row in unseen}
    steps = max(test.horizons) + 1
    of_test = calendar(trajectories.read_inputs_of_roles(settings.environments, data, "test", steps))
    for environment, frames, angles in zip(settings.ids, test.frames, of_test, strict=True):
        yield from test.rows(SEASONAL_CLIMATOLOGY, 0, environment, climatology(angles[:, 1:]))
        ahead = carried.carry(normalisation.transformed(frames[:, 0]), angles)
        yield from test.rows(SEASONAL_PERSISTENCE, 0, environment, normalisation.untransformed(ahead))
        if environment in own:
            season = own[environment]
            yield from test.rows(OWN_PREFIX + SEASONAL_CLIMATOLOGY, 0, environment, season.climatology(angles[:, 1:]))
            ahead = season.carried.carry(normalisation.transformed(frames[:, 0]), angles)
            own_ahead = normalisation.untransformed(ahead)
            yield from test.rows(OWN_PREFIX + SEASONAL_PERSISTENCE, 0, environment, own_ahead)
            repeated = season.naive(angles[:, 1:])
            if repeated is not None:  # the record is long enough
                yield from test.rows(OWN_PREFIX + SEASONAL_NAIVE, 0, environment, repeated)


def own_rows(settings: EvaluateWithoutNetwork, trajectories: TrajectoryFolder, test: TestSet) -> Iterator[Row]:
    """Rows of climatology and damped persistence of each unseen place's own record, as far as others train on theirs,
    which nobody knows of a place that is new: references."""
    data = settings.data
    for row in settings.environments:
        if row.role == "visible":
            continue
        record = trajectories.read_roles([row], data, "train", data.trained_frames).to(test.frames.device)
        damped = DampedPersistence.fit(record)
        mean = damped.climatology

        def climatology(initial: Tensor, steps: int, mean: Tensor = mean) -> Tensor:
            return mean.expand(len(initial), steps, *mean.shape)

        yield from evaluate_forecast(OWN_PREFIX + "climatology", test, climatology, [row.id])
        yield from evaluate_forecast(OWN_PREFIX + "damped-persistence", test, damped, [row.id])


@dataclass(frozen=True)
class _Season:
    """What an unseen place's own record says of its season, likewise.

    Attributes:
        climatology: by season.
        carried: the same of what predictors see.
        naive: the whole record, repeated.
    """

    climatology: SeasonalClimatology
    carried: SeasonalClimatology
    naive: SeasonalNaive

    @classmethod
    def of(
        cls,
        row: Environment,
        data: DataSettings,
        trajectories: TrajectoryFolder,
        normalisation: Normalisation,
        calendar: Callable[[Tensor], Tensor],
    ) -> _Season:
        angles = calendar(trajectories.read_inputs_of_roles([row], data, "train"))
        whole = trajectories.read_roles([row], data, "train").to(angles.device)
        trained = whole[:, :, : data.trained_frames]
        known = angles[:, :, : data.trained_frames]
        return cls(
            SeasonalClimatology.fit(trained, known),
            SeasonalClimatology.fit(normalisation.transformed(trained), known),
            SeasonalNaive.of(whole[0], angles[0]),
        )


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
