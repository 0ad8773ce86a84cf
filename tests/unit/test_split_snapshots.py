"""Samples apart for training and for evaluation, and what is refused of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refusals import refused

from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import SnapshotSettings
from weightcast.samples.snapshots import FEWEST_SAMPLES
from weightcast.samples.split import samples_needed, split_snapshots


def settings(**changes: Any) -> SnapshotSettings:
    given: dict[str, Any] = {"source": "npy", "file": "mine.npy", "state": "counts", "states": 300}
    return SnapshotSettings(**(given | {"dimensions": ["species_0", "species_1"]} | changes))


def timed(trajectories: bool = True, samples: int = 40, times: int = 3) -> TimedSamples:
    values = np.stack([np.arange(samples), 2 * np.arange(samples)], axis=1).astype(np.float64)
    return TimedSamples(
        np.arange(times, dtype=np.float64), (values,) * times, ("species_0", "species_1"), trajectories, {}, "h"
    )


def test_whole_trajectories_are_held_out() -> None:
    samples = timed()
    found = split_snapshots(samples, settings(held_out=0.25), seed=3)
    for train, held_out in zip(found.train, found.held_out, strict=True):
        assert (len(train), len(held_out)) == (30, 10)
        np.testing.assert_array_equal(train, found.train[0])
        np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])[:, 0]), np.arange(40))
    assert found.time_unit == "h"
    again = split_snapshots(samples, settings(held_out=0.25), seed=3)
    np.testing.assert_array_equal(found.train[1], again.train[1])
    other = split_snapshots(samples, settings(held_out=0.25), seed=4)
    assert not np.array_equal(found.train[1], other.train[1])


def test_samples_of_each_time_are_held_out() -> None:
    found = split_snapshots(timed(trajectories=False), settings(held_out=0.25), seed=0)
    assert not np.array_equal(found.train[0], found.train[1])
    assert {len(part) for part in found.held_out} == {10}


def test_every_so_many_times_are_observed() -> None:
    found = split_snapshots(timed(times=6), settings(observed_every=2), seed=0)
    assert found.observed.tolist() == [True, False, True, False, True, False]


@pytest.mark.parametrize("held_out", [0.01, 0.05, 0.2, 0.5, 0.9, 0.99])
def test_samples_needed(held_out: float) -> None:
    def enough(number: int) -> bool:
        return number - round(held_out * number) >= FEWEST_SAMPLES and round(held_out * number) >= 2

    needed = samples_needed(held_out)
    assert enough(needed)
    assert not enough(needed - 1)


def test_too_few_samples() -> None:
    split_snapshots(timed(samples=25), settings(), seed=0)
    with refused("mine.npy", "time 0", "found 24 samples, expected 25 or more", "at least 20 to train"):
        split_snapshots(timed(samples=24), settings(), seed=0)


def test_one_snapshot() -> None:
    with refused("mine.npy", "found 1 observed snapshot, expected 2 or more"):
        split_snapshots(timed(times=1), settings(), seed=0)
    with refused("mine.npy", "found 1 observed snapshot"):
        split_snapshots(timed(times=3), settings(observed_every=3), seed=0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-1, ("found -1", "from 0 to 299", "state: real")),
        (0.5, ("found 0.5", "whole number")),
        (300, ("found 300", "data.states - 1")),
        (100_000, ("found 100000", "0 to 4095 at most", "state: real")),
    ],
)
def test_values_that_are_no_counts(value: float, words: tuple[str, ...]) -> None:
    samples = timed()
    samples.samples[1][7, 1] = value
    with refused("mine.npy", "trajectory 7, dimension species_1", *words):
        split_snapshots(samples, settings(), seed=0)
    split_snapshots(samples, settings(state="real", states=None), seed=0)


def test_dimension_that_never_varies() -> None:
    samples = timed()
    samples.samples[0][:, 1] = 5
    with refused("mine.npy", "dimension species_1", "the one value 5"):
        split_snapshots(samples, settings(), seed=0)
