"""Which environments can be tested on: those that have what cases show, and held-out samples at times after it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.families.cases import cases_of, last_shown, scored_positions
from weightcast.families.config.evaluation import FamilyEvaluationSettings
from weightcast.families.config.study import FamilyStudy
from weightcast.families.snapshots import FamilySnapshots


def why_not_scored(snapshots: FamilySnapshots, id: str, settings: FamilyEvaluationSettings) -> str | None:
    """What an environment lacks; None if nothing, and it can be tested on."""
    try:
        cases = cases_of(snapshots, [id], settings.shown, 0)
        scored_positions(snapshots.environments[id], id, last_shown(cases, 0), settings)
    except InputError as error:
        return str(error)
    return None


def too_few_scorable(found: int, wanted: int) -> str:
    """The line that refuses it."""
    return (
        f"paths.left_out: found {found} visible environments with what evaluation.shown shows and times after it, "
        f"expected {wanted} or more to be left out"
    )


def check_cases(study: FamilyStudy, snapshots: FamilySnapshots, table: EnvironmentTable) -> list[str]:
    """Refuse environments that cannot be tested on as the evaluation says.

    Returns:
        warnings: of scored times that lie outside of all visible snapshots, where the map was never trained.

    Raises:
        InputError: an unseen environment lacks what is shown or scored, or too few visible ones have it.
    """
    for environment in table.unseen:
        wrong = why_not_scored(snapshots, environment.id, study.evaluation)
        if wrong is not None:
            raise InputError(wrong)
    ids = [environment.id for environment in table.visible]
    fit = sum(why_not_scored(snapshots, id, study.evaluation) is None for id in ids)
    if fit < study.paths.left_out:
        raise InputError(too_few_scorable(fit, study.paths.left_out))
    times = {id: snapshots.environments[id].times[snapshots.environments[id].observed] for id in ids}
    return [
        f"{environment.id}: found times from {own.min():g} to {own.max():g}, outside of those of visible snapshots, "
        f"{_first(times):g} to {_last(times):g}: at these a path is what the map makes of it"
        for environment in table.unseen
        for own in (snapshots.environments[environment.id].times,)
        if own.min() < _first(times) or own.max() > _last(times)
    ]


def _first(times: Mapping[str, np.ndarray]) -> float:
    return min(float(own[0]) for own in times.values())


def _last(times: Mapping[str, np.ndarray]) -> float:
    return max(float(own[-1]) for own in times.values())
