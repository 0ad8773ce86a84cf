"""The kinds of studies, and the JSON schema of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.job import StageSettings
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.study import Study
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.families.config.load import parse_family_study
from weightcast.families.config.study import FamilyStudy

AnyStudy = Study | TimeStudy | FamilyStudy

KINDS = ("environments", "time", "environments-time")


def kind_of(config: Any, source: str | Path = "config") -> str:
    """Which axes a study models weights along: ``environments`` (the default), ``time``, or both.

    Raises:
        InputError: another kind.
    """
    kind = config.get("kind", "environments") if isinstance(config, dict) else "environments"
    if kind not in KINDS:
        raise InputError(f"{source}: kind: found {kind!r}, expected one of {', '.join(KINDS)}")
    return str(kind)


def parse_any_study(config: dict[str, Any], source: str | Path = "config") -> AnyStudy:
    """Check a configuration of any kind.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    kind = kind_of(config, source)
    if kind == "environments-time":
        return parse_family_study(config, source)
    return parse_time_study(config, source) if kind == "time" else parse_study(config, source)


def load_any_study(path: str | Path) -> AnyStudy:
    """Read and check a configuration file of any kind.

    Raises:
        InputError: the file is missing, is not YAML, or is refused.
    """
    return parse_any_study(read_yaml(path), path)


def json_schema() -> dict[str, Any]:
    """The schema that Snakemake validates a configuration with, and that editors complete from."""
    every: TypeAdapter[AnyStudy] = TypeAdapter(AnyStudy)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | every.json_schema()


def stages_of() -> dict[str, dict[str, type[StageSettings]]]:
    """Every stage with the type of its settings, by the package that stages lie in."""
    from weightcast.environments import jobs as environments
    from weightcast.evolution import jobs as evolution
    from weightcast.families import jobs as families

    return {jobs.STAGES: jobs.JOBS for jobs in (environments, evolution, families)}


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
    if isinstance(study, FamilyStudy):
        from weightcast.families.jobs import FamilyPlan

        return FamilyPlan(study)
    from weightcast.environments.jobs import Plan

    return Plan.read(study, config)
