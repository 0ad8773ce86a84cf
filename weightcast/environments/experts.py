"""Experts: predictors fine-tuned from a base, each on one environment, trained stacked over a member axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weightcast.core.config.training import PredictorTraining
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.build import build_predictor
from weightcast.core.nets.hidden_neurons import HiddenNeurons
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Fit
from weightcast.environments.config.zoo import Perturbation
from weightcast.environments.dataset import any_trajectory, draw_places, windows_at
from weightcast.environments.losses import environment_loss, held_out_errors
from weightcast.environments.missing_values import WindowStarts, any_missing
from weightcast.environments.predictor import StackedPredictor


@dataclass(frozen=True)
class Member:
    """One expert to be: its environment, its number there, and the seed of everything random about it."""

    environment: str
    index: int
    seed: int


def plan_members(environments: Sequence[str], members: int, study_seed: int) -> list[Member]:
    """``members`` experts of each environment. Seeds depend on (study seed, environment, member) alone."""
    return [
        Member(environment, index, derive_seed(study_seed, "expert", environment, index))
        for environment in environments
        for index in range(members)
    ]


def starting_weights(
    base: Tensor, members: Sequence[Member], predictor: StackedPredictor, perturbation: Perturbation
) -> Tensor:
    """The base's weights of each member's environment, one layer perturbed.

    A small perturbation keeps the members in one basin, so that the zoo is a sample of a smooth family; from random
    starts it scatters (EnvAd-Diff, section on domain-adaptive initialisation).

    Args:
        base: [member, weight]; the base's weights in each member's environment.
        members: in the same order.
        predictor: whose weights they are.
        perturbation: which layer, and how much relative to the standard deviation of its weights.

    Raises:
        InputError: the predictor has no such layer.
    """
    state = {name: value.clone() for name, value in predictor.graph.unflatten(base).items()}
    chosen = [name for name in state if name.startswith(f"{perturbation.layer}.")]
    if not chosen:
        layers = ", ".join(layer.name for layer in predictor.graph.layers)
        raise InputError(f"config: zoo.perturbation.layer: found {perturbation.layer!r}, expected one of {layers}")
    for position, member in enumerate(members):
        draws = Draws(base.device, member.seed, "perturbation")
        for name in chosen:
            values = state[name][position]
            spread = values.std() if values.numel() > 1 else values.abs()
            values.add_(perturbation.scale * spread * draws.normal(*values.shape))
    return predictor.graph.flatten(state)


def random_weights(members: Sequence[Member], architecture: Mapping[str, Any]) -> Tensor:
    """Weights as a fresh network has them, of each member's own [member, weight], on the CPU.

    Args:
        members: whose seeds they come from.
        architecture: of the predictor, as artifacts hold it.
    """
    networks = [
        build_predictor(dict(architecture), seed=derive_seed(member.seed, "initialisation")) for member in members
    ]
    graph = WeightGraph(networks[0])
    return torch.stack([graph.read(network) for network in networks])


def permuted_neurons(weights: Tensor, members: Sequence[Member], predictor: StackedPredictor) -> Tensor:
    """The same functions with hidden neurons in another order, of each member's own.

    Args:
        weights: [member, weight].
        members: in the same order.
        predictor: whose weights they are.

    Raises:
        InputError: the predictor does not say which neurons may change places.
    """
    if not isinstance(predictor.module, HiddenNeurons):
        raise InputError(
            f"config: zoo.permuted: found true for a predictor {type(predictor.module).__name__}, expected fno or mlp"
        )
    state = predictor.graph.unflatten(weights)
    draws = [Draws(weights.device, member.seed, "permutation") for member in members]
    for layer in predictor.module.hidden_neurons():
        first, axis = layer[0]
        size = state[first].shape[axis + 1]
        order = torch.stack([drawn.permutation(size) for drawn in draws])  # [member, neuron]
        for name, axis in layer:
            shape = [1] * state[name].ndim
            shape[0], shape[axis + 1] = len(members), size
            state[name] = state[name].take_along_dim(order.reshape(shape), axis + 1)
    return predictor.graph.flatten(state)


def train_experts(
    run: Run,
    start: Tensor,
    members: Sequence[Member],
    frames: Tensor,
    environment_of: Sequence[int],
    predictor: StackedPredictor,
    settings: PredictorTraining,
    held_out: Tensor | None = None,
    name: str = "experts",
    start_share: float = 0.0,
) -> tuple[Tensor, Fit]:
    """Fine-tune all members at once; the batches of each depend on its own seed alone.

    Args:
        run: whose device everything is on.
        start: [member, weight].
        members: in the same order.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        environment_of: position in ``frames`` of each member's environment.
        predictor: whose weights they are.
        settings: steps, rate, unroll, batch.
        held_out: normalised validation frames of the same environments, for the curve.
        name: of the training.
        start_share: of the windows that begin with a trajectory's first frame.

    Returns:
        Weights [member, weight] and how the training went; diverged members keep their last finite weights.
    """
    weights = start.clone().requires_grad_()
    starts = WindowStarts(frames)
    places = [
        _window_places(member, frames, environment, settings, start_share, starts)
        for member, environment in zip(members, environment_of, strict=True)
    ]
    trajectory, begin = (
        torch.stack(part, dim=1).to(frames.device) for part in zip(*places, strict=True)
    )  # each [step, member, batch]
    environments = torch.as_tensor(environment_of, device=frames.device)

    def loss(step: int) -> Tensor:
        windows = windows_at(frames, environments, trajectory[step], begin[step], settings.unroll + 1)
        return environment_loss(predictor.rollout_error(weights, windows, starts.missing))

    def validation() -> Tensor:
        assert held_out is not None
        return held_out_errors(weights, predictor, held_out[environments], settings.unroll)

    result = run.fit(
        [weights],
        loss,
        settings,
        name=name,
        stacked=True,
        may_diverge=True,
        validation=validation if any_trajectory(held_out) else None,
    )
    return weights.detach(), result


def _window_places(
    member: Member,
    frames: Tensor,
    environment: int,
    settings: PredictorTraining,
    start_share: float,
    starts: WindowStarts,
) -> tuple[Tensor, Tensor]:
    """Trajectory and first frame of every window of the whole training, each [step, batch], on the CPU."""
    draws = Draws("cpu", member.seed, "windows")
    shape = (settings.steps, settings.batch)
    whole = starts.of(settings.unroll + 1)
    if whole is not None:
        return whole.draw(torch.full((settings.steps,), int(environment)), settings.batch, draws, start_share)
    return draw_places(frames, shape, settings.unroll + 1, draws, start_share)


@torch.no_grad()
def one_step_error(
    weights: Tensor, frames: Tensor, environment_of: Sequence[int], predictor: StackedPredictor
) -> Tensor:
    """Root mean square one-step error of each member on all consecutive frames of its environment: [member]."""
    errors, missing = [], any_missing(frames)
    for position, environment in enumerate(environment_of):
        pairs = frames[environment].unfold(1, 2, 1).movedim(-1, 2).flatten(0, 1)[None]  # [1, pair, 2, channel, y, x]
        errors.append(predictor.rollout_error(weights[position : position + 1], pairs, missing).mean().sqrt())
    return torch.stack(errors)
