"""The stage ``regress_latents``: what an arm's VAEs make of experts, without its diffusion.

Experts that are encoded and decoded say what the VAE loses, and regression of the zoo's latents what a diffusion of
them has to gain.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from weightcast.core.methods import DECODED_PREFIX, LATENT_REGRESSION_PREFIX
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import grouped
from weightcast.environments.base import BaseNetwork
from weightcast.environments.coded import coded
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import RegressLatents
from weightcast.environments.known import known_of
from weightcast.environments.latent_regression import LatentRegression
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.environments.zoo import Zoo, own_experts

CODED = 6
"""Copies of a network's weights, while it is encoded and decoded."""


@stage("regress_latents")
def regress_latents(
    run: Run,
    settings: RegressLatents,
    zoo: Zoo,
    vaes: list[TrainedVae],
    base: BaseNetwork,
    reference: Zoo | None,
    observed: TrajectoryFolder | None = None,
) -> WeightsFile:
    """Encode, regress and decode, seed by seed; without regression where the condition is no few numbers.

    Args:
        run: whose device is used.
        settings: degrees, folds, environments, the arm's name, which ends the methods' names.
        zoo: experts of the visible environments.
        vaes: one a seed.
        base: that the zoo started from.
        reference: experts of unseen environments, which are encoded and decoded alone; None where there is none.
        observed: trajectories of all environments, where a condition sees frames.
    """
    training = TrainingZoo.of(zoo, settings, observed)
    manifest, experts = own_experts(zoo, reference)
    environments = [entry["environment"] for entry in manifest]
    known, members = coded(base.to(run.device), known_of(settings, observed)), training.environment_of
    told = dict(zip(settings.ids, known, strict=True))
    methods = []
    for trained in vaes:
        vae, prepare = run.place(trained.vae), trained.condition.prepare
        before = base.metadata["seconds"] + training.zoo.seconds + trained.metadata["seconds"]
        own, all_of_them = (run.place(prepare(each)) for each in ([told[one] for one in environments], known))
        together = run.together(vae.coding_numbers + CODED * vae.graph.num_parameters)
        decoded = run.room(*experts.shape)
        with torch.no_grad():
            for rows in torch.arange(len(experts)).split(together):
                decoded[rows] = vae.decode(vae.encode(run.place(experts[rows]), own[rows]), own[rows]).cpu()
        seed, learned = int(trained.metadata["seed"]), sum(one.numel() for one in vae.parameters())
        methods.append(
            MethodWeights(
                method=f"{DECODED_PREFIX}{settings.arm}",
                seed=seed,
                environments=environments,
                weights=grouped(decoded, 1),
                train_seconds=before,
                # As of One-per-Env: an environment's own expert is trained first.
                adapt_seconds=float(np.mean([entry["seconds"] for entry in manifest])),
                parameters=learned,
                diverged=[entry["environment"] for entry in manifest if entry["diverged"]],
            )
        )
        if not trained.condition.regressable:
            continue
        with torch.no_grad():
            started = time.monotonic()
            seen = run.place(prepare(training.known))[run.place(members)]
            weights = training.zoo.weights
            parts = torch.arange(len(weights)).split(together)
            shape = vae.graph.num_nodes, vae.latent
            latents = run.room(len(weights), *shape)
            for rows in parts:
                latents[rows] = vae.encode(run.place(weights[rows]), seen[rows]).cpu()
            degrees, folds = settings.regression.degrees, settings.regression.folds
            regression = LatentRegression(trained.condition.coordinates, max(degrees), shape)
            choice = run.place(regression).fit(seen, latents, degrees, folds, run)
            wanted, regressed = regression(all_of_them), run.room(len(all_of_them), weights.shape[1])
            for rows in torch.arange(len(wanted)).split(together):
                regressed[rows] = vae.decode(wanted[rows], all_of_them[rows]).cpu()
            seconds = time.monotonic() - started
        print(f"latent regression, seed {seed}: {choice}", flush=True)
        methods.append(
            MethodWeights(
                method=f"{LATENT_REGRESSION_PREFIX}{settings.arm}",
                seed=seed,
                environments=settings.ids,
                weights=grouped(regressed, 1),
                train_seconds=before + seconds,
                adapt_seconds=0.0,
                parameters=learned + regression.coefficients.numel(),
            )
        )
    return WeightsFile.of(methods, base.shared | run.described())
