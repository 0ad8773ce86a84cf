"""How much memory a job of each stage asks for, computed from the study.

What is counted is what grows: frames that are read, weights and their optimiser's moments, activations that are kept
for the gradient. On top of it comes what Python and its libraries take before they do anything, and a margin: where
the estimate is low, a scheduler kills the job. Measured sizes that the counts were compared with are in the tests. Only
light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from weightcast.core.environment_table import ROLES
from weightcast.core.nets.sizes import (
    BACKWARD,
    STATES,
    count_nodes,
    count_weights,
    kept_activations,
    layer_sizes,
    widest_layer,
)
from weightcast.environments.config.condition import SHOWN_FRAMES
from weightcast.environments.config.equations import FIELD_NUMBERS, MOST_ROWS, UNROLL, EquationsSettings
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.weight_map import FilmMap, HypernetworkMap, PooledMap
from weightcast.environments.jobs import Plan
from weightcast.environments.plan import (
    adapted_arms,
    attended_arms,
    compared_frames,
    finetuned_maps,
    source_settings,
    tuned_arms,
)

IDLE_MB = 400
"""Python, torch, and what reads files."""
LEAST_MB = 600
MARGIN = 1.5
COPIES = 3
"""Of frames: as they are read file by file, together, and normalised."""


def memory_mb(stage: str, plan: Plan, of: Mapping[str, str]) -> int:
    """Megabytes for a job.

    Args:
        stage: its name; one that is not known to need more asks for the least.
        plan: the study.
        of: the job's wildcards. Without the one that decides, the largest of the stage's jobs counts.
    """
    numbers = _NUMBERS.get(stage, _nothing)(_Sizes.of(plan), of)
    megabytes = MARGIN * (IDLE_MB + 4 * numbers / 1e6)
    return max(LEAST_MB, 100 * math.ceil(megabytes / 100))


@dataclass(frozen=True)
class _Sizes:
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
    def of(cls, plan: Plan) -> _Sizes:
        study = plan.study
        predictor, channels, grid = study.predictor, len(study.data.channels), study.data.grid
        return cls(
            plan=plan,
            study=study,
            weights=count_weights(predictor, channels),
            nodes=count_nodes(predictor, channels),
            frame=channels * math.prod(grid),
            kept=kept_activations(predictor, channels, grid),
            widest=widest_layer(predictor, channels, grid),
            visible=len(plan.table.visible),
            unseen=len(plan.table.unseen),
        )

    @property
    def environments(self) -> int:
        return self.visible + self.unseen

    @property
    def experts(self) -> int:
        """Members of a zoo."""
        return self.visible * self.study.zoo.members

    def read(self, environments: int, *parts: str, frames: int | None = None) -> int:
        """Frames of parts of the trajectories of some environments, as stages read and normalise them."""
        data = self.study.data
        counts = map(data.trajectories.of_role, ROLES)
        trajectories = max(sum(getattr(each, part) for part in parts) for each in counts)
        return COPIES * environments * trajectories * (frames or data.trained_frames) * self.frame

    def trained(self, *parts: str) -> int:
        """The same of all visible environments, of the training's frames."""
        return self.read(self.visible, *parts)

    @property
    def in_context(self) -> int:
        """Weights of the network in context, and the frames that it holds."""
        chosen = self.study.baselines.in_context
        if chosen is None:
            return 0
        wider = self.study.predictor.model_copy(update={"width": chosen.width})
        fields = chosen.frames * len(self.study.data.channels)
        return count_weights(wider, len(self.study.data.channels) + fields) + chosen.frames * self.frame

    @property
    def shown(self) -> int:
        """What a training draws observations from, where a condition sees frames."""
        return self.trained("train") if self.plan.shown else 0

    def step(self, networks: int, windows: int, unroll: int) -> int:
        """A training step through the predictor."""
        return round(BACKWARD * networks * (windows * unroll * self.kept + (1 + unroll) * 2 * self.weights))

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
        if settings.coder == "flat":
            latents = self.nodes * settings.latent
            return 2 * settings.layers * width**2 + width * (2 * self.weights + 3 * latents), 8 * self.weights
        learned = 2 * settings.layers * 12 * width**2 + 2 * width * (ends + self.nodes + settings.latent)
        return learned, 2 * self._blocks(width, settings.heads, settings.layers) + 4 * self.weights

    def encoded(self, arm: str) -> int:
        """All experts at once inside a block of an arm's VAE, without gradient: tokens, and four times their width."""
        return self.experts * self.nodes * 10 * self.study.generator.of_arm(arm)[0].width

    def diffusion(self, arm: str) -> tuple[int, int]:
        """The same of an arm's diffusion, for one evaluation of its network."""
        settings = self.study.generator.of_arm(arm)[1]
        learned = settings.layers * 18 * settings.width**2 + settings.width * (self.nodes + 10 * settings.width)
        return learned, self._blocks(settings.width, settings.heads, settings.layers)

    def generator(self, arm: str) -> int:
        """Numbers of a whole generator, with what its weights are relative to."""
        return self.vae(arm)[0] + self.diffusion(arm)[0] + self.weight_map(self.study.generator.arms[arm].base)

    def _blocks(self, width: int, heads: int, layers: int) -> int:
        """Kept for the gradient of attention blocks over the nodes: maps of the width, and attention itself."""
        return layers * (self.nodes * 18 * width + heads * self.nodes**2)

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

    def rollouts(self, networks: int) -> int:
        """Test trajectories of all environments, and forecasts of some networks from them."""
        data, horizon = self.study.data, max(self.study.evaluation.horizons)
        test = self.environments * data.trajectories.test * (horizon + 1) * self.frame
        # Read, joined, chosen, repeated; single forecasts are compared in double precision.
        return 5 * test + networks * data.trajectories.test * (4 * horizon * self.frame + 4 * self.widest)


def _nothing(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return 0


def _simulate(sizes: _Sizes, of: Mapping[str, str]) -> int:
    data, settings = sizes.study.data, source_settings(sizes.study.data)
    if data.source == "era5":
        return 4 * data.trajectories.most * data.frames * sizes.frame + 250_000_000
    finer = settings.get("oversampling", 1)
    states = data.trajectories.most * sizes.frame * int(finer) ** 2
    return 4 * data.trajectories.most * data.frames * sizes.frame + 80 * states  # twenty, complex and double


def _import(sizes: _Sizes, of: Mapping[str, str]) -> int:
    data = sizes.study.data
    one = data.trajectories.most * data.frames * sizes.frame
    # Perhaps read in double precision; an .npz file is read whole, with all environments of a role.
    return 6 * one + (2 * max(sizes.visible, sizes.unseen) * one if data.source == "npz" else 0)


def _train_base(sizes: _Sizes, of: Mapping[str, str]) -> int:
    study, maps = sizes.study, trained_maps(sizes.study)

    def of_base(name: str) -> int:
        training = maps[name].training
        networks = min(training.environments, sizes.visible)
        return (
            sizes.trained("train", "validation")
            + sizes.shown
            + STATES * sizes.weight_map(name)
            + sizes.step(networks, training.batch, training.unroll)
            + sizes.ahead(sizes.visible, study.data.trajectories.validation)
        )

    return _largest(of_base, of.get("base"), list(maps))


def _train_context(sizes: _Sizes, of: Mapping[str, str]) -> int:
    study = sizes.study
    if study.context is None:
        return 0
    training, dimensions = study.context.training, max(study.context.dimensions)
    networks, unroll = min(training.environments, sizes.visible), max(training.unroll, training.last_unroll or 0)
    learned = sizes.weights * (1 + max(dimensions, study.context.rank)) + 2 * study.context.width * sizes.nodes
    counts = study.data.trajectories
    residuals = sizes.visible * counts.train * study.data.trained_frames * sizes.frame
    if study.context.polish is not None:
        residuals = min(residuals, study.context.polish.most_residuals)
    # Second-order training holds, in double precision, a Jacobian thrice, and normal equations with their factor.
    equations = min(residuals, sizes.weights * (1 + dimensions))
    polished = 2 * (3 * residuals * sizes.weights + 4 * equations**2)
    searched = study.context.refine.windows * 8 * study.context.refine.starts * sizes.widest * (2 + dimensions)
    return (
        sizes.trained("train", "validation")
        + STATES * learned
        + max(sizes.step(networks, training.batch, unroll), polished if study.context.polish else 0, searched)
        + (_equations(sizes, study.context.equations) if study.context.equations else 0)
        + sizes.ahead(sizes.visible, counts.validation)
    )


def _train_in_context(sizes: _Sizes, of: Mapping[str, str]) -> int:
    study, chosen = sizes.study, sizes.study.baselines.in_context
    if chosen is None:
        return 0
    training, channels, grid = chosen.training, len(study.data.channels), study.data.grid
    wider = study.predictor.model_copy(update={"width": chosen.width})
    windows = min(training.environments, sizes.visible) * training.batch
    # Frames that are shown, as they are drawn, filled and joined to each step's state.
    fields = windows * chosen.frames * sizes.frame * (8 + training.unroll)
    step = round(BACKWARD * windows * training.unroll * kept_activations(wider, channels, grid))
    ahead = sizes.visible * study.data.trajectories.validation * (4 * widest_layer(wider, channels, grid) + fields)
    space = 3 * min(1500, sizes.visible * study.data.trained_frames * study.data.trajectories.train) * sizes.frame
    return sizes.trained("train", "validation") + STATES * sizes.in_context + step + fields + ahead // windows + space


def _find_equations(sizes: _Sizes, of: Mapping[str, str]) -> int:
    equations = sizes.study.baselines.equations
    return 0 if equations is None else sizes.trained("train", "validation") + _equations(sizes, equations)


def _equations(sizes: _Sizes, equations: EquationsSettings) -> int:
    """What a search for equations holds beside the frames."""
    data = sizes.study.data
    is_field = tuple(data.grid) != (1, 1)
    terms = equations.terms(len(data.channels), is_field)
    if not is_field:
        # In double precision: terms along splines of eight points a frame, and their integrals.
        integrals = 2 * (2 * 9 + 4) * terms * sizes.read(sizes.visible, "train") // (COPIES * sizes.frame)
        return integrals + 64 * 8 * sizes.visible * sizes.frame * equations.most_terms
    # The same of a trajectory of one environment, and what is kept of all of them.
    along = 2 * (2 * 9 + 4) * terms * data.trained_frames * sizes.frame // len(data.channels)
    kept = 2 * sizes.visible * terms * MOST_ROWS * 4
    fitted = max(FIELD_NUMBERS, sizes.visible * UNROLL * sizes.frame)
    return along + kept + 4 * fitted * equations.most_terms


def _train_experts(sizes: _Sizes, of: Mapping[str, str]) -> int:
    study, data = sizes.study, sizes.study.data
    ids = sizes.plan.shards

    def of_shard(name: str) -> int:
        members = len(ids[name]) * (study.zoo.members if name.startswith("visible") else 1)
        training = study.zoo.training_from(of.get("base", "erm"))
        pairs = data.trajectories.of_role(sizes.plan.table[ids[name][0]].role).train * (data.trained_frames - 1)
        return (
            sizes.read(len(ids[name]), "train", "validation")
            + members * STATES * sizes.weights
            + sizes.step(members, training.batch, training.unroll)
            + max(sizes.ahead(1, pairs) + 2 * pairs * sizes.frame, sizes.ahead(members, data.trajectories.validation))
        )

    return _largest(of_shard, of.get("shard"), list(ids))


def _zoo(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return 3 * max(sizes.experts, sizes.unseen) * sizes.weights


def _regress_weights(sizes: _Sizes, of: Mapping[str, str]) -> int:
    regressions = 2 * (10 * sizes.visible + 6 * sizes.environments)  # in double precision, with folds and copies
    return (2 * sizes.experts + sizes.unseen + regressions) * sizes.weights


def _label_environments(sizes: _Sizes, of: Mapping[str, str]) -> int:
    settings = sizes.study.conditions.label
    states = sizes.visible * settings.states * sizes.frame
    # Points of the regression, twice: a kernel between all of them, and its decomposition.
    points = 4 * 4 * (sizes.visible * settings.observations) ** 2
    experts = 2 * sizes.experts * sizes.weights + sizes.ahead(sizes.visible, settings.states)
    return 2 * sizes.shown + states + points + experts


def _regress_latents(sizes: _Sizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        generators = len(sizes.study.generator.seeds)
        experts = (2 * sizes.experts + sizes.unseen + 3 * sizes.environments) * sizes.weights
        return generators * sizes.vae(arm)[0] + experts + sizes.encoded(arm) + 2 * sizes.source(f"latents-{arm}")

    return _largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _train_vae(sizes: _Sizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        settings = sizes.study.generator.of_arm(arm)[0]
        learned, kept = sizes.vae(arm)
        functional = sizes.step(settings.batch, settings.functional_batch, 1) if settings.functional_weight else 0
        return (
            sizes.trained("train", "validation")
            + sizes.shown
            + 5 * sizes.experts * sizes.weights
            + STATES * learned
            + max(round(BACKWARD * settings.batch * kept) + functional, sizes.encoded(arm))
        )

    return _largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _train_diffusion(sizes: _Sizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        settings = sizes.study.generator.of_arm(arm)[1]
        learned, kept = sizes.diffusion(arm)
        step = round(BACKWARD * settings.batch * kept)
        zoo = 3 * sizes.experts * sizes.weights
        return sizes.shown + zoo + sizes.vae(arm)[0] + STATES * learned + max(step, sizes.encoded(arm))

    return _largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _tune_generator(sizes: _Sizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        settings = sizes.study.generator.end_to_end
        networks = min(settings.environments, sizes.visible)
        steps = sizes.study.generator.of_arm(arm)[1].sample_steps
        sampled = networks * (steps * sizes.diffusion(arm)[1] + sizes.vae(arm)[1] // 2)
        trained = STATES * (sizes.generator(arm))
        through = sizes.step(networks, settings.training.batch, settings.training.unroll)
        every = sizes.ahead(sizes.visible, sizes.study.data.trajectories.validation)
        return (
            sizes.shown + sizes.trained("train", "validation") + trained + round(BACKWARD * sampled) + through + every
        )

    return _largest(of_arm, of.get("arm"), tuned_arms(sizes.study))


def _generate_weights(sizes: _Sizes, of: Mapping[str, str]) -> int:
    generators = len(sizes.study.generator.seeds)
    arms = sizes.study.generator.arms
    largest = max(map(sizes.generator, arms), default=0)
    kept = max((sizes.diffusion(arm)[1] + sizes.vae(arm)[1] for arm in arms), default=0)
    return generators * largest + sizes.study.generator.samples * kept + 2 * sizes.source("generator-")


def _fold_bases(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return 2 * sizes.weight_maps() + 3 * sizes.source("bases")


def _finetune_bases(sizes: _Sizes, of: Mapping[str, str]) -> int:
    finetune, data = sizes.study.baselines.finetune, sizes.study.data
    wanted, chosen = sizes.unseen or sizes.visible, min(finetune.choosing_environments, sizes.visible)
    networks = max(wanted, chosen)
    return (
        2 * sizes.weight_maps(finetuned_maps(sizes.study))
        + sizes.read(wanted + chosen, "train", frames=finetune.frames)
        + sizes.read(chosen, "validation")
        + networks * STATES * sizes.weights
        + sizes.step(networks, finetune.frames - 1, 1)
        + sizes.ahead(chosen, data.trajectories.validation)
        + sizes.source("finetuned")
    )


def _adapt_to_frames(sizes: _Sizes, of: Mapping[str, str]) -> int:
    study, frames = sizes.study, max((case.frames for case in sizes.study.evaluation.observed), default=2)
    arms, candidates = adapted_arms(study), 16
    generators = len(study.generator.seeds) * sum(map(sizes.generator, arms))
    searched = max((sizes.diffusion(arm)[1] + sizes.vae(arm)[1] for arm in arms), default=0)
    visible = min(study.baselines.finetune.choosing_environments, sizes.visible)
    networks = max(sizes.unseen, visible)
    tuned = networks * STATES * sizes.weights + sizes.step(networks, frames - 1, 1)
    experts = sizes.experts * sizes.weights + sizes.ahead(min(sizes.experts, 7 * study.evaluation.members), 1)
    refined = max((study.generator.of_arm(arm)[1].sample_steps * sizes.diffusion(arm)[1] for arm in arms), default=0)
    return (
        generators
        + sizes.weight_maps()
        + sizes.read(sizes.unseen, "train", frames=frames)
        + sizes.read(visible, "train", "validation")
        + max(candidates * searched + sizes.ahead(candidates, frames), refined + sizes.step(1, frames, 1), tuned)
        + experts
        + 2 * sizes.source("observed")
    )


def _evaluate_weights(sizes: _Sizes, of: Mapping[str, str]) -> int:
    kinds = ["bases", *(["observed"] if sizes.unseen else []), "generator-", "latents-"]
    return sizes.rollouts(networks=12) + _largest(lambda name: 2 * sizes.source(name), of.get("source"), kinds)


def _evaluate_without_network(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return sizes.rollouts(networks=1) + sizes.trained("train")


def _all_weights(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return sizes.rollouts(networks=4) + sizes.sources()


def _show_observed(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return sizes.rollouts(networks=sizes.study.evaluation.members) + sizes.weight_maps() + 2 * sizes.source("observed")


def _distil(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return sizes.trained("train") + 2 * sizes.sources()


def _show_attention(sizes: _Sizes, of: Mapping[str, str]) -> int:
    settings = [sizes.study.generator.of_arm(arm)[0] for arm in attended_arms(sizes.study)]
    pairs = max((3 * 8 * each.heads + each.layers for each in settings), default=0) * sizes.nodes**2
    return _map_weights(sizes, of) + pairs


def _describe_posteriors(sizes: _Sizes, of: Mapping[str, str]) -> int:
    frames = max((case.frames for case in sizes.study.evaluation.observed), default=2)
    searched = sizes.ahead(min(8 * sizes.unseen, 128), frames) + 4 * sizes.unseen * sizes.weights
    return sizes.weight_maps() + sizes.read(sizes.unseen, "train", frames=frames) + searched


def _compare_with_experts(sizes: _Sizes, of: Mapping[str, str]) -> int:
    zoos = 4 * len(sizes.study.zoo.bases) * sizes.experts * sizes.weights
    frames = compared_frames(sizes.frame)
    networks = sizes.experts + sizes.sources() // (sizes.weights * sizes.environments)
    test = sizes.read(sizes.environments, "test")
    ahead = sizes.ahead(12, max(frames, sizes.study.data.trajectories.test))
    return sizes.sources() + zoos + test + ahead + 3 * networks * frames * sizes.frame


def _map_weights(sizes: _Sizes, of: Mapping[str, str]) -> int:
    arms = sizes.study.generator.arms
    zoos = 4 * len(sizes.study.zoo.bases) * sizes.experts * sizes.weights
    return zoos + sum(sizes.vae(arm)[0] for arm in arms) + max(map(sizes.encoded, arms), default=0)


def _tables(sizes: _Sizes, of: Mapping[str, str]) -> int:
    return 250 * sizes.rows()  # a kilobyte a row, most of it text


def _write_report(sizes: _Sizes, of: Mapping[str, str]) -> int:
    shown = 16 * max(sizes.study.evaluation.horizons) * sizes.frame
    return _tables(sizes, of) + 8 * shown + 75_000_000  # figures


def _show_environments(sizes: _Sizes, of: Mapping[str, str]) -> int:
    data = sizes.study.data
    return 3 * 4 * data.trajectories.most * data.frames * sizes.frame + 25_000_000  # a figure


def _largest(count: Callable[[str], int], chosen: str | None, every: Sequence[str]) -> int:
    return count(chosen) if chosen is not None else max(map(count, every), default=0)


_NUMBERS: dict[str, Callable[[_Sizes, Mapping[str, str]], int]] = {
    "simulate": _simulate,
    "import_trajectories": _import,
    "train_base": _train_base,
    "train_context": _train_context,
    "train_in_context": _train_in_context,
    "find_equations": _find_equations,
    "train_experts": _train_experts,
    "gather_zoo": _zoo,
    "regress_weights": _regress_weights,
    "label_environments": _label_environments,
    "regress_latents": _regress_latents,
    "train_vae": _train_vae,
    "train_diffusion": _train_diffusion,
    "tune_generator": _tune_generator,
    "generate_weights": _generate_weights,
    "fold_bases": _fold_bases,
    "finetune_bases": _finetune_bases,
    "adapt_to_frames": _adapt_to_frames,
    "evaluate_weights": _evaluate_weights,
    "evaluate_without_network": _evaluate_without_network,
    "show_rollouts": _all_weights,
    "show_observed": _show_observed,
    "distil": _distil,
    "show_attention": _show_attention,
    "describe_posteriors": _describe_posteriors,
    "map_weights": _map_weights,
    "compare_with_experts": _compare_with_experts,
    "summarise": _tables,
    "write_report": _write_report,
    "show_environments": _show_environments,
}
