"""What jobs are told of a study that begins from a published zoo."""

from __future__ import annotations

from typing import cast

from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.zoo import PublishedBase
from weightcast.environments.jobs.told import Plan, Rows


def published_base(plan: Plan) -> PublishedBase:
    """The base whose experts the study uses: the only one that it has."""
    return cast("PublishedBase", plan.study.zoo.bases[0])


class ImportExperts(Rows):
    """Published experts of the environments of a shard.

    Attributes:
        base: that they started from.
        members: of each environment, at most: of unseen ones the first alone, for reference.
    """

    base: PublishedBase
    members: int

    @classmethod
    def of(cls, plan: Plan, base: str, shard: str) -> ImportExperts:
        rows = tuple(plan.table[id] for id in plan.shards[shard])
        members = plan.study.zoo.members if shard.startswith("visible") else 1
        return cls(environments=rows, base=cast("PublishedBase", base), members=members)


class AverageExperts(Rows):
    """The average of a zoo's experts, in the place of the base that they started from."""

    logarithmic_parameters: list[str]

    @classmethod
    def of(cls, plan: Plan, base: str) -> AverageExperts:
        return cls(environments=plan.table.visible, logarithmic_parameters=plan.study.logarithmic_parameters)


class RollOutExperts(Rows):
    """Forecasts of published experts in their own environments, those of a shard, in the place of trajectories."""

    base: PublishedBase
    data: DataSettings

    @classmethod
    def of(cls, plan: Plan, shard: str) -> RollOutExperts:
        rows = tuple(plan.table[id] for id in plan.trajectory_shards[shard])
        return cls(environments=rows, base=published_base(plan), data=plan.study.data)


class CompareWithOwnExperts(Rows):
    """Weights of all methods beside the expert of the very environment that judges them."""

    study: str
    base: PublishedBase
    trained_horizon: int

    @classmethod
    def of(cls, plan: Plan) -> CompareWithOwnExperts:
        return cls(
            environments=plan.table.environments,
            study=plan.study.study,
            base=published_base(plan),
            trained_horizon=plan.study.trained_horizon,
        )
