"""One job of the zoo: train the experts of some environments, keeping each environment's finished ones for later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightcast.core.artifacts import digest_of, load_artifact, save_artifact
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.training import Resume
from weightcast.environments.base import Base
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.zoo import ZooSettings
from weightcast.environments.dataset import read_part, tensor_digest
from weightcast.environments.experts import one_step_error, plan_members, starting_weights, train_experts
from weightcast.environments.zoo import Zoo


def train_shard(
    *,
    base: Base,
    table: EnvironmentTable,
    environments: Sequence[str],
    members: int,
    trajectories: Path,
    data: DataSettings,
    zoo: ZooSettings,
    study_seed: int,
    cache: Path,
    code: str,
    output: Path,
) -> None:
    """Train ``members`` experts of each environment and write them as one ``experts`` artifact.

    An environment whose experts were trained before, from the same base, data, settings and code, in whatever shard,
    is taken from the cache: a shard that gains an environment trains that one alone.

    Args:
        base: fine-tuned from.
        table: parameters of the environments.
        environments: ids.
        members: experts of each.
        trajectories: folder with one NetCDF each.
        data: settings of the data.
        zoo: settings of perturbation and training.
        study_seed: seeds derive from it.
        cache: folder of finished experts and of unfinished state.
        code: digest of settings and code, part of the cache's keys.
        output: the artifact.
    """
    physical = read_part(trajectories, environments, data, "train", data.trained_frames)
    data_digests = [tensor_digest(frames) for frames in physical]
    keys = {
        environment: digest_of(
            [code, base.metadata["tensors_digest"], members, environment, dict(table[environment].parameters), digest]
        )
        for environment, digest in zip(environments, data_digests, strict=True)
    }
    shared = base.shared | {
        "base": base.metadata["weight_map"]["kind"],
        "base_digest": base.metadata["digest"],
        "config_digest": code,
        "study_seed": study_seed,
    }
    missing = [environment for environment in environments if _cached(cache, keys[environment]) is None]
    if missing:
        chosen = [list(environments).index(environment) for environment in missing]
        frames = base.normalisation.apply(physical[chosen])
        held_out = base.normalisation.apply(read_part(trajectories, missing, data, "validation", data.trained_frames))
        trained = _train(
            base, table, missing, members, frames, held_out, zoo, study_seed, Resume(cache, digest_of(keys))
        )
        for environment, weights, manifest in trained:
            digest = data_digests[list(environments).index(environment)]
            manifest = [entry | {"data_digest": digest} for entry in manifest]
            save_artifact(_path(cache, keys[environment]), "experts", {"weights": weights}, {"manifest": manifest})
        Resume(cache, digest_of(keys)).clear()

    parts = [load_artifact(_path(cache, keys[environment]), "experts") for environment in environments]
    manifest = [entry for part in parts for entry in part.metadata["manifest"]]
    weights = torch.cat([part.tensors["weights"] for part in parts])
    save_artifact(output, "experts", {"weights": weights}, shared | {"manifest": manifest})


def _train(
    base: Base,
    table: EnvironmentTable,
    environments: Sequence[str],
    count: int,
    frames: Tensor,
    held_out: Tensor,
    zoo: ZooSettings,
    study_seed: int,
    resume: Resume,
) -> list[tuple[str, Tensor, list[dict[str, Any]]]]:
    """(environment, weights [member, weight], manifest) of each environment, freshly trained."""
    members = plan_members(environments, count, study_seed)
    of = [list(environments).index(member.environment) for member in members]
    folded = base.weights(table.parameter_array(list(environments)))[of]
    start = starting_weights(folded, members, base.predictor, zoo.perturbation)
    weights, result = train_experts(start, members, frames, of, base.predictor, zoo.training, resume)
    train_error = one_step_error(weights, frames, of, base.predictor)
    validation_error = one_step_error(weights, held_out, of, base.predictor)
    # A member may stay finite and still be useless: one whose one-step error exceeds the frames' own size has diverged.
    size = torch.stack([held_out[environment].square().mean().sqrt() for environment in of])
    diverged = result.diverged | ~torch.isfinite(validation_error) | (validation_error > size)
    entries = [
        {
            "environment": member.environment,
            "member": member.index,
            "seed": member.seed,
            "diverged": bool(diverged[row]),
            "train_error": _number(train_error[row]),
            "validation_error": _number(validation_error[row]),
            "seconds": result.seconds / len(members),
        }
        for row, member in enumerate(members)
    ]
    return [
        (
            environment,
            weights[position * count : (position + 1) * count],
            entries[position * count : (position + 1) * count],
        )
        for position, environment in enumerate(environments)
    ]


def _number(value: Tensor) -> float | None:
    """A JSON number; None for what is not finite."""
    return float(value) if torch.isfinite(value) else None


def _path(cache: Path, key: str) -> Path:
    return cache / f"{key[:32]}.safetensors"


def _cached(cache: Path, key: str) -> Zoo | None:
    path = _path(cache, key)
    if not path.is_file():
        return None
    try:
        return Zoo.load(path, "experts")
    except InputError:  # damaged: train again
        path.unlink()
        return None
