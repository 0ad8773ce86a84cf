"""The stage ``tune_generator``: a trained generator, fine-tuned end to end through the predictor's own error."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from weightcast.core.config.training import PooledTraining
from weightcast.core.nets.sizes import kept_in_step
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.share import Share
from weightcast.core.stage import stage
from weightcast.core.training import Fit
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.dataset import TrajectoryFolder, any_trajectory
from weightcast.environments.examples import Examples
from weightcast.environments.generator import Generator
from weightcast.environments.jobs import TuneGenerator
from weightcast.environments.known import known_of, training_known_of
from weightcast.environments.labels import Labels
from weightcast.environments.losses import errors_of_environments, pooled_loss
from weightcast.environments.missing_values import WindowStarts
from weightcast.environments.step_sizes import end_to_end_step


@stage("tune_generator")
def tune_generator(
    run: Run,
    settings: TuneGenerator,
    generator: Generator,
    trajectories: TrajectoryFolder,
    labels: Labels | None = None,
) -> Generator:
    """Fine-tune a generator on the visible environments.

    Args:
        run: whose device is used.
        settings: of the fine-tuning.
        generator: trained.
        trajectories: of the visible environments.
        labels: of these environments, where the arm's condition is one.
    """
    data = settings.data
    generator.to(run.device)
    taught = training_known_of(settings, trajectories, labels=labels)
    told = known_of(settings, trajectories) if labels is None else taught
    prepared = run.place(generator.condition.prepare(told))
    frames, held_out = (
        run.place(
            generator.normalisation.apply_in_place(
                trajectories.read(settings.ids, data, part, data.trained_frames, inputs=True)
            )
        )
        for part in ("train", "validation")
    )
    seed = derive_seed(settings.seed, "end-to-end", settings.generator_seed)
    examples = Examples.of(run, generator.condition, taught)
    graph, described = generator.vae.graph, generator.metadata
    step = end_to_end_step(
        settings.end_to_end,
        VAESettings.model_validate(described["vae"]),
        DiffusionSettings.model_validate(described["diffusion"]),
        graph.num_nodes,
        graph.num_parameters,
        kept_in_step(described["architecture"], data.grid),
    )
    result = tune_end_to_end(
        run,
        generator,
        frames,
        prepared,
        settings.end_to_end,
        seed,
        held_out,
        examples,
        data.start_share,
        at_once=run.together(step),
    )
    if settings.shown is not None:
        generator.find_span(run, taught, settings.shown.conditions.frames.frames)
    before = generator.metadata
    generator.metadata = (
        before
        | run.described()
        | {
            "stage_of_training": "end-to-end",
            "end_to_end": settings.end_to_end.model_dump(mode="json"),
            "diffusion_digest": before["digest"],
            "seconds_before": before["seconds_before"] + before["seconds"],
            "seconds": result.seconds,
            "metrics": {"last_loss": result.last_loss},
        }
    )
    return generator


def tune_end_to_end(
    run: Run,
    generator: Generator,
    frames: Tensor,
    prepared: Tensor,
    settings: EndToEndSettings,
    seed: int,
    held_out: Tensor | None = None,
    examples: Examples | None = None,
    start_share: float = 0.0,
    at_once: int | None = None,
) -> Fit:
    """Fine-tune decoder and diffusion together, through sampler, decoder and predictor, on visible environments.

    Args:
        run: whose device everything is on.
        generator: trained; tuned in place.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        prepared: coordinates [environment, coordinate].
        settings: environments and samples a step, training.
        seed: of the draws.
        held_out: normalised validation frames of the same environments, for the curve.
        examples: what steps are shown of the environments; ``prepared`` in every step if None.
        start_share: of the windows that begin with a trajectory's first frame (`DataSettings.start_share`).
        at_once: environments of a step that are computed with at once; None: all.
    """
    noise = {"draws": run.draws(seed)}
    shown, auxiliary = examples or Examples(None, prepared), list[Tensor]()
    predictor, starts = generator.predictor.on(run), WindowStarts(frames)

    def weights_of(chosen: Tensor) -> Tensor:
        # Noise is drawn first: what is drawn for the condition changes none of it.
        drawn = noise["draws"].normal(len(chosen), *generator.diffusion.shape)
        told = shown.draw(chosen, noise["draws"])
        auxiliary.append(shown.auxiliary_loss(told, chosen))
        return generator.weights(told, drawn)

    training = PooledTraining(**settings.training.model_dump(), environments=settings.environments)

    def loss(share: Share, step: int) -> Tensor:
        over_environments = pooled_loss(weights_of, predictor, frames, training, seed, start_share, share, starts)
        auxiliary.clear()
        noise["draws"] = share.draws(run.draws(seed, "end-to-end", step))
        total = over_environments(step)
        for sample in range(1, settings.samples):
            noise["draws"] = share.draws(run.draws(seed, "end-to-end", step, sample))
            total = total + over_environments(step)
        return share.weight * (total + torch.stack(auxiliary).sum()) / settings.samples

    def validation() -> Tensor:
        assert held_out is not None
        drawn = run.draws(seed, "end-to-end", "validation").normal(len(prepared), *generator.diffusion.shape)
        return errors_of_environments(
            lambda rows: generator.weights(prepared[rows], drawn[rows]),
            predictor,
            held_out,
            settings.training.unroll,
            at_once,
        ).mean()

    trained = [*generator.vae.decoder_parameters(), *generator.diffusion.parameters()]
    share = run.processes.share(min(settings.environments, len(frames)))
    return run.fit(
        trained,
        [partial(loss, piece) for piece in share.pieces(at_once)],
        settings.training,
        name="end-to-end",
        validation=validation if any_trajectory(held_out) else None,
    )
