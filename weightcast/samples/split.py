"""Samples apart for training and for evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.samples.masses import masses_of
from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import SnapshotSettings
from weightcast.samples.snapshots import FEWEST_SAMPLES, Snapshots, check_snapshots

FEWEST_HELD_OUT = 2
MOST_STATES = 4096


def split_snapshots(samples: TimedSamples, settings: SnapshotSettings, seed: int) -> Snapshots:
    """Hold out part of the trajectories, the same at every time, or of the samples of each time, chosen at random.

    Which samples of a time are held out depends on the seed, that time and how many samples it has alone.

    Args:
        samples: as read.
        settings: ``held_out``, which times are seen, ``states`` and ``mass`` are used; ``file`` in messages.
        seed: of the study.

    Raises:
        InputError: there are too few times or samples, a dimension never varies, or a value is no such count as
            ``states`` says.
    """
    source = settings.file or "data"
    observed = np.array(settings.seen(len(samples.times)))
    _check_enough(samples, observed, settings.held_out, source)
    if settings.states is not None:
        _check_counts(samples, settings.states, source)
    train, held_out = [], []
    for time, values in zip(samples.times, samples.samples, strict=True):
        part = () if samples.trajectories else (repr(float(time)),)
        chosen = _choose(len(values), settings.held_out, derive_seed(seed, "held-out", *part))
        held_out.append(values[chosen])
        train.append(values[~chosen])
    snapshots = Snapshots(
        samples.times,
        observed,
        tuple(train),
        tuple(held_out),
        samples.dimensions,
        settings.states,
        samples.time_unit,
        samples.loadings,
        masses_of(samples, settings, source),
    )
    check_snapshots(snapshots, source)
    return snapshots


def samples_needed(held_out: float, train: int = FEWEST_SAMPLES) -> int:
    """Samples that a time must have for ``train`` of them to train, and two at least to evaluate, if any are held
    out."""
    if held_out == 0:
        return train
    # No smaller number rounds up to enough.
    number = max(0, int((train - 0.5) / (1 - held_out)) - 1, int((FEWEST_HELD_OUT - 0.5) / held_out) - 1)
    while number - round(held_out * number) < train or round(held_out * number) < FEWEST_HELD_OUT:
        number += 1
    return number


def _choose(number: int, held_out: float, seed: int) -> NDArray[np.bool_]:
    """[sample]: which are held out."""
    chosen = np.zeros(number, bool)
    chosen[np.random.default_rng(seed).permutation(number)[: round(held_out * number)]] = True
    return chosen


def _check_enough(samples: TimedSamples, observed: NDArray[np.bool_], held_out: float, source: str) -> None:
    for time, values, seen in zip(samples.times, samples.samples, observed, strict=True):
        train = FEWEST_SAMPLES if seen else 2
        needed = samples_needed(held_out, train)
        if len(values) < needed:
            raise InputError(
                f"{source}: time {time:g}: found {len(values)} samples, expected {needed} or more: at least {train} "
                f"to train besides those held out ({held_out:.0%})"
            )


def _check_counts(samples: TimedSamples, states: int, source: str) -> None:
    row_name = "trajectory" if samples.trajectories else "sample"
    for time, values in zip(samples.times, samples.samples, strict=True):
        wrong = (values < 0) | (values != np.round(values)) | (values >= states)
        if wrong.any():
            row, dimension = np.argwhere(wrong)[0]
            found = values[row, dimension]
            expected = f"a whole number from 0 to {states - 1} (data.states - 1)"
            if found >= MOST_STATES:
                expected = f"whole numbers from 0 to {MOST_STATES - 1} at most"
            raise InputError(
                f"{source}: time {time:g}, {row_name} {row}, dimension {samples.dimensions[dimension]}: found "
                f"{found:.15g}, expected {expected}, or state: real"
            )
