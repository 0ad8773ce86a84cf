"""``weightcast check`` of a study across time."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.console.warning import warn
from weightcast.evolution.config.study import TimeStudy


def check_time_study(study: TimeStudy, source: Path) -> dict[str, list[str]]:
    """Check the data of a study across time.

    Args:
        study: its configuration.
        source: the file it was read from, for messages.

    Returns:
        its plan, subject by subject.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    # Imported here, so that a mistake in a configuration shows at once: this needs torch and xarray.
    from weightcast.evolution.commands.data_checks import check_file, check_simulator
    from weightcast.evolution.commands.study_plan import describe_time_plan

    data = check_file(study, source) if study.data.imported else check_simulator(study, source)
    for warning in data.warnings:
        warn(warning)
    return describe_time_plan(study, data)
