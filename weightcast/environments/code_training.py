"""Training a map from codes to weights together with a code for each environment, through the predictor's own rollout
error (an auto-decoder; CoDA, Kirchmeyer et al., ICML 2022, has the linear one)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.graph import WeightGraph
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.share import Share
from weightcast.core.training import Fit
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.context import ContextMap, ContextSettings, ContextTraining
from weightcast.environments.config.weight_map import AnyWeightMap, FilmMap, HypernetworkMap, LinearMap
from weightcast.environments.dataset import draw_windows
from weightcast.environments.losses import environment_loss, errors_of_environments
from weightcast.environments.missing_values import WindowStarts
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import WeightMap, build_weight_map

GROWING = 2 / 3
"""Share of a training in which rollouts grow."""


@dataclass(frozen=True)
class Candidate:
    """A kind of map and a size of codes.

    Attributes:
        kind: of the map; equations have a code of coefficients.
        dimensions: numbers of a code.
    """

    kind: ContextMap | Literal["sparse-equations"]
    dimensions: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.dimensions}"

    def settings(self, settings: ContextSettings) -> AnyWeightMap:
        """The map's own."""
        match self.kind:
            case "linear":
                return LinearMap()
            case "output":
                return LinearMap(scope="output")
            case "film":
                return FilmMap(width=settings.width)
            case "deep":
                return HypernetworkMap(rank=settings.rank, width=settings.width)
            case "sparse-equations":
                return LinearMap()


@dataclass(frozen=True)
class TrainedCodes:
    """A weight map and the codes that were trained with it.

    Attributes:
        weight_map: codes -> weights; its condition holds the codes.
        codes: [environment, dimension].
        rows: which environments these are, by position.
        fit: how the training went.
    """

    weight_map: WeightMap
    codes: Tensor
    rows: list[int]
    fit: Fit


def train_codes(
    run: Run,
    candidate: Candidate,
    settings: ContextSettings,
    training: ContextTraining,
    initial: Tensor,
    graph: WeightGraph,
    predictor: StackedPredictor,
    frames: Tensor,
    held_out: Tensor | None,
    rows: Sequence[int],
    seed: int,
    name: str,
    start_share: float = 0.0,
    at_once: int | None = None,
) -> TrainedCodes:
    """Train a map and a code for each environment.

    Args:
        run: whose device everything is on.
        candidate: kind of map, size of codes.
        settings: of the section.
        training: steps, rate, unroll, batch, environments a step.
        initial: weights of a freshly initialised predictor [weight].
        graph: of the predictor.
        predictor: whose weights they are.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        held_out: normalised validation frames of the same environments, for the curve; None without.
        rows: which environments to train on, by position.
        seed: of the draws.
        name: of the training.
        start_share: of the windows that begin with a trajectory's first frame (`DataSettings.start_share`).
        at_once: environments of a step that are computed with at once; None: all.
    """
    rows = list(rows)
    frames, held_out = frames[rows], None if held_out is None else held_out[rows]
    first = run.draws(seed, "codes").normal(len(frames), candidate.dimensions) * 0.1
    condition = CodeCondition(first.clone())
    with run.initialised(derive_seed(seed, "map", candidate.name)):
        weight_map = build_weight_map(candidate.settings(settings), condition, initial.cpu(), graph)
    weight_map = run.place(weight_map)
    codes = first.requires_grad_()
    last, starts = training.last_unroll or training.unroll, WindowStarts(frames)

    def loss(share: Share, step: int) -> Tensor:
        draws = Draws(frames.device, seed, "step", step)
        grown = min(1.0, step / max(1.0, GROWING * training.steps))
        unroll = round(training.unroll + grown * (last - training.unroll))
        chosen = share.take(draws.permutation(len(frames))[: share.whole])
        draws, begins = share.draws(draws), starts.of(unroll + 1)
        windows = draw_windows(frames, chosen, training.batch, unroll + 1, draws, start_share, begins)
        errors = environment_loss(predictor.rollout_error(weight_map(codes[chosen]), windows, starts.missing))
        return share.weight * (errors.mean() + settings.code_penalty * codes[chosen].square().mean())

    def validation() -> Tensor:
        assert held_out is not None
        return errors_of_environments(
            lambda some: weight_map(codes[some]), predictor, held_out, training.unroll, at_once
        ).mean()

    pieces = Share.all_of(min(training.environments, len(frames))).pieces(at_once)
    losses = [partial(loss, piece) for piece in pieces]
    trained = [*(parameter for parameter in weight_map.parameters() if parameter.requires_grad), codes]
    fit = run.fit(trained, losses, training, name=name, validation=None if held_out is None else validation)
    codes = codes.detach()
    condition.codes.copy_(codes)
    return TrainedCodes(weight_map.requires_grad_(False), codes, rows, fit)
