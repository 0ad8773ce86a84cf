"""The stage ``train_experts``: the experts of a shard of environments, all stacked in one training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightcast.core.artifact_header import digest_of
from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.device import stack_size
from weightcast.core.errors import InputError
from weightcast.core.nets.sizes import BACKWARD, STATES, kept_activations
from weightcast.core.processes import Processes
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.coded import coded
from weightcast.environments.dataset import TrajectoryFolder, any_trajectory, tensor_digest
from weightcast.environments.experts import (
    one_step_error,
    permuted_neurons,
    plan_members,
    random_weights,
    starting_weights,
)
from weightcast.environments.experts import train_experts as train_together
from weightcast.environments.jobs import TrainExperts
from weightcast.environments.known import known_of
from weightcast.environments.zoo import ExpertShard


@stage("train_experts")
def train_experts(
    run: Run, settings: TrainExperts, base: BaseNetwork, trajectories: TrajectoryFolder
) -> ExpertShard | None:
    """Train ``settings.members`` experts of each environment, stacked; several processes have some of the members each.

    An environment whose experts were trained before, from the same base, data, settings and code, in whatever shard,
    is taken from a cache: a shard that gains an environment trains that one alone. The first process has the cache and
    returns the shard, the others return nothing.
    """
    base = base.to(run.device)
    cache = ExpertCache(run, settings, base, trajectories)
    leads = run.processes.leads
    missing = run.processes.agreed([one for one in settings.ids if not cache.has(one)] if leads else None)
    if missing:
        stacks = stacked_environments(run, settings, base, missing)
        if len(stacks[0]) < len(settings.ids) and run.resume is not None and leads:
            run.resume.part("experts").clear()
        for stack in stacks:
            # A part of the shard has a state of its own: a kill between two saves of the cache leaves fewer missing.
            name = "experts" if len(stack) == len(settings.ids) else f"experts {digest_of(stack)[:8]}"
            for environment, weights, manifest in _train(run, settings, base, trajectories, stack, name):
                cache.save(environment, weights, manifest)
    if not leads:
        return None
    weights, manifest = cache.load(settings.ids)
    shared = base.shared | {
        "base": base.metadata["weight_map"]["kind"],
        "base_digest": base.metadata["digest"],
        "study_seed": settings.seed,
    }
    return ExpertShard(weights, manifest, shared | run.described())


def stacked_environments(
    run: Run, settings: TrainExperts, base: BaseNetwork, environments: Sequence[str]
) -> list[list[str]]:
    """Which environments' experts are trained together: all of them on a CPU, as many as memory holds on a GPU.

    Members are independent of each other, so that the size of a stack changes no more than rounding. Several processes
    train as many times what the GPU with the least free memory holds.
    """
    data, training = settings.data, settings.training
    architecture = dict(base.metadata["architecture"])
    channels = architecture.pop("channels")
    kept = kept_activations(PredictorSettings.model_validate(architecture).root, channels, data.grid)
    own = STATES * base.predictor.graph.num_parameters + BACKWARD * kept * training.batch * training.unroll
    frames = data.trajectories.total * data.trained_frames * channels * data.grid[0] * data.grid[1]
    size = stack_size(run.device, int(4 * (settings.members * own + frames)), on_cpu=len(environments))
    size = run.processes.count * run.processes.least(size)
    return [list(environments[first : first + size]) for first in range(0, len(environments), size)]


class ExpertCache:
    """Finished experts of single environments, kept beside the states of trainings.

    A key is computed from what the experts of that environment depend on, and not from what else is in the shard.

    Args:
        run: without a place for states, nothing is kept beyond this run.
        settings: of the stage.
        base: that experts start from.
        trajectories: whose training part they see.
    """

    def __init__(self, run: Run, settings: TrainExperts, base: BaseNetwork, trajectories: TrajectoryFolder) -> None:
        self._kept: dict[str, tuple[Tensor, list[dict[str, Any]]]] = {}
        self._folder = None if run.resume is None else run.resume.folder.parent / "experts"
        self.data_digests: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        data = settings.data
        shared = settings.model_dump(mode="json", exclude={"environments"})
        shared |= {"code": run.provenance.get("code_digest"), "base": base.metadata["tensors_digest"]}
        for row in settings.environments:
            frames = trajectories.read([row.id], data, "train", data.trained_frames)[0]
            self.data_digests[row.id] = tensor_digest(frames)
            own = {"environment": row.id, "parameters": dict(row.parameters), "data": self.data_digests[row.id]}
            self._keys[row.id] = digest_of(shared | own)

    def has(self, environment: str) -> bool:
        """Whether there are usable experts of an environment; what is damaged is thrown away."""
        path = self._path(environment)
        if environment in self._kept:
            return True
        if path is None or not path.is_file():
            return False
        try:
            self._kept[environment] = _read(path)
        except InputError:
            path.unlink()
            return False
        return True

    def save(self, environment: str, weights: Tensor, manifest: list[dict[str, Any]]) -> None:
        """Keep the experts of an environment [member, weight]."""
        manifest = [entry | {"data_digest": self.data_digests[environment]} for entry in manifest]
        self._kept[environment] = (weights.cpu(), manifest)
        path = self._path(environment)
        if path is not None:
            save_artifact(path, "experts", {"weights": weights}, {"manifest": manifest})

    def load(self, environments: Sequence[str]) -> tuple[Tensor, list[dict[str, Any]]]:
        """Experts of several environments: weights [member, weight] and manifest."""
        parts = [self._kept[environment] for environment in environments]
        return torch.cat([weights for weights, _ in parts]), [entry for _, manifest in parts for entry in manifest]

    def _path(self, environment: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{self._keys[environment][:32]}.safetensors"


def _read(path: Path) -> tuple[Tensor, list[dict[str, Any]]]:
    artifact = load_artifact(path, "experts")
    return artifact.tensors["weights"], artifact.metadata["manifest"]


def _train(
    run: Run,
    settings: TrainExperts,
    base: BaseNetwork,
    trajectories: TrajectoryFolder,
    environments: Sequence[str],
    name: str,
) -> list[tuple[str, Tensor, list[dict[str, Any]]]]:
    """(environment, weights [member, weight], manifest) of each environment, freshly trained; in the first process."""
    data, count, processes = settings.data, settings.members, run.processes
    planned = plan_members(environments, count, settings.seed)
    if len(planned) < processes.count:  # what is left of a shard: not worth a second process
        if not processes.leads:
            return []
        run, processes = run.alone(), Processes()
    members = planned[processes.share(len(planned)).rows]
    own = list(dict.fromkeys(member.environment for member in members))
    frames, held_out = (
        run.place(base.normalisation.apply(trajectories.read(own, data, part, data.trained_frames)))
        for part in ("train", "validation")
    )
    of = [own.index(member.environment) for member in members]
    if settings.initialisation == "random":
        start = run.place(random_weights(members, base.metadata["architecture"]))
    else:
        folded = base.weights(coded(base, known_of(settings, trajectories, own)))[of]
        start = starting_weights(folded, members, base.predictor, settings.perturbation)
    weights, result = train_together(
        run, start, members, frames, of, base.predictor.on(run), settings.training, held_out, name, data.start_share
    )
    if settings.permuted:
        weights = permuted_neurons(weights, members, base.predictor)
    train_error = one_step_error(weights, frames, of, base.predictor).cpu()
    validated = any_trajectory(held_out)
    validation_error = one_step_error(weights, held_out, of, base.predictor).cpu() if validated else None
    # A member may stay finite and still be useless: one whose one-step error exceeds the frames' own size has diverged.
    judged, error = (frames, train_error) if validation_error is None else (held_out, validation_error)
    size = torch.stack([judged[environment].square().mean().sqrt() for environment in of]).cpu()
    diverged = result.diverged | ~torch.isfinite(error) | (error > size)
    entries = [
        {
            "environment": member.environment,
            "member": member.index,
            "seed": member.seed,
            "diverged": bool(diverged[row]),
            "train_error": _number(train_error[row]),
            "validation_error": None if validation_error is None else _number(validation_error[row]),
            "seconds": result.seconds / len(planned),
        }
        for row, member in enumerate(members)
    ]
    weights, entries = processes.joined(weights, len(planned)), processes.listed(entries)
    if not processes.leads:
        return []
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
