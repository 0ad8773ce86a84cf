"""The one training loop: any number of members at once, resumable, deterministic.

Everything that is trained here - pooled networks, stacks of experts, VAE, diffusion - is trained by :func:`fit`. The
loss of step ``s`` must depend on ``s`` and the parameters alone (draw batches from a generator seeded by ``s``, or from
indices prepared before), so that an interrupted run, continued from its state, ends in the same weights.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from weightcast.core.artifacts import digest_of, load_artifact, save_artifact
from weightcast.core.config.training import TrainingSettings
from weightcast.core.errors import InputError

SAVE_EVERY_SECONDS = float(os.environ.get("WEIGHTCAST_SAVE_SECONDS", "20"))


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

    def part(self, name: str) -> Resume:
        """Where one of several trainings in a row keeps its own state."""
        return Resume(self.folder, digest_of([self.digest, name]))

    def clear(self) -> None:
        """Forget the state; called when the training's artifact is safely written."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Attributes:
        losses: [step, member] loss before each step; NaN where a member had diverged.
        diverged: [member] bool; such a member's parameters were left at their last finite value.
        seconds: time spent in training, over all interruptions.
    """

    losses: Tensor
    diverged: Tensor
    seconds: float


def fit(
    parameters: Sequence[Tensor],
    loss: Callable[[int], Tensor],
    settings: TrainingSettings,
    *,
    stacked: bool = False,
    resume: Resume | None = None,
    label: str = "training",
) -> Fit:
    """Minimise ``loss`` in place over ``parameters`` with AdamW, linear warm-up and cosine decay.

    Args:
        parameters: leaf tensors. If ``stacked``, each has a leading member axis, and members are independent: the
            gradient is clipped, and divergence handled, for each alone.
        loss: step -> scalar, or [member] if ``stacked``.
        settings: steps, learning rate, weight decay, clip.
        stacked: whether there is a member axis.
        resume: where to keep state; None trains in one go.
        label: shown in the progress bar.

    A member whose loss or gradient stops being finite is frozen from then on and flagged; the others go on.
    """
    parameters = list(parameters)
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    members = parameters[0].shape[0] if stacked else 1
    losses = torch.full((settings.steps, members), math.nan)
    alive = torch.ones(members, dtype=torch.bool)
    first, spent = 0, 0.0
    if resume is not None and resume.path.is_file():
        first, spent = _restore(resume, parameters, optimiser, losses, alive)

    started = saved = time.monotonic()
    steps = tqdm(
        range(first, settings.steps),
        initial=first,
        total=settings.steps,
        desc=label,
        mininterval=0.5 if sys.stderr.isatty() else 20.0,  # a log file wants lines, not a moving bar
        file=sys.stderr,
    )
    for step in steps:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, settings)
        value = loss(step).reshape(-1)
        optimiser.zero_grad()
        value.sum().backward()
        losses[step] = torch.where(alive, value.detach(), torch.nan)
        alive &= _clip_each(parameters, value.detach(), settings.clip, stacked, alive)
        _step_alive(optimiser, parameters, alive, stacked)
        if resume is not None and time.monotonic() - saved > SAVE_EVERY_SECONDS:
            _save(resume, step + 1, spent + time.monotonic() - started, parameters, optimiser, losses, alive)
            saved = time.monotonic()
    seconds = spent + time.monotonic() - started
    if resume is not None:
        _save(resume, settings.steps, seconds, parameters, optimiser, losses, alive)
    return Fit(losses, ~alive, seconds)


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Linear warm-up over the first twentieth, then cosine decay to a hundredth of the peak."""
    warmup = min(1.0, (step + 1) / max(1.0, 0.05 * settings.steps))
    decay = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * step / settings.steps))
    return settings.learning_rate * warmup * decay


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
        if not bool(finite.all()):
            gradient.nan_to_num_(0.0, 0.0, 0.0)  # 0 * NaN is NaN
    return finite


def _step_alive(optimiser: torch.optim.Optimizer, parameters: Sequence[Tensor], alive: Tensor, stacked: bool) -> None:
    """One optimiser step that leaves frozen members exactly where they are."""
    if bool(alive.all()):
        optimiser.step()
        return
    before = [parameter.detach().clone() for parameter in parameters]
    optimiser.step()
    with torch.no_grad():
        for parameter, kept in zip(parameters, before, strict=True):
            moves = alive.reshape(-1, *[1] * (parameter.ndim - 1)) if stacked else alive.all()
            parameter.copy_(torch.where(moves, parameter, kept))


def _save(
    resume: Resume,
    step: int,
    seconds: float,
    parameters: Sequence[Tensor],
    optimiser: torch.optim.Optimizer,
    losses: Tensor,
    alive: Tensor,
) -> None:
    tensors = {"losses": losses, "alive": alive}
    for index, parameter in enumerate(parameters):
        tensors[f"parameter.{index}"] = parameter
        for name, value in optimiser.state.get(parameter, {}).items():
            tensors[f"state.{index}.{name}"] = torch.as_tensor(value)
    save_artifact(resume.path, "resume", tensors, {"step": step, "seconds": seconds})


def _restore(
    resume: Resume,
    parameters: Sequence[Tensor],
    optimiser: torch.optim.Optimizer,
    losses: Tensor,
    alive: Tensor,
) -> tuple[int, float]:
    try:
        state = load_artifact(resume.path, "resume")
    except InputError:  # damaged, for instance by a full disk: start over rather than stop the study
        resume.clear()
        return 0, 0.0
    losses.copy_(state.tensors["losses"])
    alive.copy_(state.tensors["alive"])
    with torch.no_grad():
        for index, parameter in enumerate(parameters):
            parameter.copy_(state.tensors[f"parameter.{index}"])
            prefix = f"state.{index}."
            names = [name for name in state.tensors if name.startswith(prefix)]
            if names:
                optimiser.state[parameter] = {name.removeprefix(prefix): state.tensors[name] for name in names}
    return int(state.metadata["step"]), float(state.metadata["seconds"])
