"""The study as a file that its jobs read, kept under a name made of its content.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from weightcast.core.config.settings import Settings
from weightcast.core.environment_table import EnvironmentTable, write_environments
from weightcast.core.files import written_whole


def keep_study(folder: Path, study: Settings, table: EnvironmentTable | None = None) -> Path:
    """Write a study's configuration, and its table beside it, unless they are there; return the configuration's path.

    It is no output of a rule: Snakemake does not look for changed settings of jobs that wait for a rule that is to
    run, so one file that all jobs read would hide from them every edit of what it holds.

    Args:
        folder: where studies are kept.
        study: the configuration, checked.
        table: of its environments, if it has one.
    """
    text = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)
    rows = [(one.id, one.role, sorted(one.parameters.items())) for one in table or ()]
    digest = hashlib.sha256(f"{text}\0{rows}".encode()).hexdigest()
    config = folder / digest[:16] / "config.yaml"
    if not config.is_file():
        if table is not None:
            write_environments(config.with_name("environments.csv"), table)
        with written_whole(config) as partial:
            partial.write_text(text, encoding="utf-8")
    return config
