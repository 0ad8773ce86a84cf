"""What is known of the environments that a stage works on: what the table says, and frames if a condition sees any."""

from __future__ import annotations

from collections.abc import Sequence

from weightcast.environments.conditions import Known
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import Told
from weightcast.environments.labels import Labels


def known_of(settings: Told, trajectories: TrajectoryFolder | None, ids: Sequence[str] | None = None) -> list[Known]:
    """What is known of environments.

    Args:
        settings: of a stage: the table's rows, and how frames are read where a condition of the study sees them.
        trajectories: where these lie; None where no condition sees any.
        ids: environments among the settings', in this order; all of them if None.
    """
    table = settings.table
    rows = settings.environments if ids is None else [table[id] for id in ids]
    if settings.shown is None:
        return Known.of_rows(rows)
    assert trajectories is not None  # the rule of a stage that is told frames names the files
    count = settings.shown.conditions.frames.frames
    frames = trajectories.read_roles(rows, settings.shown.data, "train", count, trajectories=1)
    return [Known(row.parameters, shown, environment=row.id) for row, shown in zip(rows, frames, strict=True)]


def training_known_of(
    settings: Told,
    trajectories: TrajectoryFolder | None,
    ids: Sequence[str] | None = None,
    labels: Labels | None = None,
) -> list[Known]:
    """What a training may see of visible environments: where a condition sees frames, all that training data hold.

    Args:
        settings: of a stage, as for :func:`known_of`.
        trajectories: where these lie; None where no condition sees any.
        ids: environments among the settings', in this order; all of them if None.
        labels: of visible environments, where a condition is one.
    """
    table = settings.table
    rows = settings.environments if ids is None else [table[id] for id in ids]
    if settings.shown is None:
        return Known.of_rows(rows)
    assert trajectories is not None
    data = settings.shown.data
    frames = [trajectories.read_roles([row], data, "train", data.trained_frames)[0] for row in rows]
    return [
        Known(
            row.parameters,
            shown,
            label=None if labels is None else labels.of(row.id),
            environment=row.id,
            transforms=data.channel_transforms,
        )
        for row, shown in zip(rows, frames, strict=True)
    ]
