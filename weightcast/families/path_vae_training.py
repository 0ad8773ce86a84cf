"""Training of the variational autoencoder over the experts' paths, and the family of paths that its decoder makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.families.config.path_vae import PathVaeSettings
from weightcast.families.inference import ShownSamples
from weightcast.families.jobs import ZOO_VAE
from weightcast.families.path_experts import weights_at
from weightcast.families.path_vae import PathVAE
from weightcast.families.path_zoo import Experts, drawn_batch, mean_error, sample_pools
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.zoo_map import knot_times


def train_path_vae(
    run: Run,
    zoo: TrainedFamily,
    experts: Experts,
    snapshots: FamilySnapshots,
    settings: PathVaeSettings,
    seed: int,
    name: str,
) -> TrainedFamily:
    """Train it on the experts, and make a family of its decoder, whose codes are the mean codes of the experts.

    The loss of an expert is the squared error of its decoded weights in units of their layer's spread, mean over
    layers, with the Kullback-Leibler term and the negative log-likelihood of its environment's samples under decoded
    densities, at the times of these samples.

    Args:
        run: that it is trained in.
        zoo: of the same experts, told codes, on the run's device.
        experts: of the visible environments, in the zoo's order.
        snapshots: of all environments.
        settings: of encoder, decoder and training.
        seed: of first weights and draws.
        name: of the training, its own within the stage.

    Returns:
        a family of one map, whose metadata say what decoding loses.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    paths = run.place(experts.weights)
    environments, knots, weights = paths.shape
    with run.initialised(derive_seed(seed, "vae")):
        vae = PathVAE(
            zoo.density.graph, weights, settings.code, "vae", settings.code, knots, settings.width, settings.heads,
            settings.layers,
        )  # fmt: skip
    vae = run.place(vae)
    vae.fit_statistics(paths)
    pool, held_back = sample_pools(zoo, snapshots, seed)
    held_back = held_back.to(run.device)
    at, few = run.place(knot_times(knots)), min(settings.knots, knots)

    def decoded(codes: Tensor, times: Tensor) -> Tensor:
        """Codes [path, number] and scaled times [path, time] -> weights [path, time, weight]."""
        repeated = codes.repeat_interleave(times.shape[1], 0)
        return vae(times.flatten().to(codes), repeated).unflatten(0, times.shape)

    def loss(step: int) -> Tensor:
        draws = Draws("cpu", seed, "step", step)
        rows = draws.permutation(environments)[: settings.batch]
        mean, log_variance = vae.posterior(paths[rows])
        codes = mean + (0.5 * log_variance).exp() * run.place(draws.normal(*mean.shape))
        chosen = draws.uniform(len(rows), knots).argsort(1)[:, :few]
        apart = vae.standardise(decoded(codes, at[chosen]) - paths[rows[:, None], chosen])
        total = torch.stack([layer.square().mean() for layer in apart]).mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).mean()
        total = total + settings.kl_weight * divergence
        if settings.functional_weight > 0.0:
            seen = ShownSamples(pool.times[rows], pool.values[rows], pool.there[rows])
            shown = drawn_batch(seen, settings.snapshots, settings.samples, draws).to(run.device)
            error = mean_error(zoo, decoded(codes, zoo.scaled(shown.times)), shown).mean()
            total = total + settings.functional_weight * error
        return total

    def error_of_decoded() -> Tensor:
        with torch.no_grad():
            return mean_error(zoo, decoded(vae.encode(paths), zoo.scaled(held_back.times)), held_back)

    kept = None if settings.training.keep == "last" else (lambda: error_of_decoded().mean())
    result = run.fit(list(vae.parameters()), loss, settings.training, name=name, validation=kept)
    vae = vae.requires_grad_(False).eval()
    with torch.no_grad():
        codes = vae.encode(paths)
        own = mean_error(zoo, weights_at(paths, zoo.scaled(held_back.times)), held_back)
        lost = (decoded(codes, at.expand(environments, -1)) - paths).square().mean()
        lost = lost / (paths - paths.mean(0)).square().mean().clamp(min=1e-12)
    found: dict[str, Any] = {
        "experts": environments,
        "expert_nll": round(float(own.mean()), 5),
        "decoded_nll": round(float(error_of_decoded().mean()), 5),
        "variance_lost": round(float(lost), 5),
    }
    metadata = {"seconds": result.seconds, ZOO_VAE: found}
    return replace(zoo.alone, map=vae, codes=codes, mixture={}, masses=None, metadata=metadata)
