"""``weightcast check`` of a study across time."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import Any

from weightcast.core.console.warning import warn
from weightcast.evolution.config.load import parse_time_study


def check_time_study(config: dict[str, Any], source: Path, timing: bool) -> dict[str, list[str]]:
    """Check configuration and data of a study across time.

    Args:
        config: as loaded from YAML.
        source: the file it was read from, for messages.
        timing: whether to measure how long a run would take here.

    Returns:
        its plan, subject by subject.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    study = parse_time_study(config, source)

    # What follows needs torch and xarray: imported here, so that a mistake in a configuration shows at once. The
    # pipeline's programs import much the same, each of them anew, and most run for seconds only.
    started = process_time()
    from weightcast.evolution.commands.data_checks import check_file, check_simulator
    from weightcast.evolution.commands.study_plan import describe_time_cost, describe_time_plan

    starting = process_time() - started

    data = check_file(study, source) if study.data.imported else check_simulator(study, source)
    for warning in data.warnings:
        warn(warning)
    subjects = describe_time_plan(study, data)
    if timing:
        subjects["cost"] = describe_time_cost(study, starting)
    return subjects
