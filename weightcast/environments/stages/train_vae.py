"""The stage ``train_vae``: the weight VAE of one arm and seed, on a zoo."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import torch
from torch import Tensor

from weightcast.core.nets.sizes import kept_in_step
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.share import Share
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import Rows
from weightcast.core.training import Fit
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import new_condition
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.dataset import TrajectoryFolder, any_trajectory, draw_windows
from weightcast.environments.deviations import Deviations
from weightcast.environments.evaluated_frames import compared
from weightcast.environments.jobs import TrainVae
from weightcast.environments.known import training_known_of
from weightcast.environments.labels import Labels
from weightcast.environments.losses import environment_loss
from weightcast.environments.missing_values import WindowStarts, any_missing, first_whole_states
from weightcast.environments.origin import Origin, choose_origin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.step_sizes import coding_step
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.vae import WeightVAE, new_vae
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.zoo import Zoo

CODED = 12
"""Copies of a network's weights, while it is encoded, decoded and compared with itself."""
FRAMES = 3
"""Copies of frames, while they are compared with those before."""
VALIDATED_EXPERTS, VALIDATED_STATES = 16, 4
"""Most experts, and states of each, on which a validation compares decoded networks with their originals."""


@stage("train_vae")
def train_vae(
    run: Run,
    settings: TrainVae,
    zoo: Zoo,
    base: BaseNetwork,
    trajectories: TrajectoryFolder,
    labels: Labels | None = None,
) -> TrainedVae:
    """Train the weight VAE on the experts that did not diverge.

    Args:
        run: whose device is used.
        settings: of the VAE, and the arm's condition.
        zoo: to be coded.
        base: that the zoo started from.
        trajectories: of the visible environments.
        labels: of these environments, where the arm's condition is one.
    """
    training = TrainingZoo.of(zoo, settings, trajectories)
    seed = derive_seed(settings.seed, "vae", settings.generator_seed)
    taught = training_known_of(settings, trajectories, training.environments, labels)
    predictor = base.predictor.on(run)
    weights, environment_of = training.zoo.weights, run.place(training.environment_of)
    frames = run.place(training.frames(trajectories, settings.data))
    relative_to, choice = settings.vae.relative_to, None
    with run.initialised(seed):
        if settings.condition == "code":
            condition = deepcopy(base.condition)  # with the codes that its map was trained with
        elif labels is None:
            condition = new_condition(settings.condition, taught, settings.logarithmic_parameters, settings.conditions)
        else:
            condition = labels.condition
        prepared = run.place(condition.prepare(training.known if labels is None else taught))
        if relative_to == "auto":
            if "choice" in base.metadata:
                land = trajectories.land(training.environments, settings.data, device=run.device)
                true = compared(frames, land)
                choice = choose_origin(
                    run, base, training.environments, weights, environment_of, prepared, predictor, true
                )
            relative_to = choice["chosen"] if choice else "base"  # a base without a choice is pooled: the same anyway
        vae = new_vae(base.predictor.graph, settings.vae, Origin.of(base, condition) if relative_to == "base" else None)
    kept = kept_in_step(zoo.metadata["architecture"], frames.shape[-2:])
    graph = predictor.graph
    result = train_weight_vae(
        run,
        run.place(vae),
        predictor,
        weights,
        prepared,
        environment_of,
        frames,
        settings.vae,
        seed,
        held_out=run.place(training.frames(trajectories, settings.data, "validation")),
        start_share=settings.data.start_share,
        at_once=run.together(coding_step(settings.vae, graph.num_nodes, graph.num_parameters, kept)),
    )
    metadata = {
        "architecture": zoo.metadata["architecture"],
        "normalisation": zoo.metadata["normalisation"],
        "condition": condition.describe(),
        "vae": settings.vae.model_dump(mode="json"),
        "origin": base.metadata["weight_map"] if relative_to == "base" else None,
        "base": zoo.metadata["base"],
        "zoo_digest": zoo.metadata["digest"],
        "zoo_members": len(training.zoo.manifest),
        "seed": settings.generator_seed,
        "seconds": result.seconds,
        "metrics": {"last_loss": result.last_loss},
    }
    if choice is not None:
        metadata["choice"] = choice
    return TrainedVae(vae, condition, predictor, metadata | run.described())


def train_weight_vae(
    run: Run,
    vae: WeightVAE,
    predictor: StackedPredictor,
    weights: Rows,
    prepared: Tensor,
    environment_of: Tensor,
    frames: Tensor,
    settings: VAESettings,
    seed: int,
    held_out: Tensor | None = None,
    start_share: float = 0.0,
    at_once: int | None = None,
) -> Fit:
    """Reconstruction + beta KL + functional loss (EnvAd-Diff, weight VAE); trains ``vae`` in place.

    The functional loss is the root mean square difference between what the decoded and the original network predict
    on states of the original's environment, in units of the mean one-step increment, so that 1 means "no better than
    standing still" whatever the time step.

    Args:
        run: whose device everything is on, but for weights that do not fit into its memory.
        vae: to be trained; its statistics are set from ``weights``.
        predictor: whose weights they are.
        weights: the zoo [member, weight].
        prepared: coordinates of the environments [environment, coordinate].
        environment_of: long [member]; position of each member's environment in ``prepared`` and ``frames``.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        settings: of the VAE.
        seed: of the draws.
        held_out: normalised validation frames of the same environments: the curve shows how far decoded experts
            behave otherwise than their originals on them.
        start_share: of the states, those that a trajectory begins with (`DataSettings.start_share`).
        at_once: networks of a batch that are coded at once; None: all.
    """
    zoo = Deviations(run, vae, weights, prepared, environment_of)
    vae.fit_statistics(zoo.blocks())
    starts = WindowStarts(frames)
    increment = _increment(run, predictor, frames, starts.missing)
    if held_out is not None and any_missing(held_out):
        held_out = first_whole_states(held_out, VALIDATED_STATES)

    def behaviour(tokens: list[Tensor], originals: Tensor, origins: Tensor, states: Tensor) -> Tensor:
        """How far decoded networks' predictions are from the originals', in units of the mean increment."""
        with torch.no_grad():
            wanted = predictor(originals, states)
        difference = predictor(origins + vae.deviations(tokens), states) - wanted
        return environment_loss(difference.square()).mean() / increment

    def loss(share: Share, step: int) -> Tensor:
        draws = share.draws(run.draws(seed, "vae", step))
        chosen = draws.integers(len(zoo), len(share))
        originals, origins = zoo.weights(chosen), zoo.origins(chosen)
        deviations = originals - origins
        mean, log_variance = vae.posterior(deviations)
        latents = mean + torch.exp(0.5 * log_variance) * draws.normal(*mean.shape)
        decoded = vae.decode_tokens(latents)
        total = _reconstruction(decoded, vae.standardise(deviations), settings.balanced)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).mean()
        total = total + settings.kl_weight * divergence
        if settings.functional_weight > 0.0:
            batch, begins = settings.functional_batch, starts.of(1)
            windows = draw_windows(frames, environment_of[chosen], batch, 1, draws, start_share, begins)
            states = windows[:, :, 0]
            total = total + settings.functional_weight * behaviour(decoded, originals, origins, states)
        return share.weight * total

    shown = torch.arange(min(len(zoo), VALIDATED_EXPERTS), device=prepared.device) * max(
        1, len(zoo) // VALIDATED_EXPERTS
    )

    def validation() -> Tensor:
        assert held_out is not None
        error = increment.new_zeros(())
        for some in shown.split(run.together(CODED * vae.graph.num_parameters)):
            originals, origins = zoo.weights(some), zoo.origins(some)
            tokens = vae.decode_tokens(vae.posterior(originals - origins)[0])
            states = held_out[environment_of[some], 0, :VALIDATED_STATES]
            error = error + len(some) / len(shown) * behaviour(tokens, originals, origins, states)
        return error

    trained = [parameter for parameter in vae.parameters() if parameter.requires_grad]  # its origin stays as it is
    result = run.fit(
        trained,
        [partial(loss, piece) for piece in run.processes.share(settings.batch).pieces(at_once)],
        settings.training,
        name="vae",
        validation=validation if any_trajectory(held_out) else None,
    )
    vae.fit_latent_statistics(zoo.blocks(vae.coding_numbers))
    return result


def _increment(run: Run, predictor: StackedPredictor, frames: Tensor, missing: bool) -> Tensor:
    """Root mean square of what a frame [environment, trajectory, frame, channel, y, x] differs by from the one before,
    a scalar; of the values that are there."""
    means, counts = list[Tensor](), list[Tensor]()
    for some in frames.split(run.together(FRAMES * frames[0].numel())):
        squares = predictor.newest(some[:, :, 1:] - some[:, :, :-1]).square()
        means.append(squares.nanmean() if missing else squares.mean())
        counts.append(squares.isfinite().sum())
    mean, count = torch.stack(means), torch.stack(counts)
    mean = mean[0] if len(mean) == 1 else (mean.nan_to_num() * count / count.sum()).sum()
    return mean.sqrt().clamp(min=1e-8)


def _reconstruction(decoded: list[Tensor], target: list[Tensor], balanced: bool) -> Tensor:
    """Mean squared error in units of each layer's spread: over layers if ``balanced``, else over all weights."""
    errors = [(a - b).square() for a, b in zip(decoded, target, strict=True)]
    if balanced:
        return torch.stack([error.mean() for error in errors]).mean()
    return torch.cat([error.flatten() for error in errors]).mean()
