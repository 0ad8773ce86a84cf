"""The generator: an environment in, complete predictors out, without training there."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.core.device import choose_device
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.environments.conditions import Condition, Known, build_condition
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.condition import SPANNED_COPIES, SPANNED_ENVIRONMENTS
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.generated_span import GeneratedSpan
from weightcast.environments.infer_environment import infer_environments
from weightcast.environments.inputs import with_shown
from weightcast.environments.model import PhysicalPredictor, physical_predictors
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.vae import WeightVAE
from weightcast.environments.vae_artifact import build_vae

PRIOR_STEPS = 50
"""Steps in which the prior is sampled."""
SPANNED_DRAWS = 8
"""Sets of weights of each visible environment, of other trajectories and other noise, whose mean is spanned."""


class Generator:
    """Weight VAE and latent diffusion together: samples of p(weights | environment).

    Attributes:
        vae: between weights and latents.
        diffusion: of latents, under a condition.
        condition: what is known of an environment, as the diffusion and the origin of weights see it.
        metadata: of the artifact: architecture, normalisation, condition, origin, arm, seed, settings, digests.
        span: of what is generated for visible environments, of a condition that sees frames; None before it is found.
    """

    def __init__(
        self,
        vae: WeightVAE,
        diffusion: LatentDiffusion,
        condition: Condition,
        metadata: Mapping[str, Any],
        span: GeneratedSpan | None = None,
    ) -> None:
        self.vae = vae
        self.span = span
        self.diffusion = diffusion
        self.condition = condition
        self.metadata = dict(metadata)
        self.normalisation = Normalisation.from_metadata(self.metadata["normalisation"])
        self.sample_steps = int(self.metadata["diffusion"]["sample_steps"])

    @classmethod
    def load(
        cls,
        path: str | Path,
        arm: str | None = None,
        seed: int | None = None,
        device: str = "cpu",
        condition: str | None = None,
    ) -> Generator:
        """Read a trained generator.

        Args:
            path: a study's folder (``results/<study>``) or one generator artifact.
            arm: which arm of the study; the first of its config if None, of those that are told ``condition``.
            seed: which of its seeds; the first if None.
            device: where it computes: ``cpu``, ``cuda``, ``cuda:<number>`` or ``auto``.
            condition: what an arm must be told: ``parameters``, ``frames``, ``label``; anything if None.

        Raises:
            InputError: there is none, its file cannot be used, or there is no such device.
        """
        path = Path(path)
        artifact = load_artifact(_find(path, arm, seed, condition) if path.is_dir() else path, "generator")
        with understood(artifact):
            whole = load_built(lambda: _Parts(*_build(artifact.metadata)), artifact.tensors).eval()
            generator = cls(whole.vae, whole.diffusion, whole.condition[0], artifact.metadata, whole.span)
        return generator.to(choose_device(device))

    def to(self, device: torch.device) -> Generator:
        """Move the generator to a device, in place."""
        self.vae.to(device)
        self.diffusion.to(device)
        if self.span is not None:
            self.span.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.vae.mean.device

    @property
    def learned(self) -> int:
        """Numbers that must be kept to use it."""
        kept: list[Tensor] = [*self.vae.parameters(), *self.diffusion.parameters()]
        if self.diffusion.regression is not None:
            kept.append(self.diffusion.regression.coefficients)
        return sum(numbers.numel() for numbers in kept)

    @property
    def seconds(self) -> float:
        """Training time of zoo, VAE, diffusion and fine-tuning together; that of the base comes on top."""
        return float(self.metadata["seconds_before"] + self.metadata["seconds"])

    def save(self, path: str | Path) -> None:
        """Write the generator as one artifact."""
        tensors = {f"vae.{name}": tensor for name, tensor in self.vae.state_dict().items()}
        tensors |= {f"diffusion.{name}": tensor for name, tensor in self.diffusion.state_dict().items()}
        metadata = {key: value for key, value in self.metadata.items() if key != "span"}
        if self.span is not None:
            tensors |= {f"span.{name}": tensor for name, tensor in self.span.state_dict().items()}
            metadata["span"] = {"environments": len(self.span.codes), "dimension": self.span.codes.shape[1]}
        save_artifact(path, "generator", tensors, metadata)

    @torch.no_grad()
    def find_span(self, run: Run, visible: Sequence[Known], count: int) -> None:
        """Span what is generated for visible environments, of a condition that sees frames; nothing to do for others,
        or where fewer than two are visible.

        Args:
            run: whose memory says how many environments are spanned.
            visible: with all of their training frames, and their label where the condition is one.
            count: frames that an observation has.
        """
        self.span = None
        if not self.condition.shown_frames or len(visible) < 2:
            return
        numbers = self.vae.graph.num_parameters
        most = max(2, min(SPANNED_ENVIRONMENTS, run.together(SPANNED_COPIES * numbers)))
        spanned = visible[:: math.ceil(len(visible) / most)]
        noise = self.draw_noise(SPANNED_DRAWS, derive_seed(int(self.metadata["seed"]), "span"))
        weights = torch.zeros(len(spanned), numbers, device=self.device)
        together = run.together(self.vae.coding_numbers + numbers)
        for draw in range(SPANNED_DRAWS):
            observed = [_shown_of(known, draw, count) for known in spanned]
            prepared = self.condition.prepare(observed).to(self.device)
            for rows in torch.arange(len(spanned), device=self.device).split(together):
                weights[rows] += self.weights(prepared[rows], noise[draw].expand(len(rows), -1, -1)) / SPANNED_DRAWS
        self.span = GeneratedSpan.of(weights)

    def weights(self, prepared: Tensor, noise: Tensor) -> Tensor:
        """Weights from a condition's coordinates and given noise; differentiable.

        Args:
            prepared: coordinates of environments [batch, coordinate].
            noise: standard normal [batch, node, latent].

        Returns:
            [batch, weight].
        """
        return self.vae.decode(self.diffusion.sample(noise, prepared, self.sample_steps), prepared)

    def draw_noise(self, count: int, seed: int) -> Tensor:
        """Noise [count, node, latent]; the first rows do not depend on ``count``."""
        draws = Draws(self.device, seed)
        return torch.stack([draws.normal(*self.diffusion.shape) for _ in range(count)])

    @torch.no_grad()
    def sample_weights(self, environment: Mapping[str, float], n: int = 1, seed: int = 0) -> Tensor:
        """Weights of ``n`` predictors for an environment with known parameters: [n, weight], on the CPU.

        Warns:
            UserWarning: a parameter lies outside the visible range.

        Raises:
            InputError: a parameter is unknown, missing or not a finite number; or ``n`` is less than 1.
        """
        self.check_told_parameters("environment")
        known = Known(parameters=environment)
        for warning in self.condition.check(known, "environment"):
            warnings.warn(warning, stacklevel=3)  # past the decorator, to the caller
        if n < 1:
            raise InputError(f"n: found {n}, expected at least 1")
        return self.known_weights(known, n, seed)

    def check_told_parameters(self, source: str) -> None:
        """Check that this is a generator that can be told an environment's parameters.

        Raises:
            InputError: it is told frames; names ``source``.
        """
        if self.condition.shown_frames or isinstance(self.condition, CodeCondition):
            raise InputError(
                f"{source}: found parameters, expected observed frames: the arm {self.metadata.get('arm')} was trained "
                f"on the condition {self.condition.describe()['kind']!r}"
            )

    @torch.no_grad()
    def prior_weights(self, n: int = 1, seed: int = 0, steps: int = PRIOR_STEPS) -> Tensor:
        """Weights of ``n`` predictors as they are likely where nothing is known of the environment: [n, weight].

        Args:
            n: how many, on the CPU.
            seed: the same seed gives the same weights.
            steps: of the sampler, more than a condition needs: the prior is wide.

        Raises:
            InputError: the generator was trained without condition dropout, or relative to regression, or its weights
                are relative to those of a base that must be told of an environment.
        """
        origin = self.vae.origin
        if origin is not None and not origin.is_pooled:
            raise InputError(
                "prior_weights: found weights relative to a conditioned base, which must be told of an environment, "
                "expected an arm on a pooled base or with vae.relative_to: mean"
            )
        latents = self.diffusion.sample(self.draw_noise(n, seed), None, steps)
        return self.vae.decode(latents, latents.new_zeros(n, 0)).cpu()

    @torch.no_grad()
    def known_weights(self, known: Known, n: int = 1, seed: int = 0) -> Tensor:
        """Weights of ``n`` predictors for an environment of which this is known: [n, weight], on the CPU."""
        prepared = self.condition.prepare([known]).to(self.device)
        return self.weights(prepared.expand(n, -1), self.draw_noise(n, seed)).cpu()

    @torch.no_grad()
    def refined_weights(
        self, generated: Tensor, frames: Tensor, times: Tensor | None = None, land: Tensor | None = None
    ) -> Tensor:
        """Generated weights, moved along what is generated for visible environments to where they explain the frames
        that were observed best: [1, weight], on the CPU. See :class:`~weightcast.environments.generated_span.
        GeneratedSpan`.

        Args:
            generated: from these frames [1, weight].
            frames: [trajectory, time, channel, y, x] in physical units, two or more, and more than predictors see.
            times: of the frames; None: they follow each other, as they must.
            land: where frames hold the study's number, since a channel never has a value there, and nothing is to be
                explained, bool [channel, y, x]; None: nowhere.

        Raises:
            InputError: there is more than one set of weights, or the generator sees no frames or was trained before it
                kept what is needed, or frames are too few, apart, or have gaps.
        """
        if self.span is None:
            raise InputError(
                f"refine: found the arm {self.metadata.get('arm')}, expected one told frames or a label, trained on "
                "two environments or more since refinement is kept with it"
            )
        if len(generated) != 1:
            raise InputError(f"refine: found {len(generated)} predictors, expected 1: the search ends at a single one")
        if times is not None and not torch.equal(times.diff(), torch.ones_like(times.diff())):
            raise InputError("refine: found times that leave frames out, expected frames that follow each other")
        seen = self._normalised(frames)
        return self.span.refine(generated.to(self.device), self.predictor, seen, land=land).cpu()

    def infer(self, frames: Tensor, seed: int = 0, land: Tensor | None = None) -> dict[str, float]:
        """The parameters whose generated predictor explains observed frames best.

        Args:
            frames: [time, channel, y, x] or [trajectory, time, channel, y, x], in physical units, two frames or more,
                and more than predictors see (``data.history``); columns of inputs, where the predictors are shown any,
                behind the channels of the state.
            seed: of the generator's noise.
            land: see :meth:`refined_weights`.

        Raises:
            InputError: the frames' shape or values cannot be used.
        """
        return self.condition.named(self._search(frames, seed, land))

    def _normalised(self, frames: Tensor) -> Tensor:
        """Frames of one environment, checked, as predictors see them [1, trajectory, frame, channel, y, x]."""
        layout, history = self.predictor.layout, self.predictor.history
        channels = (len(self.normalisation.mean) - layout.shown) // history + len(layout.columns)
        shown = with_shown(_check_frames(frames, channels, history), layout, history)
        return self.normalisation.apply(shown).to(self.device)[None]

    def _search(self, frames: Tensor, seed: int, land: Tensor | None = None) -> Tensor:
        """Coordinates [coordinate] of the environment behind frames: see :meth:`infer`."""
        noise = self.draw_noise(1, seed)
        prepared = infer_environments(
            lambda candidates: self.weights(candidates, noise.expand(len(candidates), -1, -1)),
            self.predictor,
            self._normalised(frames),
            self.condition.candidates(),
            land=land,
        )
        return prepared[0]

    def sample(
        self,
        environment: Mapping[str, float] | None = None,
        frames: Tensor | None = None,
        n: int = 1,
        seed: int = 0,
        times: Tensor | None = None,
        refine: bool = False,
    ) -> list[PhysicalPredictor]:
        """Generate predictors for an environment given by its parameters, or by a few frames observed there.

        Args:
            environment: value of each parameter, in the study's units.
            frames: see :meth:`infer`; used where ``environment`` is not given. A generator whose condition sees frames
                takes a single one as well, and NaN for points that were not seen.
            n: how many predictors.
            seed: the same seed gives the same predictors.
            times: of the frames [time], counted in the study's frames, for such a condition; consecutive ones if None.
            refine: move what is generated from frames to where it explains them best (:meth:`refined_weights`).

        Returns:
            ``n`` modules, each [batch, channel, y, x] -> the next frames, in physical units, with ``rollout``.

        Raises:
            InputError: see :meth:`sample_weights` and :meth:`infer`.
        """
        if (environment is None) == (frames is None):
            raise InputError("sample: expected either the environment's parameters or observed frames")
        if environment is None:
            assert frames is not None
            if isinstance(self.condition, CodeCondition):
                known = Known(code=self._search(frames, seed).cpu())
                return physical_predictors(self.known_weights(known, n, seed), self.metadata, {})
            if self.condition.shown_frames:
                observed = Known(frames=_as_trajectories(frames), times=times)
                self._warn(observed, "frames")
                weights = self.known_weights(observed, n, seed)
                if refine:
                    assert observed.frames is not None
                    weights = self.refined_weights(weights, observed.frames, times)
                return physical_predictors(weights, self.metadata, {})
            environment = self.infer(frames, seed)
        return physical_predictors(self.sample_weights(environment, n, seed), self.metadata, environment)

    def _warn(self, known: Known, source: str) -> None:
        for warning in self.condition.check(known, source):
            warnings.warn(warning, stacklevel=3)

    @property
    def predictor(self) -> StackedPredictor:
        """The architecture whose weights are generated, on the generator's device."""
        return StackedPredictor.of_architecture(self.metadata["architecture"]).to(self.device)


def new_generator(metadata: Mapping[str, Any], seed: int) -> Generator:
    """An untrained generator of the architecture, condition, origin, VAE and diffusion settings in ``metadata``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae, diffusion, condition, _ = _build(metadata)
        return Generator(vae, diffusion, condition, metadata)


def _build(metadata: Mapping[str, Any]) -> tuple[WeightVAE, LatentDiffusion, Condition, GeneratedSpan | None]:
    graph = StackedPredictor.of_architecture(metadata["architecture"]).graph
    condition = build_condition(metadata["condition"])
    vae = build_vae(metadata, condition, graph)
    settings = DiffusionSettings(**metadata["diffusion"])
    spanned, span = metadata.get("span"), None
    if spanned is not None:
        span = GeneratedSpan(int(spanned["dimension"]), int(spanned["environments"]), graph.num_parameters)
    return vae, LatentDiffusion(graph.num_nodes, vae.latent, condition, settings), condition, span


class _Parts(nn.Module):
    """A generator's networks under the names that its artifact has, and the condition, which is a part of both."""

    def __init__(
        self, vae: WeightVAE, diffusion: LatentDiffusion, condition: Condition, span: GeneratedSpan | None
    ) -> None:
        super().__init__()
        self.vae, self.diffusion, self.span = vae, diffusion, span
        self.condition = (condition,)  # no module of its own: its tensors are saved with the others


def _find(results: Path, arm: str | None, seed: int | None, condition: str | None = None) -> Path:
    """The artifact of an arm's last stage in a study's folder."""
    config = results / "config.yaml"
    if not config.is_file():
        raise InputError(f"{config}: no such file, expected the folder of a study that has been run")
    generator = yaml.safe_load(config.read_text(encoding="utf-8"))["generator"]
    arms, seeds = generator["arms"], generator["seeds"]
    if not arms:
        raise InputError(f"{config}: generator.arms: found none, expected an arm: this study has no generator")
    if condition is not None and arm is None:
        told = {name: settings.get("condition", "parameters") for name, settings in arms.items()}
        arm = next((name for name, kind in told.items() if kind == condition), None)
        if arm is None:
            found = ", ".join(f"{name} ({kind})" for name, kind in told.items())
            raise InputError(
                f"{config}: generator.arms: found {found}, expected one with the condition {condition!r}: this study "
                "was trained without"
            )
    arm = next(iter(arms)) if arm is None else arm
    seed = seeds[0] if seed is None else seed
    if arm not in arms:
        raise InputError(f"{config}: generator.arms: found no arm {arm!r}, expected one of {', '.join(arms)}")
    if seed not in seeds:
        raise InputError(f"{config}: generator.seeds: found no seed {seed}, expected one of {seeds}")
    stage = "end-to-end" if arms[arm]["end_to_end"] else "diffusion"
    return results / stage / f"{arm}-{seed}.safetensors"


def _shown_of(known: Known, draw: int, count: int) -> Known:
    """A visible environment as one of its training trajectories shows it, those in turns that hold anything."""
    assert known.frames is not None
    frames = known.frames[known.frames.isfinite().flatten(1).any(1)]
    return replace(known, frames=frames[draw % len(frames)][None, :count])


def _as_trajectories(frames: Tensor) -> Tensor:
    """[time, channel, y, x] or [trajectory, time, channel, y, x] -> the latter."""
    frames = torch.as_tensor(frames, dtype=torch.float32)
    return frames[None] if frames.ndim == 4 else frames


def _check_frames(frames: Tensor, channels: int, history: int) -> Tensor:
    frames = _as_trajectories(frames)
    if frames.ndim != 5 or frames.shape[1] <= history or frames.shape[2] != channels:
        raise InputError(
            f"frames: found shape {list(frames.shape)}, expected [trajectory, time >= {history + 1}, channel = "
            f"{channels}, y, x]"
        )
    if not torch.isfinite(frames).all():
        raise InputError("frames: found NaN or Inf, expected finite numbers")
    return frames
