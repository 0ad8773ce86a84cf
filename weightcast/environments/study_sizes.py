"""What the jobs of a study hold, in numbers of four bytes: frames, weights, activations that are kept for the gradient.

Memory is computed from these (:mod:`weightcast.environments.memory`), before anything is there; as there, only light
modules are imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from weightcast.core.config.predictor import MLPSettings, StencilSettings
from weightcast.core.environment_table import ROLES
from weightcast.core.nets.sizes import (
    count_nodes,
    count_weights,
    kept_activations,
    layer_sizes,
    step_numbers,
    widest_layer,
)
from weightcast.environments.config.condition import SHOWN_FRAMES, SPANNED_COPIES, SPANNED_ENVIRONMENTS
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.weight_map import FilmMap, HypernetworkMap, PooledMap
from weightcast.environments.evaluated_together import COPIES as EVALUATED_COPIES
from weightcast.environments.evaluated_together import SEEN_COPIES, environments_together, seen_together
from weightcast.environments.jobs import Plan
from weightcast.environments.step_sizes import kept_in_coding, kept_in_denoising

COPIES = 3
"""Of frames: as they are read, what is made of them, and normalised."""
TRAINED_COPIES = 1.5
"""Of frames that networks are trained on, which are normalised where they are: as they are read, file by file, and
together."""

Number = TypeVar("Number", int, float)


def regression_numbers(seen: int, wanted: int) -> int:
    """Numbers that regressions hold of each weight, in double precision, with folds and copies."""
    return 2 * (10 * seen + 6 * wanted)


@dataclass(frozen=True)
class StudySizes:
    """What the counts are made of; all are numbers of four bytes.

    Attributes:
        plan: the study.
        study: its configuration.
        weights: of a predictor.
        nodes: of its weight graph.
        frame: of the data.
        kept: of a frame's step, for the gradient.
        widest: of a frame inside the predictor.
        visible: count of environments.
        unseen: count of environments.
    """

    plan: Plan
    study: Study
    weights: int
    nodes: int
    frame: int
    kept: int
    widest: int
    visible: int
    unseen: int

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, plan: Plan) -> StudySizes:
        """Count what a study has."""
        study = plan.study
        predictor, channels, grid = study.predictor, len(study.data.channels), study.data.grid
        inputs = study.data.beside
        return cls(
            plan=plan,
            study=study,
            weights=count_weights(predictor, channels, inputs),
            nodes=count_nodes(predictor, channels),
            frame=(channels + inputs) * math.prod(grid),
            kept=kept_activations(predictor, channels, grid, inputs),
            widest=widest_layer(predictor, channels, grid, inputs),
            visible=len(plan.table.visible),
            unseen=len(plan.table.unseen),
        )

    @property
    def environments(self) -> int:
        """Visible and unseen ones."""
        return self.visible + self.unseen

    @property
    def learned(self) -> int:
        """Visible environments that a context learns from."""
        context = self.study.context
        return self.visible if context is None else min(self.visible, context.environments)

    @property
    def experts(self) -> int:
        """Members of a zoo."""
        return self.visible * self.study.zoo.members

    @property
    def budget(self) -> int:
        """Numbers of networks' weights that a job holds at once."""
        return int(1e9 * self.study.memory) // 4

    def bounded(self, numbers: int, times: float = 1.0) -> int:
        """So many numbers, or as many as there may be at once where they are more.

        Args:
            numbers: of weights, and of what is made of each network.
            times: the budget, where it counts for several purposes.
        """
        return min(numbers, int(times * self.budget))

    def together(self, networks: int, numbers_each: int) -> int:
        """How many of some networks are computed with at once, of which each takes so many numbers."""
        return min(networks, max(1, self.budget // max(1, numbers_each)))

    def read(self, environments: int, *parts: str, frames: int | None = None, copies: float = COPIES) -> int:
        """Frames of parts of the trajectories of some environments, as stages read and normalise them."""
        data = self.study.data
        counts = map(data.trajectories.of_role, ROLES)
        trajectories = max(sum(getattr(each, part) for part in parts) for each in counts)
        return round(copies * environments * trajectories * (frames or data.trained_frames) * self.frame)

    def trained(self, *parts: str) -> int:
        """The same of all visible environments, of the training's frames, for what trains on them."""
        return self.read(self.visible, *parts, copies=TRAINED_COPIES)

    @property
    def substeps(self) -> int:
        """Evaluations of the network within one step of the predictor."""
        predictor = self.study.predictor
        if isinstance(predictor, MLPSettings):
            return 4 * predictor.substeps if predictor.integrator == "rk4" else 1
        return predictor.substeps if isinstance(predictor, StencilSettings) else 1

    @property
    def in_context(self) -> int:
        """Weights of the network in context, and the frames that it holds."""
        chosen = self.study.baselines.in_context
        if chosen is None:
            return 0
        wider = self.study.predictor.model_copy(update={"width": chosen.width})
        fields = chosen.frames * len(self.study.data.channels)
        inputs = self.study.data.beside
        return count_weights(wider, len(self.study.data.channels) + fields, inputs) + chosen.frames * self.frame

    @property
    def shown(self) -> int:
        """What a training draws observations from, where a condition sees frames."""
        return self.trained("train") if self.plan.shown else 0

    @property
    def spanned(self) -> int:
        """What the weights take that an arm which sees frames generates for visible environments, to span them."""
        environments = min(self.visible, SPANNED_ENVIRONMENTS)
        return self.bounded(SPANNED_COPIES * environments * self.weights, 2.0) if self.plan.shown else 0

    def step(self, networks: int, windows: int, unroll: int) -> int:
        """A training step through the predictor."""
        return networks * self.step_of_one(windows, unroll)

    def step_of_one(self, windows: int, unroll: int) -> int:
        """The same of one network."""
        return step_numbers(self.kept, self.weights, windows, unroll)

    def in_pieces(self, rows: int, of_row: int) -> int:
        """A training step whose batch has so many rows, as many of them at a time as memory holds."""
        return self.together(rows, of_row) * of_row

    def ahead(self, networks: int, frames: int) -> int:
        """A step without gradient."""
        return networks * (frames * 4 * self.widest + 2 * self.weights)

    def weight_map(self, name: str) -> int:
        """What a map from a condition to weights learns."""
        if name == "context":
            context = self.study.context
            return 0 if context is None else self.weights * (1 + max([*context.dimensions, context.rank]))
        trained = trained_maps(self.study)[name]
        return max(map(self._learned, (trained.weight_map, *(rival for rival, _ in trained.rivals))))

    def _learned(self, weight_map: PooledMap | FilmMap | HypernetworkMap) -> int:
        match weight_map:
            case FilmMap(width=width):
                return self.weights + width * (width + 2 * self.nodes)
            case HypernetworkMap(rank=rank, width=width):
                return self.weights * (1 + rank) + width * (width + rank)
        return self.weights

    def weight_maps(self, names: Iterable[str] | None = None) -> int:
        """The same of several maps together; of all that the study trains if None."""
        return sum(map(self.weight_map, trained_maps(self.study) if names is None else names))

    def vae(self, arm: str) -> tuple[int, int]:
        """Numbers that an arm's weight VAE learns, and those kept for the gradient of one network coded and decoded."""
        settings = self.study.generator.of_arm(arm)[0]
        width, data = settings.width, self.study.data
        ends = sum(of_node for _, of_node in layer_sizes(self.study.predictor, len(data.channels)))
        kept = kept_in_coding(settings, self.nodes, self.weights)
        if settings.coder == "flat":
            latents = self.nodes * settings.latent
            return 2 * settings.layers * width**2 + width * (2 * self.weights + 3 * latents), kept
        learned = 2 * settings.layers * 12 * width**2 + 2 * width * (ends + self.nodes + settings.latent)
        return learned, kept

    def encoded(self, arm: str) -> int:
        """All experts at once inside a block of an arm's VAE, without gradient: tokens, and four times their width."""
        return self.experts * self.nodes * 10 * self.study.generator.of_arm(arm)[0].width

    def latents(self, arm: str) -> int:
        """Latents of all experts, which a diffusion is trained on, with what is made of them."""
        return 4 * self.experts * self.nodes * self.study.generator.of_arm(arm)[0].latent

    def diffusion(self, arm: str) -> tuple[int, int]:
        """The same of an arm's diffusion, for one evaluation of its network."""
        settings = self.study.generator.of_arm(arm)[1]
        learned = settings.layers * 18 * settings.width**2 + settings.width * (self.nodes + 10 * settings.width)
        return learned, kept_in_denoising(settings, self.nodes)

    def generator(self, arm: str) -> int:
        """Numbers of a whole generator, with what its weights are relative to."""
        return self.vae(arm)[0] + self.diffusion(arm)[0] + self.weight_map(self.study.generator.arms[arm].base)

    def source(self, name: str) -> int:
        """Weights in a file of weights."""
        study, seeds = self.study, len(self.study.generator.seeds)
        if name.startswith("generator-"):
            networks = seeds * study.generator.samples * self.environments
        elif name.startswith("latents-"):
            networks = 2 * seeds * self.environments
        elif name.startswith("observed"):
            tuned = 3 * len(study.baselines.finetune.steps)  # each for every number of steps, beside the chosen one
            networks = (8 + tuned + seeds * len(study.generator.arms)) * self.unseen + self.visible
            shown = [arm for arm in study.generator.arms.values() if arm.condition in SHOWN_FRAMES]
            networks += (2 + seeds * len(shown)) * study.evaluation.members * self.unseen
            further = len(study.context.seeds) - 1 if study.context else 0
            networks += further * (study.evaluation.members * self.unseen + self.environments)
            return networks * self.weights + self.unseen * self.in_context
        elif name == "finetuned":
            networks = 2 * (self.unseen or self.visible)
        else:
            networks = 4 * self.environments
        return networks * self.weights

    def sources(self) -> int:
        """Weights of all files, of each the most that one of its kind may hold."""
        study = self.study
        files = ["bases", "finetuned", "observed", *(f"zoo-{base}" for base in study.zoo.bases)]
        files += 2 * [f"generator-{arm}" for arm in study.generator.arms]
        files += [f"latents-{arm}" for arm in study.generator.arms]
        return sum(map(self.source, files))

    def rows(self) -> int:
        """Rows of metrics.csv, at most."""
        study = self.study
        networks = 16 + 6 * len(study.generator.arms) * len(study.generator.seeds)
        return networks * self.environments * len(study.evaluation.horizons) * 8

    def tested_together(self, frames: int) -> int:
        """Environments whose test trajectories, so many frames of each, an evaluation holds at once."""
        return min(self.environments, environments_together(self._tested(frames), self.budget))

    def tested(self, frames: int, shown: int | None = None) -> int:
        """The first frames of test trajectories as evaluations hold them, or those of some environments alone."""
        return EVALUATED_COPIES * (self.tested_together(frames) if shown is None else shown) * self._tested(frames)

    def _tested(self, frames: int) -> int:
        """Those of one environment."""
        trajectories = self.study.data.trajectories
        return max(trajectories.of_role(role).test for role in ROLES) * frames * self.frame

    def seen(self) -> int:
        """Training frames of visible environments, for statistics that take one after the other."""
        data = self.study.data
        numbers = data.trajectories.train * data.trained_frames * self.frame
        return SEEN_COPIES * min(self.visible, seen_together(numbers, self.budget)) * numbers

    def rollouts(self, networks: int, shown: int | None = None) -> int:
        """Test trajectories of environments, or of some that are shown, and forecasts of networks from them."""
        data, horizon = self.study.data, max(self.study.evaluation.horizons)
        ahead = networks * data.trajectories.test * (4 * horizon * self.frame + 4 * self.widest)
        return self.tested(horizon + 1, shown) + ahead


Count = Callable[[StudySizes, Mapping[str, str]], Number]
"""What a job of a stage needs of something: sizes of the study, the job's wildcards -> a number."""


def needed(counts: Mapping[str, Count[Number]], stage: str, plan: Plan, of: Mapping[str, str]) -> Number | int:
    """What a job needs, as the stage's own count says; nothing where it has none.

    Args:
        counts: by the stage's name.
        stage: its name.
        plan: the study.
        of: the job's wildcards.
    """
    return counts[stage](StudySizes.of(plan), of) if stage in counts else 0


def largest(count: Callable[[str], Number], chosen: str | None, every: Sequence[str]) -> Number | int:
    """The number of the job that is chosen, or the largest of all where none is."""
    return count(chosen) if chosen is not None else max(map(count, every), default=0)
