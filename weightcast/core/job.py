"""What one job of the pipeline is told: its stage, its slice of the configuration, its files.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole

LONG_JOB = 16 * 1024
"""Characters from which on a job is a file."""

Paths = Mapping[str, str | list[str]]


class StageSettings(Settings):
    """The slice of a study that one stage uses, and no more: what an edit of the configuration must touch to rerun it.

    Every stage has a type of its own, with a class method ``of(plan, **wildcards)`` that cuts it out of a study.
    """

    @cached_property
    def digest(self) -> str:
        """Digest of all values; equal settings have equal digests, whatever the order of their keys."""
        plain = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    @property
    def most_processes(self) -> int:
        """How many processes may share the stage's trainings: 1 where they cannot, else as many as a step has rows."""
        return 1


@dataclass(frozen=True)
class Job:
    """One run of a stage.

    Attributes:
        stage: its name.
        of: what tells it from other jobs of the stage, as the rule's wildcards do: arm, seed, base, ...
        inputs: paths by the names of the stage's arguments.
        outputs: paths by name; ``output`` where there is one.
        config: the study's resolved configuration, from which the stage's settings are cut; or None with ``settings``.
        settings: the settings themselves, for a job written by hand.
        settings_digest: of the settings that the job was planned with, if it is known.
        state: folder for the states of unfinished trainings; none are kept if None.
        device: as the configuration's ``device``, which it replaces; None: the configuration's.
    """

    stage: str
    of: Mapping[str, str] = field(default_factory=dict)
    inputs: Paths = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    config: str | None = None
    settings: Mapping[str, Any] | None = None
    settings_digest: str | None = None
    state: str | None = None
    device: str | None = None

    def to_json(self) -> str:
        """One line; what is empty is left out, but for settings of a stage that has none."""
        parts = {name: value for name, value in vars(self).items() if value or (name, value) == ("settings", {})}
        return json.dumps(parts)

    @classmethod
    def from_json(cls, text: str, source: str) -> Job:
        """Read what :meth:`to_json` wrote, or a person.

        Raises:
            InputError: it is not JSON, or not a job.
        """
        try:
            parts = json.loads(text)
        except ValueError as error:
            raise InputError(f"{source}: not JSON ({error}), expected a job") from None
        if not isinstance(parts, dict) or not isinstance(parts.get("stage"), str):
            raise InputError(f"{source}: stage: missing, expected a mapping with the name of a stage")
        known = set(cls.__dataclass_fields__)
        for name in parts:
            if name not in known:
                raise InputError(f"{source}: {name}: unknown key, expected one of {', '.join(sorted(known))}")
        if (parts.get("config") is None) == (parts.get("settings") is None):
            raise InputError(f"{source}: config: expected either a configuration or settings")
        if not parts.get("outputs"):
            raise InputError(f"{source}: outputs: missing, expected where the outputs go")
        return cls(**parts)


def keep_long_job(folder: Path, job: Job) -> str:
    """What the command of a job is given: its JSON, or, where that is long, the path of a file that holds it.

    Linux refuses a program an argument of more than 128 KiB.

    Args:
        folder: where files are kept, under names made of their content.
        job: of the pipeline.
    """
    text = job.to_json()
    if len(text) <= LONG_JOB:
        return text
    path = folder / f"{job.stage}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not path.is_file():
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    return str(path)


def read_job(argument: str) -> Job:
    """A job from the runner's argument: JSON itself, or the path of a file that holds it.

    Raises:
        InputError: there is no such file, or it is not a job.
    """
    if argument.lstrip().startswith("{"):
        return Job.from_json(argument, "job")
    try:
        return Job.from_json(Path(argument).read_text(encoding="utf-8"), argument)
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{argument}: cannot be read, expected a job: JSON, or a file that holds it") from None
