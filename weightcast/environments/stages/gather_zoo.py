"""The stage ``gather_zoo``: the manifest of all experts, from those of their shards; no weights are read or copied."""

from __future__ import annotations

from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.jobs import GatherZoo
from weightcast.environments.zoo import ExpertShard, Zoo, gather

_OWN = ("kind", "format", "code_version", "numbers", "digest", "tensors_digest", "curves", "config_digest", "inputs")
"""Metadata of a shard that are not those of the zoo."""


@stage("gather_zoo")
def gather_zoo(run: Run, settings: GatherZoo, shards: list[ExpertShard]) -> Zoo:
    """Gather the experts of the environments that are asked for, in their order."""
    zoo = gather(shards, settings.environments)
    shared = {name: value for name, value in zoo.metadata.items() if name not in _OWN}
    curves = {name: curve for shard in shards for name, curve in _named_curves(shard)}
    return Zoo(zoo.weights, zoo.manifest, shared | run.described() | {"curves": curves})


def _named_curves(shard: ExpertShard) -> list[tuple[str, object]]:
    """A shard's curves, by the first environment of the shard."""
    first = shard.environments[0]
    return [(f"{name} from {first}", curve) for name, curve in shard.metadata.get("curves", {}).items()]
