"""Trajectories of many environments as normalised tensors, and the windows that trainings draw from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment
from weightcast.core.provenance import file_digest
from weightcast.core.run import Run
from weightcast.environments.config.data import DataSettings
from weightcast.environments.history import embedded
from weightcast.environments.inputs import shown_inputs
from weightcast.environments.jobs import Rows
from weightcast.environments.missing_values import WholeStarts, without_land
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.trajectory_manifest import TOGETHER, find_files
from weightcast.trajectories import Trajectories, read_trajectories
from weightcast.trajectories.checks import check_not_negative
from weightcast.trajectories.grouped import TrajectoryGroups

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class TrajectoryFolder:
    """The folder with the trajectories of all environments: an input of most stages.

    Manifests in it say which file an environment's lie in; of an environment that none names it is `<id>.nc`.
    """

    path: Path

    @classmethod
    def load(cls, path: Path) -> TrajectoryFolder:
        return cls(path)

    @classmethod
    def input_digest(cls, path: Path, settings: Rows) -> list[str]:
        """Digests of the files that hold the environments that a stage is told of."""
        folder = cls(path)
        return [file_digest(file) for file in dict.fromkeys(map(folder.file, settings.ids))]

    def file(self, environment: str) -> Path:
        """The file that an environment's trajectories lie in; one in the folder `together` has others as well."""
        return self._files.get(environment, self.path / f"{environment}.nc")

    def trajectories(self, environment: str, channels: Sequence[str] | None = None, gaps: bool = False) -> Trajectories:
        """All of an environment's trajectories; all channels unless some are named. With gaps values may be missing, as
        NaN.

        Raises:
            InputError: the file cannot be used.
        """
        return self._groups.trajectories(self.file(environment), environment, channels, gaps)

    def read(
        self,
        environments: Sequence[str],
        settings: DataSettings,
        part: Part,
        frames: int | None = None,
        inputs: bool = False,
    ) -> Tensor:
        """The trajectories of one part, of several environments.

        Args:
            environments: ids, in the order wanted.
            settings: counts of trajectories, channels, grid, frames, history; the counts must be those of the
                environments' role
                (``DataSettings.of_role``), which a visible one's are as they stand in the configuration.
            part: train, validation or test: consecutive trajectories of a file, in this order.
            frames: only the first so many that have a whole history; all of these if None.
            inputs: frames as predictors take them: the frames before each behind its own channels
                (:mod:`weightcast.environments.history`), and behind these what steps are shown of inputs
                (:mod:`weightcast.environments.inputs`). Otherwise each frame has its own channels alone.

        Returns:
            float32 [environment, trajectory, frame, channel, y, x] in physical units, on the CPU. Without trajectories
            to validate, the axis of trajectories is empty (:func:`any_trajectory`).

        Raises:
            InputError: a file cannot be used.
        """
        if not inputs:
            return self._read(environments, settings, part, frames, settings.channels)
        state, layout = self._states(environments, settings, part, frames), settings.layout
        if not layout.shown:
            return state
        following = None if frames is None else min(frames + 1, settings.frames)  # a step is shown where it leads to
        shown = shown_inputs(self.read_inputs(environments, settings, part, following), layout)
        return torch.cat([state, shown[:, :, :frames]], dim=3)

    def read_inputs(
        self, environments: Sequence[str], settings: DataSettings, part: Part, frames: int | None = None
    ) -> Tensor:
        """The inputs of the same trajectories, as they stand in the table.

        Returns:
            float32 [environment, trajectory, frame, column, y, x] in physical units, on the CPU; the columns are
            ``settings.input_columns``, known as ``settings.inputs`` says, and over the horizon where they are of the
            calendar. Without inputs there are no columns.

        Raises:
            InputError: a file cannot be used.
        """
        if settings.input_columns:
            return self._read(environments, settings, part, frames, settings.input_columns)
        state = self._read(environments, settings, part, frames, settings.channels)
        return state[:, :, :, :0]

    def land(
        self,
        environments: Sequence[str],
        settings: DataSettings,
        inputs: bool = False,
        device: torch.device | str = "cpu",
    ) -> Tensor | None:
        """Where fields never have a value, and frames hold the study's number (``data.land``).

        Args:
            environments: ids, in the order wanted.
            settings: of the study.
            inputs: of frames as predictors take them: of older frames and of what is shown of inputs, too.
            device: of the result.

        Returns:
            bool [environment, 1, 1, channel, y, x], as frames of these environments are laid out; None:
            nowhere.

        Raises:
            InputError: a file cannot be used.
        """
        if not settings.land:
            return None
        names = [*settings.channels, *(settings.input_columns if inputs else ())]
        masks = [self._groups.land(self.file(id), id, names) for id in environments]
        if all(mask is None for mask in masks):
            return None
        nowhere = np.zeros((len(names), *settings.grid), bool)
        found = torch.from_numpy(np.stack([nowhere if mask is None else mask for mask in masks]))[:, None, None]
        if not inputs:
            return found.to(device)
        states, columns = found.split([len(settings.channels), len(settings.input_columns)], dim=3)
        shown = [shown_inputs(columns, settings.layout)] if settings.layout.shown else []
        return torch.cat([*[states] * settings.history, *shown], dim=3).to(device)

    def _states(self, environments: Sequence[str], settings: DataSettings, part: Part, frames: int | None) -> Tensor:
        """Frames with those before them as further channels."""
        return embedded(self._read(environments, settings, part, frames, settings.channels, True), settings.history)

    def _read(
        self,
        environments: Sequence[str],
        settings: DataSettings,
        part: Part,
        frames: int | None,
        channels: Sequence[str],
        before: bool = False,
    ) -> Tensor:
        """Some variables of the files, in frames that have a whole history, or also in those before the first such."""
        earlier = settings.history - 1
        upto = None if frames is None else frames + earlier
        kept = slice(0 if before else earlier, upto)
        counts = settings.trajectories
        first = {"train": 0, "validation": counts.train, "test": counts.train + counts.validation}[part]
        chosen = slice(first, first + getattr(counts, part))
        expected: dict[str, Any] = {
            "channels": channels,
            "grid": settings.grid,
            "minimum_frames": settings.recorded_frames,
            "minimum_trajectories": counts.total,
            "gaps": settings.gaps is not None,
        }

        def blocks() -> Iterator[np.ndarray]:
            """Of one environment after the other, or of several that lie in one file [environment, ...]."""
            for file, together in groupby(environments, self.file):
                ids = list(together)
                group = self._groups.find(file)
                if group is not None:
                    values = group.read(ids, trajectories=chosen, frames=upto, **expected)[:, :, kept]
                    for id, own in zip(ids, values, strict=True):
                        check_not_negative(file, id, own, channels, settings.transforms)
                    yield values
                    continue
                for environment in ids:
                    trajectories = read_trajectories(file, environment=environment, **expected)
                    own = trajectories.values[chosen, kept]
                    check_not_negative(file, environment, own, channels, settings.transforms)
                    yield own[None]

        return _joined(blocks(), len(environments))

    @cached_property
    def _files(self) -> dict[str, Path]:
        return find_files(self.path)

    @cached_property
    def _groups(self) -> TrajectoryGroups:
        return TrajectoryGroups(TOGETHER)

    def read_roles(
        self,
        rows: Sequence[Environment],
        settings: DataSettings,
        part: Part,
        frames: int | None = None,
        trajectories: int | None = None,
        inputs: bool = False,
    ) -> Tensor:
        """The same of environments of several roles, whose files may hold different numbers of trajectories.

        Args:
            rows: of the table, in the order wanted.
            settings: as in the configuration.
            part: train, validation or test.
            frames: only the first so many; all if None.
            trajectories: only the first so many of the part; all if None, and then they must be equally many.
            inputs: as for :meth:`read`.
        """
        blocks = [
            self.read([row.id for row in alike], settings.of_role(role), part, frames, inputs)[:, :trajectories]
            for role, alike in groupby(rows, lambda row: row.role)
        ]
        return torch.cat(blocks)

    def read_inputs_of_roles(
        self, rows: Sequence[Environment], settings: DataSettings, part: Part, frames: int | None = None
    ) -> Tensor:
        """The inputs, likewise: see :meth:`read_inputs` and :meth:`read_roles`."""
        blocks = [
            self.read_inputs([row.id for row in alike], settings.of_role(role), part, frames)
            for role, alike in groupby(rows, lambda row: row.role)
        ]
        return torch.cat(blocks)

    def read_choosing(
        self, environments: Sequence[str], settings: DataSettings, frames: int | None = None, inputs: bool = False
    ) -> Tensor:
        """Trajectories of visible environments on which a choice is made that fine-tuning on the first one depends on.

        These are the validation trajectories. Without any, they are the training trajectories but for the first, and
        where there is no other, that one, of which fine-tuning has seen the first frames.
        """
        held_out = self.read(environments, settings, "validation", frames, inputs)
        if any_trajectory(held_out):
            return held_out
        return without_first(self.read(environments, settings, "train", frames, inputs))


def without_first(frames: Tensor) -> Tensor:
    """The trajectories of frames [environment, trajectory, frame, channel, y, x] but for the first, of which something
    was shown; it alone where there is no other."""
    return frames[:, 1:] if frames.shape[1] > 1 else frames


def any_trajectory(frames: Tensor | None) -> bool:
    """Whether there is a trajectory in frames [environment, trajectory, frame, channel, y, x], of which there may be no
    such tensor at all."""
    return frames is not None and frames.shape[1] > 0


class TrainingFrames(NamedTuple):
    """What a network of all visible environments is trained on, all [environment, trajectory, frame, channel, y, x],
    what it is shown of inputs behind the channels of the state.

    Attributes:
        normalisation: of the training frames.
        frames: of the training, normalised, on the run's device.
        held_out: validation's, likewise.
        digest: of the training frames in physical units.
    """

    normalisation: Normalisation
    frames: Tensor
    held_out: Tensor
    digest: str

    @classmethod
    def read(cls, run: Run, trajectories: TrajectoryFolder, ids: Sequence[str], data: DataSettings) -> Self:
        """The trained frames of environments. What stands on land is in them, and not in the normalisation: nobody
        measured it."""
        physical, held_out = (
            trajectories.read(ids, data, part, data.trained_frames, inputs=True) for part in ("train", "validation")
        )
        measured = without_land(physical, trajectories.land(ids, data, inputs=True))
        normalisation = Normalisation.of(measured, data.layout.shown, data.channel_transforms, data.history)
        del measured  # of which land has made a copy
        digest = tensor_digest(physical)
        frames, held_out = (run.place(normalisation.apply_in_place(each)) for each in (physical, held_out))
        return cls(normalisation, frames, held_out, digest)


def _joined(blocks: Iterator[np.ndarray], count: int) -> Tensor:
    """Blocks [environment, ...] of so many environments, one after the other, of which one is held beside the whole.

    Raises:
        RuntimeError: they are not alike.
    """
    found, filled = None, 0
    for block in blocks:
        values = torch.from_numpy(np.ascontiguousarray(block))
        if len(values) == count:
            return values
        found = values.new_empty(count, *values.shape[1:]) if found is None else found
        found[filled : filled + len(values)] = values
        filled += len(values)
    assert found is not None
    return found


def draw_windows(
    frames: Tensor,
    environments: Tensor,
    batch: int,
    length: int,
    draws: Draws,
    start_share: float = 0.0,
    starts: WholeStarts | None = None,
) -> Tensor:
    """Random windows of consecutive frames.

    Args:
        frames: [environment, trajectory, frame, channel, y, x].
        environments: long [member]; which environment each member draws from.
        batch: windows a member.
        length: frames a window.
        draws: source of the draw.
        start_share: of the windows that begin with a trajectory's first frame (`DataSettings.start_share`).
        starts: where windows of such frames may begin; None: anywhere.

    Returns:
        [member, batch, length, channel, y, x].
    """
    if starts is not None:
        trajectory, start = starts.draw(environments, batch, draws, start_share)
    else:
        trajectory, start = draw_places(frames, (len(environments), batch), length, draws, start_share)
    return windows_at(frames, environments, trajectory, start, length)


def draw_places(
    frames: Tensor, shape: tuple[int, int], length: int, draws: Draws, start_share: float
) -> tuple[Tensor, Tensor]:
    """Where windows begin: trajectory and first frame, each long of the given shape; see :func:`draw_windows`."""
    trajectory = draws.integers(frames.shape[1], *shape)
    start = draws.integers(frames.shape[2] - length + 1, *shape)
    if start_share > 0:
        start = torch.where(draws.uniform(*shape) < start_share, 0, start)
    return trajectory, start


def windows_at(frames: Tensor, environments: Tensor, trajectory: Tensor, start: Tensor, length: int) -> Tensor:
    """Windows at given places: ``trajectory`` and ``start`` are long [member, batch]; see :func:`draw_windows`."""
    time = start[..., None] + torch.arange(length, device=start.device)
    return frames[environments[:, None, None], trajectory[..., None], time]


def tensor_digest(frames: Tensor) -> str:
    """Digest of the numbers that a training sees: part of the name of its cached state and of its provenance."""
    return hashlib.sha256(frames.contiguous().numpy().data).hexdigest()
