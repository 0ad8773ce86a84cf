"""The context base: a map from codes to weights, with a code learned for each visible environment, and what it makes of
a few frames of an environment that nobody can name.

Codes and map are trained together, through the predictor's own rollout error (an auto-decoder; CoDA, Kirchmeyer et al.,
ICML 2022, has the linear one). For a new environment the code alone is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from weightcast.core.artifacts import one_line_for
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.base import BaseNetwork
from weightcast.environments.code_posteriors import CodePosterior, draw_codes
from weightcast.environments.code_priors import CodePrior, MixturePrior
from weightcast.environments.code_training import Candidate
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.code_prior import CodeDrawName
from weightcast.environments.config.context import ContextSettings, RefineSettings
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.missing_values import without_land
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import infer_codes
from weightcast.environments.weight_maps import WeightMap
from weightcast.environments.windows import Windows

PRIOR_WIDENED = 1.5
"""Standard deviations of the prior over those of the visible codes: unseen environments lie outside as well."""
MOST_CANDIDATES = 128
"""Visible codes that a search starts from, at most."""


@dataclass(frozen=True)
class Calibration:
    """How far a context may be believed, as left-out visible environments showed.

    Attributes:
        temper: weight of the likelihood.
        least_noise: root mean square residual that the map leaves where it was trained, in normalised units, for
            rollouts of 1, 2, ... steps.
        model_error: standard deviation of the forecast error that is not in the ensemble, for each step of the trained
            horizon and channel, normalised units [step][channel].
        usual_residual: greatest residual that frames of left-out environments left, over ``least_noise``.
        draw: how codes are drawn.
        crps: mean logarithm of the CRPS of the ensembles that left-out environments got.
    """

    temper: float
    least_noise: list[float]
    model_error: list[list[float]]
    usual_residual: float
    draw: CodeDrawName = "laplace"
    crps: float | None = None

    def of_better_map(self, least_noise: list[float], share: Tensor) -> Self:
        """What was settled with a map that was trained on fewer environments for fewer steps, for the map that is used.

        Args:
            least_noise: residuals of that map.
            share: of the error on environments that were trained on which that map leaves, for each step and channel
                [step, channel]; at most 1. Where environments are new, less is gained: its root is taken. On unseen
                environments of Lambda-Omega, with ten frames, 90 % intervals held 80 % and 77 % inside and outside the
                range with the share itself, 98 % and 95 % with the error as it was.
        """
        gained = share.clamp(max=1.0).sqrt().to(torch.float32)
        model_error = torch.tensor(self.model_error).reshape(share.shape) * gained
        return replace(self, least_noise=least_noise, model_error=model_error.tolist())

    def noise_of(self, steps: int) -> float:
        """The least noise for rollouts of so many steps; that of the longest known where they are longer."""
        return self.least_noise[min(steps, len(self.least_noise)) - 1]


@dataclass(frozen=True)
class Context:
    """A trained context base, ready for frames.

    Attributes:
        base: the map from codes to weights, its condition with the visible codes, predictor and normalisation.
        space: of the visible environments' frames, by which gaps are filled.
        settings: of the search for codes.
        calibration: of its posterior.
    """

    base: BaseNetwork
    space: FrameSpace
    settings: RefineSettings
    calibration: Calibration

    @classmethod
    def of(cls, base: BaseNetwork) -> Self:
        """The context that a base is.

        Raises:
            InputError: it is one of another kind.
        """
        described = base.metadata.get("context")
        if described is None or not isinstance(base.condition, CodeCondition):
            raise InputError(f"base: found one of kind {base.metadata['weight_map']['kind']}, expected a context")
        space = FrameSpace.from_tensors(base.further)
        return cls(base, space, RefineSettings(**described["refine"]), Calibration(**described["calibration"]))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read ``base/context.safetensors``.

        Raises:
            InputError: it is missing, damaged or of another kind.
        """
        base = BaseNetwork.load(path)
        with one_line_for(path, "context"):
            context = cls.of(base)
            _ = context.prior  # of tensors that must be there
            return context

    def save(self, path: str | Path) -> None:
        """Write as a ``base`` artifact."""
        self.base.save(path)

    def to(self, device: torch.device) -> Self:
        """The same context on a device."""
        return replace(self, base=self.base.to(device), space=self.space.to(device))

    @property
    def codes(self) -> Tensor:
        """The visible environments have these [environment, dimension], in the order of their ids."""
        assert isinstance(self.base.condition, CodeCondition)
        return self.base.condition.codes

    @property
    def environments(self) -> list[str]:
        """Ids of the visible environments."""
        return list(self.base.metadata["environments"])

    @property
    def equations(self) -> list[str]:
        """What the visible environments' rates of change are, a line a channel, where equations stand in the place of
        networks; else empty."""
        return list(self.base.metadata["context"].get("choice", {}).get("equations", []))

    @property
    def prior(self) -> CodePrior:
        """What codes of environments are like that were not seen."""
        return MixturePrior.from_tensors(CodePrior.of(self.codes, PRIOR_WIDENED), self.base.further)

    @torch.no_grad()
    def weights(self, codes: Tensor) -> Tensor:
        """Codes [..., dimension] -> weights [..., weight]."""
        return self.base.weight_map(codes.flatten(0, -2)).unflatten(0, codes.shape[:-1]).clone()

    def infer(self, frames: Tensor, land: Tensor | None = None) -> CodePosterior:
        """What frames say of the codes of the environments that they come from.

        Args:
            frames: in physical units [environment, trajectory, frame, channel, y, x]; NaN where nothing was observed.
                With a single frame nothing is learned, and the posterior is the prior.
            land: where frames hold the study's number, since a channel never has a value there, and forecasts are not
                compared with it, bool [channel, y, x], or [environment, 1, 1, channel, y, x]; None: nowhere.
        """
        normalised = self.base.normalisation.apply(frames.to(self.codes.device))
        return infer(
            self.base.weight_map,
            self.base.predictor,
            self.codes,
            normalised,
            self.space,
            self.settings,
            self.calibration,
            self.prior,
            len(self.calibration.model_error) if self.equations else 0,
            land,
        )

    def sample(self, posterior: CodePosterior, count: int, seed: int) -> Tensor:
        """Weights of candidates from a posterior [environment, candidate, weight]."""
        return self.weights(draw_codes(self.calibration.draw, posterior, count, Draws(self.codes.device, seed)))


def infer(
    weight_map: WeightMap,
    predictor: StackedPredictor,
    codes: Tensor,
    frames: Tensor,
    space: FrameSpace,
    settings: RefineSettings,
    calibration: Calibration,
    prior: CodePrior | None = None,
    bounded: int = 0,
    land: Tensor | None = None,
) -> CodePosterior:
    """Infer codes under the prior that visible codes make.

    Args:
        weight_map: codes -> weights.
        predictor: whose weights they are.
        codes: of visible environments.
        frames: normalised [environment, trajectory, frame, channel, y, x]; NaN where nothing was observed.
        space: of whole frames, to fill gaps.
        settings: of the search.
        calibration: temper and least noise.
        prior: of codes; None for the widened normal distribution of the visible ones.
        bounded: steps for which what a drawn code forecasts must stay within bounds; 0 where anything may be drawn.
        land: where a channel of frames never has a value, and forecasts are not compared, bool [channel, y, x], or
            [environment, 1, 1, channel, y, x]; None: nowhere.
    """
    prior = CodePrior.of(codes, PRIOR_WIDENED) if prior is None else prior
    if frames.shape[2] < 2:
        return _ignorant(prior, len(frames))
    whole, inputs = space.complete(frames), predictor.layout.shown
    compared = without_land(frames, land)
    windows = Windows.of(compared, whole, settings.unroll, settings.windows, inputs, predictor.history)
    spread = codes[torch.linspace(0, len(codes) - 1, min(len(codes), MOST_CANDIDATES)).round().long()]
    return infer_codes(
        weight_map,
        predictor,
        windows,
        prior,
        torch.cat([prior.centres_of_parts, spread]),
        starts=settings.starts,
        iterations=settings.iterations,
        temper=calibration.temper,
        least_noise=calibration.noise_of(windows.target.shape[2]),
        bounded=bounded,
    )


def _ignorant(prior: CodePrior, environments: int) -> CodePosterior:
    """Of environments of which nothing that tells them apart was seen: the prior."""
    centres, precision = prior.relative()
    shares = prior.log_shares
    return CodePosterior(
        modes=centres.expand(environments, -1, -1).clone(),
        precision=precision.expand(environments, -1, -1, -1).clone(),
        log_weights=shares.expand(environments, -1).clone(),
        noise=torch.full((environments,), torch.nan, device=centres.device),
        prior=prior,
        parts=torch.arange(len(shares), device=centres.device).expand(environments, -1).clone(),
    )


def describe_context(
    settings: ContextSettings, calibration: Calibration, chosen: Candidate, choice: Mapping[str, Any]
) -> dict[str, Any]:
    """JSON values of what `Context.of` reads, and of how it was chosen."""
    return {
        "refine": settings.refine.model_dump(mode="json"),
        "calibration": asdict(calibration),
        "map": chosen.kind,
        "dimensions": chosen.dimensions,
        "choice": dict(choice),
    }
