"""The stage ``train_diffusion``: the latent diffusion of one arm and seed, on a zoo encoded by its VAE."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor

from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.share import Share
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import Rows, taken
from weightcast.core.training import Fit
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.deviations import Deviations
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.examples import Examples
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.jobs import TrainDiffusion
from weightcast.environments.known import training_known_of
from weightcast.environments.labels import Labels
from weightcast.environments.step_sizes import denoising_step
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.zoo import Zoo

_PASSED_ON = ("architecture", "normalisation", "condition", "vae", "origin", "base", "seed")
"""What a generator's metadata take from its VAE's."""


@stage("train_diffusion")
def train_diffusion(
    run: Run,
    settings: TrainDiffusion,
    zoo: Zoo,
    vae: TrainedVae,
    observed: TrajectoryFolder | None = None,
    labels: Labels | None = None,
) -> Generator:
    """Train the diffusion on the latents of the experts that did not diverge.

    Args:
        run: whose device is used.
        settings: of the diffusion.
        zoo: that the VAE was trained on.
        vae: of the same arm.
        observed: trajectories of the visible environments, where a condition sees frames.
        labels: of these environments, where the arm's condition is one.
    """
    training = TrainingZoo.of(zoo, settings, observed)
    taught = training_known_of(settings, observed, training.environments, labels)
    metadata = {key: vae.metadata[key] for key in _PASSED_ON} | {
        "arm": settings.arm,
        "stage_of_training": "diffusion",
        "diffusion": settings.diffusion.model_dump(mode="json"),
        "vae_digest": vae.metadata["digest"],
        "zoo_digest": training.zoo.metadata["digest"],
    }
    seed = derive_seed(settings.seed, "diffusion", settings.generator_seed)
    generator = new_generator(metadata, seed)
    generator.vae = vae.vae.requires_grad_(False)
    generator.condition.load_state_dict(vae.condition.state_dict())
    generator.to(run.device)

    told = taught if labels is not None else training.known
    prepared = run.place(generator.condition.prepare(told))
    environment_of = run.place(training.environment_of)
    latents = Deviations(run, generator.vae, training.zoo.weights, prepared, environment_of).latents()
    diffusion, chosen = generator.diffusion, settings.diffusion
    seconds_of_choice = 0.0
    if chosen.left_out:
        chosen, seconds_of_choice = choose_steps(run, diffusion, latents, prepared[environment_of], chosen, seed)
    examples = Examples.of(run, generator.condition, taught)
    result = train_latent_diffusion(run, diffusion, latents, prepared, chosen, seed, environment_of, examples)
    if settings.shown is not None:
        generator.find_span(run, taught, settings.shown.conditions.frames.frames)
    generator.metadata |= run.described() | {
        "seconds": result.seconds + seconds_of_choice,
        "seconds_before": training.zoo.seconds + vae.metadata["seconds"] + (labels.seconds if labels else 0.0),
        "metrics": {"last_loss": result.last_loss, "steps": chosen.training.steps},
    }
    return generator


def choose_steps(
    run: Run, untrained: LatentDiffusion, latents: Rows, prepared: Tensor, settings: DiffusionSettings, seed: int
) -> tuple[DiffusionSettings, float]:
    """How many steps of training generate the latents of visible environments best that are left out of it.

    Those are left out that lie farthest from the middle of all: whoever asks for an unseen environment asks for one
    between others or beyond them, and beyond is where too long a training does harm.

    Args:
        run: whose device everything is on.
        untrained: left as it is.
        latents: of the zoo's members [member, node, latent].
        prepared: coordinates of each member's environment [member, coordinate].
        settings: of the diffusion, ``left_out`` among them.
        seed: of the draws.

    Returns:
        The settings with the chosen number of steps, and the seconds that the choice took.

    Raises:
        InputError: there are too few environments to leave one out.
    """
    environments, of = torch.unique(prepared, dim=0, return_inverse=True)
    if len(environments) < 3:
        raise InputError(
            f"config: generator.diffusion.left_out: found {settings.left_out:g} with {len(environments)} visible "
            "environments, expected 0, or 3 environments or more: two are trained on"
        )
    left_out = min(max(1, round(settings.left_out * len(environments))), len(environments) - 2)
    distance = (environments - environments.mean(0)).square().sum(1)
    kept = torch.isin(of, distance.argsort(stable=True)[:-left_out])  # [member]
    seen, judged = taken(latents, kept), run.place(taken(latents, ~kept)[:])
    noise = run.draws(seed, "diffusion", "left-out").normal(*judged.shape)
    trial = deepcopy(untrained)

    def validation() -> Tensor:
        with torch.no_grad():
            sampled = trial.sample(noise, prepared[~kept], settings.sample_steps)
        return (sampled - judged).square().mean().sqrt()

    result = train_latent_diffusion(
        run, trial, seen, prepared[kept], settings, seed, name="diffusion-left-out", validation=validation
    )
    steps = settings.training.steps
    if result.validated_steps:  # a rehearsal, which forecasts the cost, has none
        errors = torch.nan_to_num(result.validation[:, 0], nan=torch.inf)
        steps = result.validated_steps[int(errors.argmin())]
    print(f"diffusion: {steps} steps, chosen on {left_out} environments left out", flush=True)
    training = settings.training.model_copy(update={"steps": steps})
    return settings.model_copy(update={"training": training}), result.seconds


def train_latent_diffusion(
    run: Run,
    diffusion: LatentDiffusion,
    latents: Rows,
    prepared: Tensor,
    settings: DiffusionSettings,
    seed: int,
    environment_of: Tensor | None = None,
    examples: Examples | None = None,
    *,
    name: str = "diffusion",
    validation: Callable[[], Tensor] | None = None,
) -> Fit:
    """Train a diffusion in place, after the regression that it may be relative to.

    Args:
        run: whose device everything is on, but for latents that do not fit into its memory.
        diffusion: to be trained.
        latents: of the zoo's members [member, node, latent].
        prepared: coordinates of the environments [environment, coordinate].
        settings: of the diffusion.
        seed: of the draws.
        environment_of: long [member]; position of each member's environment in ``prepared``; one a member if None.
        examples: what steps are shown of the environments; ``prepared`` in every step if None.
        name: of the training.
        validation: its error on what is not trained on.
    """
    shown = examples or Examples(None, prepared)
    of_members = prepared if environment_of is None else prepared[environment_of]
    diffusion.fit_regression(latents, of_members, settings, run)
    held = diffusion.residuals(latents, of_members) if isinstance(latents, Tensor) else None

    def residuals(members: Tensor) -> Tensor:
        if held is not None:
            return held[members]
        return diffusion.residuals(run.place(latents[members]), of_members[members])

    def loss(share: Share, step: int) -> Tensor:
        draws = share.draws(run.draws(seed, "diffusion", step))
        chosen = draws.integers(len(latents), len(share))
        rows = chosen if environment_of is None else environment_of[chosen]
        condition = shown.draw(rows, share.draws(run.draws(seed, "condition", step)))
        auxiliary = shown.auxiliary_loss(condition, rows)
        if settings.parameter_noise > 0.0:
            condition = condition + settings.parameter_noise * draws.normal(*condition.shape)
        return share.weight * (diffusion.loss(residuals(chosen), condition, draws) + auxiliary)

    nodes = diffusion.shape[0]
    pieces = run.processes.share(settings.batch).pieces(run.together(denoising_step(settings, nodes)))
    losses = [partial(loss, piece) for piece in pieces]
    return run.fit(list(diffusion.parameters()), losses, settings.training, name=name, validation=validation)
