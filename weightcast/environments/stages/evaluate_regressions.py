"""The stage ``evaluate_regressions``: what linear autoregressions and boosted trees make of states without a grid.

They see what the study's networks see: the visible environments' training part, and of another environment the frames
that a case shows. Each is fitted to all visible environments together; drawn to an unseen one by its few frames; and,
as a reference, to the whole training part of the very environment. They end as forecasts, since trees are no weights.
Where a channel has a transform they see it through the same one, as anybody would fit them; settings are chosen there,
and scores are in the channel's own units.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch

from weightcast.core.methods import AUTOREGRESSION, OBSERVED, OWN_PREFIX, TREES
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.baselines.autoregression import AutoregressionFits
from weightcast.environments.baselines.boosted_trees import TreeFits
from weightcast.environments.baselines.next_frame import Fits, Fitted, Records, roll_out
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.dataset import Part, TrajectoryFolder
from weightcast.environments.evaluation import Row, TestSet
from weightcast.environments.jobs import EvaluateRegressions
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.observe import observe
from weightcast.environments.transform import Transforms, transformed, untransformed


@stage("evaluate_regressions")
def evaluate_regressions(run: Run, settings: EvaluateRegressions, trajectories: TrajectoryFolder) -> dict[str, Table]:
    """Fit, forecast and score: rows of metrics.csv, the same of each case, and what each method cost.

    Args:
        run: whose device scores are computed on; regressions are fitted on the CPU.
        settings: data, cases, what is fitted.
        trajectories: of all environments.
    """
    data, unseen = settings.data, settings.with_role("interpolation", "extrapolation")
    source = _Source(settings, trajectories)
    visible = settings.with_role("visible")
    train, held_out = source.records(visible, "train"), source.choosing(visible)
    test = TestSet.read(settings, trajectories, torch.device("cpu"))
    scored = _Scored(test, source.test(), source.transforms)
    short, judged = train.until(data.trained_frames), held_out.until(data.trained_frames)
    families = dict[str, Fits]()
    if settings.autoregression is not None:
        families[AUTOREGRESSION] = AutoregressionFits(short, judged, settings.autoregression)
    if settings.trees is not None:
        choosing = [visible.index(id) for id in settings.choosing]
        families[TREES] = TreeFits(short, judged, settings.trees, choosing)
    rows, costs = list[Row](), list[Row]()
    observed = list[Row]()
    for name, fits in families.items():
        started = time.monotonic()
        pooled = fits.pooled()
        spent = time.monotonic() - started
        costs.append(_cost(name, pooled, spent, 0.0))
        rows += scored.rows(name, settings.ids, pooled)
        if not unseen:
            continue
        started = time.monotonic()
        own = fits.own(source.records(unseen, "train").until(data.trained_frames))
        costs.append(_cost(OWN_PREFIX + name, own, 0.0, (time.monotonic() - started) / len(unseen)))
        rows += scored.rows(OWN_PREFIX + name, unseen, own)
        for number, case in enumerate(settings.cases):
            started = time.monotonic()
            drawn = fits.from_frames(source.observed(visible, case), train)
            seconds = time.monotonic() - started
            started = time.monotonic()
            shown = drawn(source.observed(unseen, case))
            of_case = list(scored.rows(name + OBSERVED, unseen, shown))
            observed += [{"case": case.name, **row} for row in of_case]
            if number == 0:  # as all that is made of frames, the first case stands in metrics.csv
                rows += of_case
                each = (time.monotonic() - started) / len(unseen)
                costs.append(_cost(name + OBSERVED, shown, spent + seconds, each))
    made = {"errors": Table.of_rows(rows), "costs": Table.of_rows(costs)}
    return made | ({"observed": Table.of_rows(observed)} if observed else {})


@dataclass(frozen=True)
class _Source:
    """Trajectories as regressions see them."""

    settings: EvaluateRegressions
    trajectories: TrajectoryFolder

    def records(self, ids: list[str], part: Part) -> Records:
        """All trajectories of a part."""
        rows = [self.settings.table[id] for id in ids]
        return self._of(self.trajectories.read_roles(rows, self.settings.data, part, inputs=True))

    def choosing(self, ids: list[str]) -> Records:
        """What choices are made on."""
        return self._of(self.trajectories.read_choosing(ids, self.settings.data, inputs=True))

    def test(self) -> Records:
        """What is forecast, of all environments."""
        return self.records(self.settings.ids, "test")

    def observed(self, ids: list[str], case: ObservedCase) -> Records:
        """What a case shows of environments: the same as to all others."""
        settings = self.settings
        rows = [settings.table[id] for id in ids]
        data = settings.data
        count = data.with_history(case.frames)
        whole = self.trajectories.read_roles(rows, data, "train", count, case.trajectories, inputs=True)
        inputs, transforms = data.layout.shown, data.channel_transforms
        return self._of(observe(whole, case, ids, settings.seed, inputs, transforms, data.history))

    @cached_property
    def transforms(self) -> Transforms:
        """Those of the channels that networks of all visible environments have."""
        data, visible = self.settings.data, self.settings.with_role("visible")
        if not data.transforms:
            return ()
        frames = self.trajectories.read(visible, data, "train", data.trained_frames)
        return Normalisation.of(frames, transforms=data.channel_transforms).transforms

    def _of(self, frames: torch.Tensor) -> Records:
        data = self.settings.data
        frames = transformed(frames.double(), tuple(self.transforms) * data.history)
        return Records.of(frames, len(data.channels), data.layout.held, data.history)


@dataclass(frozen=True)
class _Scored:
    """What forecasts are compared with, and what they are made of."""

    test: TestSet
    records: Records
    transforms: Transforms

    def rows(self, method: str, ids: list[str], fitted: Fitted) -> Iterator[Row]:
        """Rows of metrics.csv of a regression, in environments that its own ones stand for in this order."""
        position = {id: number for number, id in enumerate(self.test.split)}
        own = self.records.take([position[id] for id in ids])
        forecasts = torch.from_numpy(roll_out(fitted, own, max(self.test.horizons)))[..., None, None]
        for id, forecast in zip(ids, untransformed(forecasts, self.transforms).float(), strict=True):
            yield from self.test.rows(method, 0, id, forecast)


def _cost(method: str, fitted: Fitted, train_seconds: float, adapt_seconds: float) -> Row:
    return {
        "method": method,
        "parameters": fitted.numbers,
        "train_seconds": train_seconds,
        "adapt_seconds": adapt_seconds,
    }
