"""The one training loop: any number of members at once, resumable, deterministic, on any device.

Everything that is trained here - pooled networks, stacks of experts, VAE, diffusion, densities, flows - is trained by
:func:`fit`. The loss of step ``s`` must depend on ``s`` and the parameters alone (draw batches from
:class:`weightcast.core.draws.Draws` seeded by ``s``, or from places prepared before), so that an interrupted run,
continued from its state, ends in the same weights.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from weightcast.core.artifact_header import digest_of
from weightcast.core.artifacts import Artifact, load_artifact, save_artifact
from weightcast.core.config.training import TrainingSettings
from weightcast.core.errors import InputError
from weightcast.core.files import remove_partials_of
from weightcast.core.interruption import end, saving
from weightcast.core.joint_training import OneProcess, joint_training
from weightcast.core.processes import Processes

Loss = Callable[[int], Tensor]
"""Step -> what is to be small."""

SAVE_EVERY_SECONDS = float(os.environ.get("WEIGHTCAST_SAVE_SECONDS", "20"))
VALIDATIONS = 20
"""How often a training looks at its validation error, evenly spread over its steps."""
CURVE_POINTS = 200
"""Most points of a curve that is kept with an artifact."""


class TrainingDiverged(InputError):
    """A loss or a gradient stopped being finite, and what was trained cannot be used."""


@dataclass(frozen=True)
class Resume:
    """Where a training keeps its state while it runs.

    The file lies outside the outputs that Snakemake declares, which Snakemake deletes before a job starts. Its name
    is a digest of everything that the result depends on, so a state never continues a training it does not belong to.
    """

    folder: Path
    digest: str

    @property
    def path(self) -> Path:
        return self.folder / f"{self.digest[:32]}.safetensors"

    def part(self, *names: str | int) -> Resume:
        """Where one of several trainings of a job keeps its own state."""
        return Resume(self.folder, digest_of([self.digest, *names]))

    def clear(self) -> None:
        """Forget the state; called when the training's artifact is safely written."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Attributes:
        losses: [step, member] loss before each step; NaN where a member had diverged.
        diverged: [member] bool; such a member's parameters were left at their last finite value.
        seconds: time spent in training, over all interruptions, of all processes together.
        validated_steps: after how many steps each validation was.
        validation: [validation, member] error on data that is not trained on; no rows where there is none.
    """

    losses: Tensor
    diverged: Tensor
    seconds: float
    validated_steps: list[int] = field(default_factory=list)
    validation: Tensor = field(default_factory=lambda: torch.zeros(0, 1))

    @property
    def last_loss(self) -> float:
        """Mean loss of the last fiftieth of the steps, at least one, over members that did not diverge."""
        return float(self.losses[-max(1, len(self.losses) // 50) :].nanmean())

    def curve(self) -> dict[str, Any]:
        """Training and validation error against the step, as an artifact keeps them: medians over members.

        A long training's losses are averaged over stretches of steps; ``steps`` are the stretches' last ones.
        """
        size = max(1, -(-len(self.losses) // CURVE_POINTS))
        stretches = self.losses.nanmedian(1).values.split(size)
        ends = torch.tensor([len(stretch) for stretch in stretches]).cumsum(0)
        return {
            "steps": ends.tolist(),
            "training": [_number(stretch.nanmean()) for stretch in stretches],
            "validated_steps": list(self.validated_steps),
            "validation": [_number(row.nanmedian()) for row in self.validation],
        }


@dataclass
class _State:
    """What a training has reached, all of it saved and restored together."""

    parameters: list[Tensor]
    optimiser: torch.optim.Optimizer
    losses: Tensor
    alive: Tensor
    averages: list[Tensor]
    best: list[Tensor]
    lowest: Tensor
    validated_steps: list[int]
    validation: list[Tensor]

    @classmethod
    def new(cls, parameters: list[Tensor], settings: TrainingSettings, members: int) -> _State:
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        device = parameters[0].device
        return cls(
            parameters=parameters,
            optimiser=optimiser,
            losses=torch.full((settings.steps, members), math.nan, device=device),
            alive=torch.ones(members, dtype=torch.bool, device=device),
            averages=[] if settings.average is None else [one.detach().clone() for one in parameters],
            best=[] if settings.keep == "last" else [one.detach().clone() for one in parameters],
            lowest=torch.full((members,), math.inf, device=device),
            validated_steps=[],
            validation=[],
        )

    def save(self, resume: Resume, step: int, seconds: float, joint: OneProcess) -> None:
        """Write one file of everything that is trained, whatever the number of processes."""
        tensors = joint.whole(self._tensors())
        metadata = {"step": step, "seconds": seconds, "validated_steps": self.validated_steps}
        if joint.processes.leads:
            save_artifact(resume.path, "resume", tensors, metadata)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {"losses": self.losses, "alive": self.alive, "lowest": self.lowest}
        if self.validation:
            tensors["validation"] = torch.stack(self.validation)
        for index, parameter in enumerate(self.parameters):
            tensors[f"parameter.{index}"] = parameter
            for name, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"state.{index}.{name}"] = torch.as_tensor(value)
        for kind, copies in (("average", self.averages), ("best", self.best)):
            tensors |= {f"{kind}.{index}": copy for index, copy in enumerate(copies)}
        return tensors

    @torch.no_grad()
    def restore(self, state: Artifact, joint: OneProcess) -> None:
        """Go on from what :meth:`save` wrote."""
        tensors = joint.own(state.tensors)
        self.losses.copy_(tensors["losses"])
        self.alive.copy_(tensors["alive"])
        self.lowest.copy_(tensors["lowest"])
        self.validated_steps = [int(step) for step in state.metadata["validated_steps"]]
        self.validation = list(tensors.get("validation", torch.zeros(0, 1)))
        for kind, copies in (("average", self.averages), ("best", self.best)):
            for index, copy in enumerate(copies):
                copy.copy_(tensors[f"{kind}.{index}"])
        for index, parameter in enumerate(self.parameters):
            parameter.copy_(tensors[f"parameter.{index}"])
            prefix = f"state.{index}."
            saved = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            if saved:  # the count of steps stays on the CPU, as the optimiser has it
                self.optimiser.state[parameter] = {
                    name: value if name == "step" else value.to(parameter.device) for name, value in saved.items()
                }


def fit(
    parameters: Sequence[Tensor],
    loss: Loss | Sequence[Loss],
    settings: TrainingSettings,
    *,
    stacked: bool = False,
    may_diverge: bool = False,
    validation: Callable[[], Tensor] | None = None,
    resume: Resume | None = None,
    label: str = "training",
    processes: Processes | None = None,
) -> Fit:
    """Minimise ``loss`` in place over ``parameters`` with AdamW, linear warm-up and cosine decay.

    Args:
        parameters: leaf tensors, all on one device. If ``stacked``, each has a leading member axis, and members are
            independent: the gradient is clipped, and divergence handled, for each alone.
        loss: step -> scalar, or [member] if ``stacked``. Where several processes train: the share of it that this one
            computes, so that the loss is the sum of the shares (:class:`weightcast.core.share.Share`); of a stack, the
            members of this process. Several: their sum, of which one after the other is computed and its gradient
            taken, so that no more is held at once than one of them takes (`Share.pieces`).
        settings: steps, learning rate, weight decay, clip, average, what to keep.
        stacked: whether there is a member axis.
        may_diverge: whether a member whose loss or gradient stops being finite is frozen from then on and flagged,
            while the others go on. Otherwise that ends the training.
        validation: error of the present parameters on data that is not trained on, scalar or [member]; must draw no
            random numbers of the training's. It is looked at ``VALIDATIONS`` times.
        resume: where to keep state; None trains in one go.
        label: shown in the progress bar and in messages.
        processes: that train together, all of which call this; None: this one alone. The first one keeps the state.

    Returns:
        How it went; of a stack, with the members of this process alone (:func:`joined` has all).

    Raises:
        TrainingDiverged: a loss or gradient is not finite, or no validation is where the best is to be kept, unless
            ``may_diverge``.
        InputError: the best state is to be kept, but there is no validation.
    """
    if settings.keep == "best" and validation is None:
        raise InputError(f"{label}: training.keep: found 'best', expected 'last': this training has no validation")
    parameters, losses = list(parameters), losses_of(loss)
    members = parameters[0].shape[0] if stacked else 1
    processes = processes or Processes()
    joint = joint_training(processes, stacked, members)
    joint.begin(parameters)
    state = _State.new(parameters, settings, members)
    first, spent = _restored(state, resume, joint)
    validated_at = _validated_at(settings.steps) if validation is not None else set()

    started = saved = time.monotonic()

    def seconds() -> float:
        return spent + processes.count * (time.monotonic() - started)

    steps = tqdm(
        range(first, settings.steps),
        initial=first,
        total=settings.steps,
        desc=label,
        mininterval=0.5 if sys.stderr.isatty() else 20.0,  # a log file wants lines, not a moving bar
        file=sys.stderr,
    )
    for step in _stopping(steps, label, state, resume, seconds, joint):
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(step, settings)
        state.optimiser.zero_grad()
        value = _with_gradient(losses, step)
        value = joint.step(parameters, value, time.monotonic() - saved > SAVE_EVERY_SECONDS)
        state.losses[step] = torch.where(state.alive, value, torch.nan)
        state.alive &= _clip_each(parameters, value, settings.clip, stacked, state.alive)
        if bool(state.alive.all()):  # the one look at numbers in a step: on a GPU it waits for all that is queued
            state.optimiser.step()
        elif may_diverge:
            _step_alive(state.optimiser, parameters, state.alive, stacked)
        else:
            raise _diverged(label, step, state.alive, settings)
        if settings.average is not None:
            _average(state.averages, parameters, settings.average, step)
        if validation is not None and step + 1 in validated_at:
            _validate(state, validation, step + 1, members, joint)
        if resume is not None and joint.saves:
            state.save(resume, step + 1, seconds(), joint)
            saved = time.monotonic()
    took = seconds()
    if resume is not None:
        state.save(resume, settings.steps, took, joint)
    never = torch.zeros_like(state.alive) if settings.keep == "last" else ~torch.isfinite(state.lowest)
    if bool(never.any()) and not may_diverge:
        raise TrainingDiverged(
            f"{label}: found no validation error that is a finite number, expected one: none of the weights on the way "
            "can be kept as the best; try a lower learning rate"
        )
    _keep(state, settings)
    ended = state.losses[-max(1, settings.steps // 50) :].nanmean()
    of = "" if processes.alone else f" of {processes.count} processes"
    print(f"{label}: {settings.steps} steps in {took:.1f} s{of}, loss {float(ended):.4g}", file=sys.stderr, flush=True)
    rows = torch.stack(state.validation) if state.validation else torch.zeros(0, members)
    return Fit(state.losses.cpu(), (~state.alive | never).cpu(), took, state.validated_steps, rows)


def losses_of(loss: Loss | Sequence[Loss]) -> Sequence[Loss]:
    """What :func:`fit` is given to minimise, as losses whose sum it is."""
    return loss if isinstance(loss, Sequence) else [loss]


def _with_gradient(losses: Sequence[Loss], step: int) -> Tensor:
    """The sum of the losses [member], with its gradient in the parameters."""
    values = list[Tensor]()
    for loss in losses:
        value = loss(step).reshape(-1)
        value.sum().backward()
        values.append(value.detach())
        del value  # and all that it was computed from, before the next
    return values[0] if len(values) == 1 else torch.stack(values).sum(0)


def joined(result: Fit, processes: Processes) -> Fit:
    """Put together how a stack's training went with the members of all, in the first process; not in the others."""
    count = torch.tensor([result.losses.shape[1]])
    processes.add([count])
    losses, validation = (processes.joined(rows, int(count), axis=1) for rows in (result.losses, result.validation))
    diverged = processes.joined(result.diverged, int(count))
    return replace(result, losses=losses, diverged=diverged, validation=validation)


def _restored(state: _State, resume: Resume | None, joint: OneProcess) -> tuple[int, float]:
    """Steps that are done and the seconds that they took; none and zero where there is no usable state.

    The first process looks and says what it found, so that all go on from the same step; none writes a newer state
    before all have read this one.
    """
    found = None
    if resume is not None and joint.processes.leads:
        remove_partials_of(resume.path)
        if resume.path.is_file():
            try:
                found = load_artifact(resume.path, "resume")
            except InputError:  # damaged, for instance by a full disk: start over rather than stop the study
                resume.clear()
    step, seconds = joint.processes.agreed(
        [0, 0.0] if found is None else [int(found.metadata["step"]), float(found.metadata["seconds"])]
    )
    if step and resume is not None:
        state.restore(found or load_artifact(resume.path, "resume"), joint)
    joint.processes.wait()
    return step, seconds


def _stopping(
    steps: tqdm[int],
    label: str,
    state: _State,
    resume: Resume | None,
    seconds: Callable[[], float],
    joint: OneProcess,
) -> Iterator[int]:
    """Steps, until the process is asked to end: then the state is saved, where one is kept, and it ends."""
    if resume is None:
        yield from steps
        return
    with saving(label):
        for step in steps:
            if joint.stops:
                steps.close()  # its bar's last line comes before what is said
                _save_and_end(label, state, resume, step, seconds(), joint)
            yield step
        if joint.stops:
            _save_and_end(label, state, resume, len(state.losses), seconds(), joint)


def _save_and_end(label: str, state: _State, resume: Resume, step: int, seconds: float, joint: OneProcess) -> NoReturn:
    state.save(resume, step, seconds, joint)
    joint.processes.wait()  # one that ended now would take the others with it, before the state is written
    end(f"in {label} after {step} of {len(state.losses)} steps, with its state saved")


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Linear warm-up over the first twentieth, then cosine decay to a hundredth of the peak."""
    warmup = min(1.0, (step + 1) / max(1.0, 0.05 * settings.steps))
    decay = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * step / settings.steps))
    return settings.learning_rate * warmup * decay


def _validated_at(steps: int) -> set[int]:
    """After how many steps to validate; always after the last one."""
    return {max(1, round(steps * number / VALIDATIONS)) for number in range(1, VALIDATIONS + 1)}


@torch.no_grad()
def _validate(state: _State, validation: Callable[[], Tensor], step: int, members: int, joint: OneProcess) -> None:
    """Note the validation error, of the average where there is one, and keep the best parameters of each member."""
    with _Averaged(state):
        error = joint.validated(validation, members)
        better = error < state.lowest
        state.lowest = torch.where(better, error, state.lowest)
        for kept, parameter in zip(state.best, state.parameters, strict=bool(state.best)):
            kept.copy_(torch.where(_shaped(better, parameter, members), parameter, kept))
    state.validated_steps.append(step)
    state.validation.append(error.cpu().clone())


class _Averaged:
    """Within the block the parameters have the values of their averages, if there are any."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.values: list[Tensor] = []

    def __enter__(self) -> None:
        if self.state.averages:
            self.values = [parameter.detach().clone() for parameter in self.state.parameters]
            for parameter, average in zip(self.state.parameters, self.state.averages, strict=True):
                parameter.copy_(average)

    def __exit__(self, *_: object) -> None:
        for parameter, value in zip(self.state.parameters, self.values, strict=bool(self.values)):
            parameter.copy_(value)


@torch.no_grad()
def _keep(state: _State, settings: TrainingSettings) -> None:
    """Leave in the parameters what the settings ask for: the best, the average or the last."""
    chosen = state.best if settings.keep == "best" else state.averages
    for parameter, value in zip(state.parameters, chosen, strict=bool(chosen)):
        parameter.copy_(value)


@torch.no_grad()
def _average(averages: Sequence[Tensor], parameters: Sequence[Tensor], decay: float, step: int) -> None:
    """Move the averages towards the parameters; the first steps count less, so that the start is soon forgotten."""
    share = max(1.0 - decay, 1.0 / (step + 1))
    for average, parameter in zip(averages, parameters, strict=True):
        average.lerp_(parameter.detach(), share)


def _clip_each(parameters: Sequence[Tensor], value: Tensor, clip: float, stacked: bool, alive: Tensor) -> Tensor:
    """Scale gradients in place to at most ``clip``, of each member alone; return which members are finite."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if stacked:
        norm = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
    else:
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt().reshape(1)
    finite = torch.isfinite(norm) & torch.isfinite(value)
    scale = torch.where(finite & alive, (clip / norm.clamp(min=1e-12)).clamp(max=1.0), 0.0)
    for gradient in gradients:
        shaped = scale.reshape(-1, *[1] * (gradient.ndim - 1)) if stacked else scale
        gradient.mul_(shaped)
    return finite


def _step_alive(optimiser: torch.optim.Optimizer, parameters: Sequence[Tensor], alive: Tensor, stacked: bool) -> None:
    """One optimiser step that leaves frozen members exactly where they are."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.nan_to_num_(0.0, 0.0, 0.0)  # a frozen member's: 0 * NaN is NaN
    before = [parameter.detach().clone() for parameter in parameters]
    optimiser.step()
    with torch.no_grad():
        for parameter, kept in zip(parameters, before, strict=True):
            moves = alive.reshape(-1, *[1] * (parameter.ndim - 1)) if stacked else alive.all()
            parameter.copy_(torch.where(moves, parameter, kept))


def _shaped(members: Tensor, parameter: Tensor, count: int) -> Tensor:
    """[member] so that it broadcasts over a parameter with a leading member axis, or over any of a single member."""
    return members.reshape(-1, *[1] * (parameter.ndim - 1)) if count > 1 else members.all()


def _diverged(label: str, step: int, alive: Tensor, settings: TrainingSettings) -> TrainingDiverged:
    lost = (~alive).nonzero().flatten().tolist()
    which = "" if len(alive) == 1 else f" of {', '.join(map(str, lost[:4]))} among {len(alive)} members"
    return TrainingDiverged(
        f"{label}: step {step + 1} of {settings.steps}: found a loss or gradient{which} that is not finite, expected "
        f"numbers: the training diverged at learning rate {settings.learning_rate:g}; try a lower one"
    )


def _number(value: Tensor) -> float | None:
    """A JSON number of four digits, enough for a curve; None for what is not finite."""
    return float(f"{float(value):.4g}") if bool(torch.isfinite(value)) else None
