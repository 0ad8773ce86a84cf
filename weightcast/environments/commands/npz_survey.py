"""What a folder of `.npz` archives of an adaptation benchmark holds."""

from __future__ import annotations

from collections.abc import Sequence

from weightcast.core.console.progress import progress
from weightcast.environments.commands.chosen_grid import Edges
from weightcast.environments.commands.data_survey import NO_GRID, Pace, Survey, check_sizes
from weightcast.environments.config.data import TrajectoryCounts
from weightcast.trajectories.npz import STATES, read_archive
from weightcast.trajectories.npz_folder import NpzFolder
from weightcast.trajectories.state_layout import recognise_layout


def survey_npz(folder: NpzFolder, channels: Sequence[str] | None, grid: tuple[int, int] | None) -> Survey:
    """Read every file to its end, and say what is in it.

    Args:
        folder: its heads fit each other.
        channels: names; None: x0, x1, ... of a state without a grid, channel_0, channel_1, ... of a field.
        grid: points along (y, x); None: see :func:`weightcast.trajectories.state_layout.recognise_layout`.

    Raises:
        InputError: states have no such channels or grid, a value is not finite, or there are too few frames.
    """
    train, _ = folder.visible
    where = f"{train.file}: {STATES}"
    number, grid = recognise_layout(where, train.state, None if channels is None else len(channels), grid)
    if channels is None:
        channels = [f"x{index}" if grid == NO_GRID else f"channel_{index}" for index in range(number)]
    frames = len(train.time)
    check_sizes(train.file, grid, frames)
    edges, pace = Edges(), Pace()
    for head in progress([head for pair in folder.pairs.values() for head in pair], "reading data"):
        archive = read_archive(head.file)
        for environment in range(head.environments):
            fields = archive.fields(environment, head.trajectories, channels, grid)
            edges.see(fields)
            if head is train:
                pace.see(fields)
    pairs = list(folder.pairs.values())
    counts = TrajectoryCounts(
        train=train.trajectories,
        validation=0,
        # All environments are tested on equally many.
        test=min(tested.trajectories for _, tested in pairs),
        unseen_train=folder.pairs["adapt"][0].trajectories if "adapt" in folder.pairs else None,
    )
    totals = [trained.trajectories + tested.trajectories for trained, tested in pairs]
    return Survey(
        "npz",
        tuple(channels),
        grid,
        (min(totals), max(totals)),
        (frames, frames),
        counts,
        edges.periodic,
        pace.substeps,
    )
