"""The kinds of studies, and the JSON schema of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.job import StageSettings
from weightcast.environments.config.study import Study, parse_study
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.config.study import TimeStudy

KINDS = ("environments", "time")


def kind_of(config: Any, source: str | Path = "config") -> str:
    """Which axis a study models weights along: ``environments`` (the default) or ``time``.

    Raises:
        InputError: another kind.
    """
    kind = config.get("kind", "environments") if isinstance(config, dict) else "environments"
    if kind not in KINDS:
        raise InputError(f"{source}: kind: found {kind!r}, expected one of {', '.join(KINDS)}")
    return str(kind)


def parse_any_study(config: dict[str, Any], source: str | Path = "config") -> Study | TimeStudy:
    """Check a configuration of either kind.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    return parse_time_study(config, source) if kind_of(config, source) == "time" else parse_study(config, source)


def load_any_study(path: str | Path) -> Study | TimeStudy:
    """Read and check a configuration file of either kind.

    Raises:
        InputError: the file is missing, is not YAML, or is refused.
    """
    return parse_any_study(read_yaml(path), path)


def json_schema() -> dict[str, Any]:
    """The schema that Snakemake validates a configuration with, and that editors complete from."""
    either: TypeAdapter[Study | TimeStudy] = TypeAdapter(Study | TimeStudy)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | either.json_schema()


def stages_of() -> dict[str, dict[str, type[StageSettings]]]:
    """Every stage with the type of its settings, by the package that stages lie in."""
    from weightcast.environments import jobs as environments
    from weightcast.evolution import jobs as evolution

    return {environments.STAGES: environments.JOBS, evolution.STAGES: evolution.JOBS}


def load_plan(config: Path) -> Any:
    """What the jobs of a study are cut from.

    Args:
        config: the study's resolved configuration, ``results/<study>/config.yaml``.

    Raises:
        InputError: it, or the table beside it, cannot be used.
    """
    study = load_any_study(config)
    if isinstance(study, TimeStudy):
        from weightcast.evolution.jobs import TimePlan

        return TimePlan(study)
    from weightcast.environments.jobs import Plan

    return Plan.read(study, config)
