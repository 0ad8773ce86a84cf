"""``training.keep: best`` where nothing validates: refused before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from weightcast.core.config.settings import Settings
from weightcast.core.config.training import TrainingSettings
from weightcast.core.errors import InputError

if TYPE_CHECKING:
    from weightcast.environments.config.study import Study


def check_best(study: Study, source: str | Path) -> None:
    """Weights of the least validation error can be kept only by trainings that have validation trajectories.

    Raises:
        InputError: one keeps them, and has none; the message names it.
    """
    counts = study.data.trajectories
    trainings = dict(_trainings(study))
    for arm in study.generator.arms:
        for name, section in zip(("vae", "diffusion"), study.generator.of_arm(arm), strict=True):
            trainings |= _trainings(section, f"generator.arms.{arm}.{name}.")
    for field, training in trainings.items():
        if training.keep == "last":
            continue
        where = f"{source}: {field}.keep: found 'best', expected 'last'"
        if counts.validation == 0:
            raise InputError(f"{where}: data.trajectories.validation is 0")
        if field.startswith("zoo.") and counts.unseen_train is not None:
            raise InputError(
                f"{where}: unseen environments, which have experts for reference, have no validation trajectories with "
                "data.trajectories.unseen_train"
            )


def _trainings(section: Settings, prefix: str = "") -> Iterator[tuple[str, TrainingSettings]]:
    """The settings of every training in a section, each with its place in the configuration."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, TrainingSettings):
            yield f"{prefix}{name}", value
        elif isinstance(value, Settings):
            yield from _trainings(value, f"{prefix}{name}.")
