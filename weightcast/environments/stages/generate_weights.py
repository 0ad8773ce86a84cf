"""The stage ``generate_weights``: weights for every environment of the table, from every seed of an arm."""

from __future__ import annotations

import time

import torch

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.coded import coded
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.generator import Generator
from weightcast.environments.jobs import GenerateWeights
from weightcast.environments.known import known_of
from weightcast.environments.weights_table import MethodWeights, WeightsFile


@stage("generate_weights")
def generate_weights(
    run: Run,
    settings: GenerateWeights,
    generators: list[Generator],
    base: BaseNetwork,
    observed: TrajectoryFolder | None = None,
) -> WeightsFile:
    """Generate weights.

    Args:
        run: whose device is used.
        settings: environments, samples, the method's name.
        generators: one a seed.
        base: that the arm's zoo started from: its cost counts.
        observed: trajectories of all environments, where a condition sees frames.
    """
    known, methods = coded(base.to(run.device), known_of(settings, observed)), []
    for generator in generators:
        generator.to(run.device)
        started = time.monotonic()
        weights = run.room(len(known), settings.samples, generator.vae.graph.num_parameters)
        for row, (environment, told) in enumerate(zip(settings.environments, known, strict=True)):
            # Each environment has noise of its own, so that environments are independent samples.
            noise = generator.draw_noise(settings.samples, derive_seed(generator.metadata["seed"], environment.id))
            prepared = run.place(generator.condition.prepare([told]))
            with torch.no_grad():
                weights[row : row + 1] = generator.weights(prepared.expand(settings.samples, -1), noise)[None].cpu()
        methods.append(
            MethodWeights(
                method=settings.method,
                seed=int(generator.metadata["seed"]),
                environments=settings.ids,
                weights=weights,
                train_seconds=base.metadata["seconds"] + generator.seconds,
                adapt_seconds=(time.monotonic() - started) / len(settings.environments),
                parameters=generator.learned,
            )
        )
    return WeightsFile.of(methods, base.shared | run.described())
