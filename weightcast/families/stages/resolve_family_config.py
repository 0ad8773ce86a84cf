"""The stage ``resolve_family_config``: configuration and table as they were used, beside the results they led to."""

from __future__ import annotations

from typing import Any

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.outputs import YamlFile
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.families.jobs import ResolveFamilyConfig


@stage("resolve_family_config")
def resolve_family_config(run: Run, settings: ResolveFamilyConfig, table: EnvironmentTable) -> dict[str, Any]:
    """The configuration of a study of environments across time, its defaults and overlays applied, and its table."""
    return {"config": YamlFile(settings.config), "environments": table}
