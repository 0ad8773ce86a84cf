"""The stage ``resolve_config``: the configuration and the table as they were used, beside the results they led to."""

from __future__ import annotations

from typing import Any

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.outputs import YamlFile
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.config.load import parse_study
from weightcast.environments.jobs import ResolveConfig
from weightcast.environments.plan import check_packages


@stage("resolve_config")
def resolve_config(run: Run, settings: ResolveConfig, table: EnvironmentTable) -> dict[str, Any]:
    """Hand on what the study was run with: every job reads its settings from these files.

    Raises:
        InputError: a package is missing that a later job would need: said here, by the first job.
    """
    check_packages(parse_study(settings.config))
    return {"config": YamlFile(settings.config), "environments": table}
