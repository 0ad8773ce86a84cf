"""The stage ``train_experts``: the experts of a shard of environments, stacked, as many at once as memory holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from weightcast.core.artifact_header import digest_of
from weightcast.core.device import stack_size
from weightcast.core.errors import InputError
from weightcast.core.nets.sizes import BACKWARD, STATES, kept_in_step
from weightcast.core.processes import Processes
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import JoinedRows, Rows
from weightcast.environments.base import BaseNetwork
from weightcast.environments.coded import coded
from weightcast.environments.dataset import TrajectoryFolder, any_trajectory, tensor_digest
from weightcast.environments.expert_files import expert_path
from weightcast.environments.experts import (
    Member,
    one_step_error,
    permuted_neurons,
    plan_members,
    random_weights,
    starting_weights,
)
from weightcast.environments.experts import train_experts as train_together
from weightcast.environments.jobs import TrainExperts
from weightcast.environments.known import known_of
from weightcast.environments.missing_values import any_missing
from weightcast.environments.zoo import ExpertFile, ExpertShard


@stage("train_experts")
def train_experts(
    run: Run, settings: TrainExperts, base: BaseNetwork, trajectories: TrajectoryFolder
) -> ExpertShard | None:
    """Train ``settings.members`` experts of each environment, stacked; several processes have some of the members each.

    The experts of an environment lie in a file of their own beside the shard, which is their manifest. Those that were
    trained before, from the same base, data, settings and code, in whatever shard, are not trained again: a shard that
    gains an environment trains that one alone. The first process writes these files and returns the shard, the others
    return nothing.
    """
    base, leads = base.to(run.device), run.processes.leads
    finished = FinishedExperts(run, settings, base, trajectories)
    size = experts_together(run, settings, base)
    of = {(one.environment, one.index): one for one in plan_members(settings.ids, settings.members, settings.seed)}
    for stack in run.processes.agreed(_stacks(run, settings, finished, size) if leads else None):
        members = [of[str(environment), int(index)] for environment, index in stack]
        # A part of the shard has a state of its own.
        name = "experts" if len(stack) == len(of) else f"experts {digest_of([list(one) for one in stack])[:8]}"
        missing = not all(one.environment in finished for one in members)
        if run.processes.agreed(missing if leads else None):
            trained = _train(run, settings, base, trajectories, members, name)
            if trained is not None:
                finished.add(*trained)
        elif run.resume is not None and leads:  # written before the stage was killed, which has left its state behind
            run.resume.part(name).clear()
    if not leads:
        return None
    weights, manifest = finished.all()
    shared = base.shared | {
        "base": base.metadata["weight_map"]["kind"],
        "base_digest": base.metadata["digest"],
        "study_seed": settings.seed,
    }
    return ExpertShard(weights, manifest, shared | run.described())


def _stacks(run: Run, settings: TrainExperts, finished: FinishedExperts, size: int) -> list[list[tuple[str, int]]]:
    """Which experts are trained together, by environment and number: those that are missing, or, of a stage that was
    killed, the same as then, so that each stack goes on from its own state, which is its end where it was killed while
    experts were written."""
    missing = [environment for environment in settings.ids if environment not in finished]
    if not missing:
        return []

    def stacked(environments: Sequence[str]) -> list[list[tuple[str, int]]]:
        members = [(name, index) for name in settings.ids if name in environments for index in range(settings.members)]
        return [members[first : first + size] for first in range(0, len(members), size)]

    _, begun = run.kept("stacks", lambda: ({}, {"stacks": stacked(missing)}))
    stacks = [[(str(environment), int(index)) for environment, index in stack] for stack in begun["stacks"]]
    if max(map(len, stacks)) > size:  # begun with more memory
        stacks = []
    return stacks + stacked([one for one in missing if not any((one, 0) in stack for stack in stacks)])


def experts_together(run: Run, settings: TrainExperts, base: BaseNetwork) -> int:
    """How many experts are trained at once: as many as memory holds, on a GPU as many as that has room for.

    Members are independent of each other, so that the size of a stack changes no more than rounding. Several processes
    train as many times what the GPU with the least free memory holds.
    """
    data, training = settings.data, settings.training
    architecture = base.metadata["architecture"]
    kept, channels = kept_in_step(architecture, data.grid), len(data.channels) + data.beside
    own = STATES * base.predictor.graph.num_parameters + BACKWARD * kept * training.batch * training.unroll
    frames = data.trajectories.total * data.trained_frames * channels * data.grid[0] * data.grid[1]
    each = own + frames / settings.members
    size = stack_size(run.device, int(4 * each), on_cpu=run.together(int(each)))
    return run.processes.count * run.processes.least(size)


class FinishedExperts:
    """Experts of single environments that are safely written, each environment's in a file beside the shard.

    A file is known again by a digest of what the experts of that environment depend on, and not of what else is in the
    shard.

    Args:
        run: beside whose output they lie; without one nothing is kept beyond this run.
        settings: of the stage.
        base: that experts start from.
        trajectories: whose training part they see.
    """

    def __init__(self, run: Run, settings: TrainExperts, base: BaseNetwork, trajectories: TrajectoryFolder) -> None:
        self._run, self._settings = run, settings
        self._found: dict[str, tuple[Rows, list[dict[str, Any]]]] = {}
        self._parts: dict[str, tuple[Any, list[dict[str, Any]]]] = {}
        output = run.outputs.get("output")
        self._folder = None if output is None else output.parent
        self.data_digests: dict[str, str] = {}
        self._made_from: dict[str, str] = {}
        data = settings.data
        shared = settings.model_dump(mode="json", exclude={"environments"})
        shared |= {"code": run.provenance.get("code_digest"), "base": base.metadata["tensors_digest"]}
        for row in settings.environments:
            frames = trajectories.read([row.id], data, "train", data.trained_frames, inputs=True)[0]
            self.data_digests[row.id] = tensor_digest(frames)
            own = {"environment": row.id, "parameters": dict(row.parameters), "data": self.data_digests[row.id]}
            self._made_from[row.id] = digest_of(shared | own)
            if run.processes.leads:
                self._find(row.id)

    def __contains__(self, environment: object) -> bool:
        return environment in self._found

    def add(self, weights: Tensor, manifest: Sequence[dict[str, Any]]) -> None:
        """Write the experts of a stack; those of an environment as soon as all of them are there.

        Args:
            weights: [member, weight].
            manifest: an entry a member.
        """
        for environment in dict.fromkeys(entry["environment"] for entry in manifest):
            if environment in self:
                continue
            rows = [row for row, entry in enumerate(manifest) if entry["environment"] == environment]
            entries = [manifest[row] | {"data_digest": self.data_digests[environment]} for row in rows]
            if len(rows) == self._settings.members:
                self.save(environment, weights[rows[0] : rows[-1] + 1], entries)
                continue
            if environment not in self._parts:
                self._parts[environment] = self._run.room(self._settings.members, weights.shape[1]), []
            room, before = self._parts[environment]
            room[[entry["member"] for entry in entries]] = weights[rows[0] : rows[-1] + 1].cpu()
            before += entries
            if len(before) == self._settings.members:
                self.save(environment, *self._parts.pop(environment))

    def save(self, environment: str, weights: Rows, manifest: list[dict[str, Any]]) -> None:
        """Write the experts of an environment [member, weight]."""
        if self._folder is None:
            self._found[environment] = weights[:].cpu(), manifest
            return
        path, made_from = expert_path(self._folder, environment), self._made_from[environment]
        self._found[environment] = ExpertFile.save(path, weights, manifest, made_from), manifest

    def all(self) -> tuple[Rows, list[dict[str, Any]]]:
        """Experts of all environments: weights [member, weight] and manifest."""
        parts = [self._found[environment] for environment in self._settings.ids]
        return JoinedRows.of([weights for weights, _ in parts]), [entry for _, entries in parts for entry in entries]

    def _find(self, environment: str) -> None:
        """Look for usable experts of an environment; what is damaged is thrown away."""
        path = None if self._folder is None else expert_path(self._folder, environment)
        if path is None or not path.is_file():
            return
        try:
            file, metadata = ExpertFile.open(path)
            if metadata.get("made_from") == self._made_from[environment]:
                file.verify()
                self._found[environment] = file, metadata["manifest"]
        except InputError:
            path.unlink()


def _train(
    run: Run,
    settings: TrainExperts,
    base: BaseNetwork,
    trajectories: TrajectoryFolder,
    members: Sequence[Member],
    name: str,
) -> tuple[Tensor, list[dict[str, Any]]] | None:
    """Weights [member, weight] and manifest of a stack of experts, freshly trained; in the first process."""
    data, processes, planned = settings.data, run.processes, members
    if len(planned) < processes.count:  # what is left of a shard: not worth a second process
        if not processes.leads:
            return None
        run, processes = run.alone(), Processes()
    members = planned[processes.share(len(planned)).rows]
    environments = list(dict.fromkeys(member.environment for member in members))
    frames, held_out = (
        run.place(
            base.normalisation.apply_in_place(
                trajectories.read(environments, data, part, data.trained_frames, inputs=True)
            )
        )
        for part in ("train", "validation")
    )
    of = [environments.index(member.environment) for member in members]
    if settings.initialisation == "random":
        start = run.place(random_weights(members, base.metadata["architecture"]))
    else:
        folded = base.weights(coded(base, known_of(settings, trajectories, environments)))[of]
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
    missing = any_missing(judged)
    squares = (judged[environment].square() for environment in of)
    size = torch.stack([(one.nanmean() if missing else one.mean()).sqrt() for one in squares]).cpu()
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
    return (weights, entries) if processes.leads else None


def _number(value: Tensor) -> float | None:
    """A JSON number; None for what is not finite."""
    return float(value) if torch.isfinite(value) else None
