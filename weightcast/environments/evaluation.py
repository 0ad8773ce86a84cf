"""Test trajectories, rollouts of networks from them, and errors as rows of metrics.csv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from weightcast.core.device import stack_size
from weightcast.core.environment_table import Environment
from weightcast.core.run import Run
from weightcast.core.stored_tensor import Rows
from weightcast.environments.adaptation_scores import adaptation_scores
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.evaluated_frames import EvaluatedFrames, compared, read_driven
from weightcast.environments.evaluated_together import STACKED
from weightcast.environments.forecast_metrics import forecast_metrics
from weightcast.environments.jobs import Scoring
from weightcast.environments.missing_values import without_land
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.transform import Transforms

ACTIVATIONS = 64
"""Numbers that a network holds at once for each of a frame's, while it steps on a GPU: a generous guess."""

Row = dict[str, Any]


@dataclass(frozen=True)
class TestSet:
    """Test trajectories of a study.

    Attributes:
        study: name.
        split: role of each environment, by id.
        frames: [environment, trajectory, frame, channel, y, x], physical units, in the order of ``split``; NaN where a
            value is missing, or lies behind an input that is not known, or, behind the first frame, on land, so that no
            forecast can be compared with it.
        horizons: in frames.
        scored_after: the trained horizon in frames where forecasts are also scored as CoDA and GEPS score adaptation,
            else None.
        inputs: what steps are shown beside the state [environment, trajectory, frame, shown, y, x], likewise; None
            where the study has no inputs.
        before: frames before the first, as predictors see them behind it, newest first [environment, trajectory,
            channel of each, y, x]; None where they see one frame alone.
        land: where channels never have a value, bool [environment, 1, 1, channel, y, x]; None: nowhere.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    study: str
    split: dict[str, str]
    frames: Tensor
    horizons: Sequence[int]
    scored_after: int | None = None
    inputs: Tensor | None = None
    before: Tensor | None = None
    land: Tensor | None = None

    @property
    def starts(self) -> Tensor:
        """States that forecasts of predictors begin with [environment, trajectory, channel, y, x]."""
        first = self.frames[:, :, 0]
        return first if self.before is None else torch.cat([first, self.before], dim=2)

    def rows(self, method: str, seed: int, environment: str, forecast: Tensor) -> Iterator[Row]:
        """Rows of one forecast [sample * trajectory, step, channel, y, x] in physical units."""
        place = list(self.split).index(environment)
        frames = self.frames[place][:, : max(self.horizons) + 1]
        frames = frames.repeat(len(forecast) // len(frames), 1, 1, 1, 1)
        start, truth = frames[:, 0], frames[:, 1:]
        values = forecast_metrics(forecast, truth, self.horizons)
        if self.scored_after is not None:
            start = start if self.land is None else without_land(start, self.land[place, 0])
            values = chain(values, adaptation_scores(forecast, truth, start, self.scored_after, self.horizons))
        yield from self._rows(method, seed, environment, values)

    def ensemble_rows(
        self,
        method: str,
        seed: int,
        environment: str,
        members: Tensor,
        shares: Tensor,
        noise: Tensor | None = None,
        transforms: Transforms = (),
    ) -> Iterator[Row]:
        """Rows of an ensemble's forecasts, as a distribution.

        Args:
            method: name.
            seed: of it.
            environment: id.
            members: forecasts [member, trajectory, step, channel, y, x] in physical units.
            shares: of the members [member].
            noise: standard deviation of what forecasts are off by beyond the members' spread, physical units [step,
                channel]; of a channel that has a transform, of the transformed one.
            transforms: of the channels.
        """
        truth = self.frames[list(self.split).index(environment)][:, 1 : max(self.horizons) + 1]
        values = ensemble_metrics(members, shares, truth, self.horizons, noise, transforms)
        yield from self._rows(method, seed, environment, values)

    def _rows(
        self, method: str, seed: int, environment: str, values: Iterable[tuple[str, int, float]]
    ) -> Iterator[Row]:
        for metric, horizon, value in values:
            yield {
                "study": self.study,
                "method": method,
                "split": self.split[environment],
                "environment": environment,
                "seed": seed,
                "horizon": horizon,
                "metric": metric,
                "value": value,
            }

    @classmethod
    def read(cls, settings: Scoring, trajectories: TrajectoryFolder, device: torch.device) -> TestSet:
        """The test trajectories of every environment of the settings, on a device.

        Raises:
            InputError: a file cannot be used.
        """
        frames = max(settings.evaluation.horizons) + 1
        read = read_driven(trajectories, settings.environments, settings.data, frames, device)
        return cls.of(settings, settings.environments, *read)

    @classmethod
    def of(
        cls, settings: Scoring, environments: Sequence[Environment], driven: Tensor, land: Tensor | None = None
    ) -> TestSet:
        """Trajectories of some environments [environment, trajectory, frame, channel, y, x], as predictors take them,
        and where they are land (:class:`weightcast.environments.evaluated_frames.FramesBlock`)."""
        data = settings.data
        channels = len(data.channels)
        older = (data.history - 1) * channels
        frames, before, inputs = compared(driven, land).split([channels, older, data.layout.shown], dim=3)
        return cls(
            study=settings.study,
            split={environment.id: environment.role for environment in environments},
            frames=frames,
            horizons=settings.evaluation.horizons,
            scored_after=data.trained_frames - 1 if settings.evaluation.adaptation_scores else None,
            inputs=inputs if data.layout.shown else None,
            before=before[:, :, 0] if older else None,
            land=land,
        )


@dataclass(frozen=True)
class TestSets:
    """The test trajectories of a study, of as many environments at a time as memory holds.

    Attributes:
        settings: of the stage.
        frames: that are read.
    """

    __test__ = False  # not a test case either

    settings: Scoring
    frames: EvaluatedFrames

    @classmethod
    def read_by(cls, run: Run, settings: Scoring, trajectories: TrajectoryFolder) -> TestSets:
        """Those that a run scores, on its device; they are read when they are asked for."""
        frames = max(settings.evaluation.horizons) + 1
        return cls(settings, EvaluatedFrames(trajectories, settings.environments, settings.data, frames, run))

    def of(self, ids: Sequence[str]) -> Iterator[tuple[slice, TestSet]]:
        """Which of some environments, and a test set that has these; in the order in which they are asked for.

        Raises:
            InputError: a file cannot be used.
        """
        for block in self.frames.blocks(ids):
            yield block.asked, TestSet.of(self.settings, block.environments, block.driven, block.land)


@torch.no_grad()
def roll_out(
    weights: Rows,
    initial: Tensor,
    steps: int,
    predictor: StackedPredictor,
    normalisation: Normalisation,
    inputs: Tensor | None = None,
) -> Iterator[Tensor]:
    """Forecast of each network, in physical units.

    Args:
        weights: [network, weight]; of those that lie in files, as many are read as are rolled out at once.
        initial: first frames of each network [network, trajectory, channel, y, x], older ones, if any, behind the
            newest, in physical units, on the device.
        steps: frames to forecast.
        predictor: of the architecture, on that device.
        normalisation: of the predictor.
        inputs: what steps of each network are shown beside the state [network, trajectory, step, shown, y, x], in
            physical units; nothing, or None, where that is nothing.

    Yields:
        [trajectory, step, channel, y, x], network by network.
    """
    start, shown = normalisation.apply(initial), None
    if inputs is not None and predictor.layout.shown:
        shown = normalisation.apply_to_inputs(inputs)
    frame_numbers = start[0].numel() * (ACTIVATIONS + steps)
    stacked = stack_size(start.device, 4 * (weights.shape[1] + frame_numbers), on_cpu=STACKED)
    for first in range(0, len(weights), stacked):
        chunk = weights[first : first + stacked].to(start.device)
        driving = None if shown is None else shown[first : first + stacked]
        yield from normalisation.invert(predictor.rollout(chunk, start[first : first + stacked], steps, driving))
