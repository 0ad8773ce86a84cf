"""Methods that are conditioned on parameters, a label or frames, and what they make of a few frames of an environment:
a search for the coordinates that explain these best, or the frames as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.methods import ENSEMBLE, REFINED
from weightcast.core.seeds import derive_seed
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import Condition, Known
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.generator import Generator
from weightcast.environments.infer_environment import infer_environments
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import PooledWeights
from weightcast.environments.weights_table import MethodWeights


@dataclass(frozen=True)
class Begun:
    """Coordinates [environment, coordinate] that a base found, and the seconds that it took."""

    coordinates: Tensor
    seconds: float


@dataclass(frozen=True)
class Conditioned:
    """A trained map from a condition to weights, whatever it is made of.

    Attributes:
        method: name in metrics.csv of the method that is told the frames.
        seed: of its training.
        weights_of: coordinates [candidate, coordinate] -> weights [candidate, weight]; differentiable.
        condition: whose coordinates they are.
        normalisation: of the frames that its predictors see.
        train_seconds: spent before any new environment is seen.
        parameters: numbers that were learned and must be kept.
        base: told the same, in which searches begin; None if there is none.
    """

    method: str
    seed: int
    weights_of: Callable[[Tensor], Tensor]
    condition: Condition
    normalisation: Normalisation
    train_seconds: float
    parameters: int
    base: BaseNetwork | None = None

    @classmethod
    def of_base(cls, method: str, base: BaseNetwork) -> Conditioned:
        """FiLM or a hypernetwork."""
        seconds = base.metadata["seconds"]
        return cls(method, 0, base.weight_map, base.condition, base.normalisation, seconds, base.learned)

    @classmethod
    def of_generator(cls, method: str, generator: Generator, base: BaseNetwork) -> Conditioned:
        """A generator, whose noise stays the same while coordinates are searched.

        Args:
            method: name in metrics.csv.
            generator: as loaded.
            base: that its zoo started from.
        """
        alike = generator.condition.describe() == base.condition.describe()
        alike = alike and not isinstance(base.weight_map, PooledWeights) and not generator.condition.shown_frames
        seed = int(generator.metadata["seed"])
        noise = generator.draw_noise(1, derive_seed(seed, "observed"))
        return cls(
            method,
            seed,
            lambda prepared: generator.weights(prepared, noise.expand(len(prepared), -1, -1)),
            generator.condition,
            generator.normalisation,
            base.metadata["seconds"] + generator.seconds,
            generator.learned,
            base if alike else None,
        )

    def coordinates(
        self,
        observed: Tensor,
        predictor: StackedPredictor,
        space: FrameSpace | None,
        begun: Tensor | None = None,
        land: Tensor | None = None,
    ) -> Tensor:
        """Coordinates [environment, coordinate] that a search finds for frames in physical units, or that a condition
        makes of frames which it sees itself; see :func:`infer_environments`."""
        if self.condition.shown_frames:
            seen = predictor.recorded(observed)  # what frames look like, whatever drove them
            return self.condition.prepare([Known(frames=frames.cpu()) for frames in seen]).to(observed.device)
        frames = self.normalisation.apply(observed)
        candidates = self.condition.candidates()
        return infer_environments(self.weights_of, predictor, frames, candidates, space, begun, land=land)


class Searches:
    """What bases find of the unseen environments: one search of each serves whatever stands on it.

    Args:
        observed: frames of each environment, physical units [environment, trajectory, frame, channel, y, x]; NaN in
            gaps.
        space: of frames, to fill gaps.
        land: where channels of the frames never have a value, and nothing is compared, bool [environment, 1, 1,
            channel, y, x]; None: nowhere.
    """

    def __init__(self, observed: Tensor, space: FrameSpace, land: Tensor | None = None) -> None:
        self.observed, self.space, self.land = observed, space, land
        self._found: dict[str, Begun] = {}

    def of(self, base: BaseNetwork) -> Begun:
        """Found now, or before."""
        digest = str(base.metadata["digest"])
        if digest not in self._found:
            started = time.monotonic()
            told = Conditioned.of_base("", base)
            coordinates = told.coordinates(self.observed, base.predictor, self.space, land=self.land)
            self._found[digest] = Begun(coordinates, time.monotonic() - started)
        return self._found[digest]


@torch.no_grad()
def generated_ensemble(
    method: Conditioned, generator: Generator, environments: list[str], observed: Tensor, members: int
) -> MethodWeights:
    """What a generator that is told what was observed holds for possible: several predictors for each environment.

    Args:
        method: that the generator is.
        generator: whose condition sees frames, on its device.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x]; NaN in gaps.
        members: predictors for each.
    """
    started = time.monotonic()
    seen = generator.predictor.recorded(observed)
    prepared = generator.condition.prepare([Known(frames=frames.cpu()) for frames in seen]).to(observed.device)
    weights = []
    for environment, row in zip(environments, prepared, strict=True):
        noise = generator.draw_noise(members, derive_seed(method.seed, "observed ensemble", environment))
        weights.append(generator.weights(row.expand(members, -1), noise).cpu())
    return MethodWeights(
        method=method.method + ENSEMBLE,
        seed=method.seed,
        environments=environments,
        weights=torch.stack(weights),
        train_seconds=method.train_seconds,
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=method.parameters,
        normalisation=method.normalisation,
    )


@torch.no_grad()
def refine_generated(
    method: Conditioned,
    generator: Generator,
    environments: list[str],
    observed: Tensor,
    predictor: StackedPredictor,
    space: FrameSpace | None,
    land: Tensor | None = None,
) -> MethodWeights:
    """What a generator that is told what was observed makes of it, moved to where it explains the frames best.

    Args:
        method: that the generator is.
        generator: whose condition sees frames, on its device, with the span of what it generates.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x], two or more; NaN in
            gaps.
        predictor: whose weights they are.
        space: of frames, to fill gaps; None where there are none.
        land: where nothing is to be explained, see :class:`Searches`.
    """
    assert generator.span is not None
    started = time.monotonic()
    generated = method.weights_of(method.coordinates(observed, predictor, space))
    weights = generator.span.refine(generated, predictor, method.normalisation.apply(observed), space, land)
    return MethodWeights(
        method=method.method + REFINED,
        seed=method.seed,
        environments=environments,
        weights=weights[:, None].cpu(),
        train_seconds=method.train_seconds,
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=method.parameters + generator.span.learned,
        normalisation=method.normalisation,
    )


def adapt(
    method: Conditioned,
    environments: list[str],
    observed: Tensor,
    predictor: StackedPredictor,
    space: FrameSpace | None = None,
    begun: Begun | None = None,
    land: Tensor | None = None,
) -> MethodWeights:
    """Weights of a method for environments of which some frames are all that is known.

    Args:
        method: which is not told the parameters.
        environments: ids.
        observed: frames of each, physical units [environment, trajectory, frame, channel, y, x], two or more; NaN in
            gaps.
        predictor: whose weights they are.
        space: of frames, to fill gaps; None where there are none.
        begun: where its search begins; None: among the visible environments.
        land: where nothing is compared, see :class:`Searches`.
    """
    started = time.monotonic() - (begun.seconds if begun else 0.0)
    prepared = method.coordinates(observed, predictor, space, begun.coordinates if begun else None, land)
    with torch.no_grad():
        weights = method.weights_of(prepared).clone()[:, None]
    return MethodWeights(
        method=method.method,
        seed=method.seed,
        environments=environments,
        weights=weights.cpu(),
        train_seconds=method.train_seconds,
        adapt_seconds=(time.monotonic() - started) / len(environments),
        parameters=method.parameters,
        normalisation=method.normalisation,
    )
