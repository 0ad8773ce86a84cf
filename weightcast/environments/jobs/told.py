"""What jobs are cut from, a study with its table, and what those share that work on environments."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from weightcast.core.environment_table import Environment, EnvironmentTable, Role, read_environments
from weightcast.core.job import StageSettings
from weightcast.environments.config.condition import ConditionSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.study import Study
from weightcast.environments.plan import (
    sees_frames,
    shards,
    trajectory_shards,
)


@dataclass(frozen=True, eq=False)
class Plan:
    """A study and its table of environments, from which every job's settings are cut.

    Attributes:
        study: the configuration.
        table: all environments.
        results: folder of the study's results.
    """

    study: Study
    table: EnvironmentTable

    @classmethod
    def read(cls, study: Study, config: Path) -> Plan:
        """Read the table, which lies beside a study's resolved configuration.

        Raises:
            InputError: the table cannot be used.
        """
        return cls(study, read_environments(config.with_name("environments.csv")))

    @property
    def results(self) -> Path:
        return self.study.results

    @cached_property
    def shards(self) -> dict[str, list[str]]:
        """Environments whose experts one job trains together, by the shard's name."""
        return shards(self.study, self.table)

    @cached_property
    def trajectory_shards(self) -> dict[str, list[str]]:
        """Environments whose trajectories one job makes, by the shard's name."""
        return trajectory_shards(self.study, self.table)

    @property
    def shown(self) -> ShownFrames | None:
        """How frames of environments are read, and what is made of them, if a condition of the study sees any."""
        study = self.study
        return ShownFrames(data=study.data, conditions=study.conditions) if sees_frames(study) else None

    def shown_to(self, arm: str) -> ShownFrames | None:
        """The same for an arm of the generator, with what it sets otherwise."""
        shown = self.shown
        return shown and ShownFrames(data=shown.data, conditions=self.study.conditions_of(arm))


class ShownFrames(StageSettings):
    """What stages are told where a condition of the study sees frames."""

    data: DataSettings
    conditions: ConditionSettings


class Rows(StageSettings):
    """Settings of a stage that works on environments.

    Attributes:
        environments: rows of the table, of those environments alone that the stage uses.
    """

    environments: tuple[Environment, ...]

    @cached_property
    def digest(self) -> str:
        """The same as of any settings; of many environments, which are in many jobs' settings, each is written once."""
        mark = "environments of the table"
        plain = self.model_dump(mode="json", exclude={"environments"}) | {"environments": mark}
        rows = ", ".join([environment.text for environment in self.environments])
        text = json.dumps(plain, sort_keys=True).replace(f'"environments": "{mark}"', f'"environments": [{rows}]')
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def table(self) -> EnvironmentTable:
        names = tuple(self.environments[0].parameters) if self.environments else ()
        return EnvironmentTable(self.environments, names, Path("environments.csv"))

    @property
    def ids(self) -> list[str]:
        return [environment.id for environment in self.environments]

    def with_role(self, *roles: Role) -> list[str]:
        """Ids of the environments of these roles, in table order."""
        return [environment.id for environment in self.environments if environment.role in roles]


class Told(Rows):
    """Settings of a stage that uses what is known of its environments.

    Attributes:
        shown: how frames of them are read, where a condition of the study sees frames (`Plan.shown`).
    """

    shown: ShownFrames | None = None

    @property
    def conditions(self) -> ConditionSettings | None:
        """How the kinds of conditions that see frames are set, where the study has one."""
        return None if self.shown is None else self.shown.conditions
