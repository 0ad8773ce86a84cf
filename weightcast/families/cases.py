"""What is shown of environments that nobody knows, and the times at which methods are then scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.families.config.evaluation import FamilyEvaluationSettings, ShownSettings
from weightcast.families.inference import ShownSamples
from weightcast.families.snapshots import EnvironmentSnapshots, FamilySnapshots, Samples


@dataclass(frozen=True)
class Case:
    """What a case shows of some environments.

    Attributes:
        name: of the case.
        ids: of the environments.
        times: of the snapshots shown, for each environment.
        samples: of each of these [sample, dimension], for each environment.
    """

    name: str
    ids: tuple[str, ...]
    times: tuple[tuple[float, ...], ...]
    samples: tuple[tuple[Samples, ...], ...]

    @property
    def shown(self) -> ShownSamples:
        """All of it, padded."""
        return ShownSamples.of(list(zip(self.times, self.samples, strict=True)))


def cases_of(
    snapshots: FamilySnapshots, ids: Sequence[str], settings: Mapping[str, ShownSettings], seed: int
) -> list[Case]:
    """What each case shows of these environments, of samples that no method is scored with.

    Raises:
        InputError: an environment lacks a snapshot that is to be shown.
    """
    found = []
    for name, shown in settings.items():
        times, samples = [], []
        for id in ids:
            own_times, own_samples = _shown(snapshots.environments[id], shown, id, name, seed)
            times.append(own_times)
            samples.append(own_samples)
        found.append(Case(name, tuple(ids), tuple(times), tuple(samples)))
    return found


def scored_positions(
    environment: EnvironmentSnapshots, id: str, last_shown: float, settings: FamilyEvaluationSettings
) -> list[int]:
    """Positions of the times of an environment at which methods are scored: after all that any case shows.

    Raises:
        InputError: there is none, or one without held-out samples.
    """
    found = []
    for position, time in enumerate(environment.times):
        wanted = settings.times is None or bool(np.isclose(settings.times, time, rtol=1e-9, atol=1e-12).any())
        if wanted and time > last_shown and len(environment.held_out[position]):
            found.append(position)
    if not found:
        raise InputError(
            f"{id}: found no time with held-out samples after what is shown of it, up to {last_shown:g}, expected one "
            "to score"
        )
    return found


def last_shown(cases: Sequence[Case], place: int) -> float:
    """The last time that any case shows of an environment, by its place among those of the cases."""
    return max(case.times[place][-1] for case in cases)


def _shown(
    environment: EnvironmentSnapshots, settings: ShownSettings, id: str, case: str, seed: int
) -> tuple[tuple[float, ...], tuple[Samples, ...]]:
    if settings.times is None:
        positions = [int(place) for place in np.flatnonzero(environment.observed)][: settings.snapshots]
    else:
        places = [environment.position(time) for time in settings.times]
        if None in places:
            missing = settings.times[places.index(None)]
            known = ", ".join(f"{time:g}" for time in environment.times)
            raise InputError(
                f"evaluation.shown.{case}: {id}: found no snapshot at {missing:g}, expected one of {known}"
            )
        positions = [place for place in places if place is not None]
    samples = []
    for number, position in enumerate(positions):
        values = environment.train[position]
        if environment.trajectories:  # other trajectories at every time: two snapshots are independent samples
            order = np.random.default_rng(derive_seed(seed, "shown", id)).permutation(len(values))
            rows = np.array_split(order, len(positions))[number]
        else:
            rows = np.random.default_rng(derive_seed(seed, "shown", id, position)).permutation(len(values))
        samples.append(values[rows[: settings.samples]])
    return tuple(float(environment.times[position]) for position in positions), tuple(samples)
