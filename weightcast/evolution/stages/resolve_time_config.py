"""The stage ``resolve_time_config``: the configuration as it was used, beside the results that it led to."""

from __future__ import annotations

from weightcast.core.outputs import YamlFile
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.evolution.jobs import ResolveTimeConfig


@stage("resolve_time_config")
def resolve_time_config(run: Run, settings: ResolveTimeConfig) -> YamlFile:
    """The configuration of a study across time, its defaults and overlays applied."""
    return YamlFile(settings.config)
