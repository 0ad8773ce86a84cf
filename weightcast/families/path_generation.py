"""Generation of paths: a diffusion over an autoencoder's codes of paths, told what is known of an environment.

It is the diffusion of weights of the other half (weightcast.environments.diffusion), for which a path is a network of
one node. Hidden conditions teach the same network what codes are likely of an environment of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.families.config.path_diffusion import PathDiffusionSettings
from weightcast.families.config.sample_encoder import SampleEncoderSettings
from weightcast.families.encoder_training import drawn_part, visible_examples
from weightcast.families.inference import ShownSamples
from weightcast.families.path_condition import PathCondition
from weightcast.families.path_vae import PathVAE
from weightcast.families.path_zoo import Experts
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily

KIND, DIFFUSION = "path_generator", "diffusion."


@dataclass(frozen=True)
class PathGenerator:
    """A trained diffusion of codes.

    Attributes:
        diffusion: of codes in units of the visible ones, whose shape is (1, number).
        mean, scale: of codes drawn of what the autoencoder says of visible environments [number].
        settings: of the diffusion.
        metadata: of the artifact.
    """

    diffusion: LatentDiffusion
    mean: Tensor
    scale: Tensor
    settings: PathDiffusionSettings
    metadata: Mapping[str, Any]

    @property
    def condition(self) -> PathCondition:
        """What it is told of an environment."""
        condition = self.diffusion.transformer.condition
        assert isinstance(condition, PathCondition)
        return condition

    @torch.no_grad()
    def draw(self, prepared: Tensor | None, count: int, seed: int, keys: Sequence[str]) -> Tensor:
        """Generate codes.

        Args:
            prepared: coordinates of the condition [environment, coordinate]; None: nothing is known of any.
            count: codes of each environment.
            seed: of the draws.
            keys: what tells each environment from others: its draws depend on the seed, its key and what is known of
                it.

        Returns:
            [environment, draw, number].
        """
        noise = torch.stack([Draws("cpu", seed, key).normal(count, 1, len(self.mean)) for key in keys])
        told = None if prepared is None else prepared.repeat_interleave(count, 0)
        drawn = self.diffusion.sample(noise.flatten(0, 1).to(self.mean.device), told, self.settings.sample_steps)
        return self.mean + self.scale * drawn[:, 0].unflatten(0, (len(keys), count))

    def check(self, vae: TrainedFamily, codes: TrainedFamily) -> None:
        """Refuse an autoencoder, or a network that reads samples, of another study than it was trained with.

        Raises:
            InputError: codes, parameters, or what is said of samples have other numbers.
        """
        said = 0 if codes.encoder is None else 2 * codes.encoder.maps * codes.encoder.code
        found = (vae.codes.shape[1], vae.parameters.shape[1], said)
        expected = (len(self.mean), self.condition.of_parameters, self.condition.of_samples)
        if found != expected:
            raise InputError(
                f"diffusion of paths: found (code, parameters, said of samples) of {found} numbers, expected {expected}"
            )

    def to(self, device: torch.device) -> PathGenerator:
        """The same, to compute on a device; the network itself is moved."""
        return replace(
            self, diffusion=self.diffusion.to(device), mean=self.mean.to(device), scale=self.scale.to(device)
        )

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        tensors = {f"{DIFFUSION}{name}": value for name, value in self.diffusion.state_dict().items()}
        described = {
            "path_condition": {"parameters": self.condition.of_parameters, "said": self.condition.of_samples},
            "path_diffusion": self.settings.model_dump(mode="json"),
        }
        save_artifact(path, KIND, tensors | {"mean": self.mean, "scale": self.scale}, dict(self.metadata) | described)

    @classmethod
    def load(cls, path: str | Path) -> PathGenerator:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind, or its parts do not fit together.
        """
        artifact = load_artifact(path, KIND)
        tensors, metadata = artifact.tensors, artifact.metadata
        with understood(artifact):
            settings = PathDiffusionSettings.model_validate(metadata["path_diffusion"])
            mean, scale = tensors["mean"], tensors["scale"]
            if mean.ndim != 1 or scale.shape != mean.shape or not bool((scale > 0).all()):
                raise InputError("tensors: mean, scale: expected a number for each of a code, and a scale above 0")
            state = {name.removeprefix(DIFFUSION): own for name, own in tensors.items() if name.startswith(DIFFUSION)}
            condition = metadata["path_condition"]
            diffusion = load_built(lambda: untrained_diffusion(len(mean), PathCondition(**condition), settings), state)
            return cls(diffusion.requires_grad_(False).eval(), mean, scale, settings, metadata)


def said_of(family: TrainedFamily, shown: ShownSamples) -> Tensor:
    """What the network that reads samples says of environments: of each map's code mean and logarithm of the deviation
    [environment, number].

    Args:
        family: with such a network.
        shown: of the environments, on the family's device.
    """
    assert family.encoder is not None
    with torch.no_grad():
        mean, deviation = family.encoder(family.scaled(shown.times), shown.values, shown.there)
    return torch.cat([mean, deviation.log()]).permute(1, 0, 2).flatten(1)


def train_path_generator(
    run: Run,
    vae: TrainedFamily,
    experts: Experts,
    codes: TrainedFamily,
    snapshots: FamilySnapshots,
    settings: PathDiffusionSettings,
    encoder: SampleEncoderSettings | None,
    seed: int,
    name: str,
) -> PathGenerator:
    """Train a diffusion of an autoencoder's codes.

    A step is of visible environments: codes drawn of what the autoencoder says of their experts, and what is known of
    them, parameters alone, a few of their samples alone, or both, as often.

    Args:
        run: that it is trained in.
        vae: the autoencoder's family, on the run's device.
        experts: of the visible environments.
        codes: the family whose network reads samples, of the same environments, on the run's device.
        snapshots: of all environments.
        settings: of the diffusion.
        encoder: settings of that network, which say how many samples are shown; None without one.
        seed: of first weights and draws.
        name: of the training, its own within the stage.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    assert isinstance(vae.map, PathVAE)
    with torch.no_grad():
        mean, log_variance = vae.map.posterior(run.place(experts.weights))
    centre, scale = mean.mean(0), (mean.var(0) + log_variance.exp().mean(0)).sqrt()
    parameters = vae.parameters
    pool = None
    if codes.encoder is not None and encoder is not None:
        pool = visible_examples(codes, snapshots, encoder, derive_seed(seed, "pool")).samples
    said = 0 if codes.encoder is None else 2 * codes.encoder.maps * codes.encoder.code
    condition = PathCondition(parameters.shape[1], said)
    with run.initialised(derive_seed(seed, "diffusion")):
        diffusion = run.place(untrained_diffusion(mean.shape[1], condition, settings))
    both = parameters.shape[1] > 0 and pool is not None

    def loss(step: int) -> Tensor:
        draws = Draws("cpu", seed, "step", step)
        rows = draws.integers(len(mean), settings.batch)
        drawn = mean[rows] + (0.5 * log_variance[rows]).exp() * run.place(draws.normal(*mean[rows].shape))
        read = None
        if pool is not None and encoder is not None:
            read = said_of(codes, drawn_part(pool, rows, encoder, draws).to(run.device))
        prepared = run.place(condition.prepare(parameters[rows], read, len(rows)))
        if both:
            hidden = run.place(draws.integers(3, len(rows)))  # parameters, what is said, or neither
            prepared = condition.without(prepared, hidden == 0, hidden == 1)
        return diffusion.loss(((drawn - centre) / scale)[:, None], prepared, run.draws(seed, "noise", step))

    result = run.fit(list(diffusion.parameters()), loss, settings.training, name=name)
    metadata = {"seconds": result.seconds}
    return PathGenerator(diffusion.requires_grad_(False).eval(), centre, scale, settings, metadata)


def untrained_diffusion(numbers: int, condition: PathCondition, settings: PathDiffusionSettings) -> LatentDiffusion:
    """A diffusion of codes of so many numbers."""
    return LatentDiffusion(1, numbers, condition, settings.of_weights)
