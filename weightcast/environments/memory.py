"""How much memory a job of each stage asks for, computed from the study.

What is counted is what grows: frames that are read, weights and their optimiser's moments, activations that are kept
for the gradient. Of networks' weights there are no more at once than the study's ``memory`` allows. On top of it comes
what Python and its libraries take before they do anything, and a margin: where the estimate is low, a scheduler kills
the job. Measured sizes that the counts were compared with are in the tests. Only light modules are imported: Snakemake
reads this file in every process that it starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from weightcast.core.nets.sizes import BACKWARD, STATES, kept_activations, states_of, widest_layer
from weightcast.environments.config.equations import FIELD_NUMBERS, MOST_ROWS, UNROLL, EquationsSettings
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.jobs import Plan
from weightcast.environments.plan import (
    adapted_arms,
    attended_arms,
    compared_frames,
    finetuned_maps,
    labelled_bases,
    observed_sources,
    pictured_unknown,
    regressed,
    source_settings,
    tuned_arms,
)
from weightcast.environments.step_sizes import coding_step, denoising_step, end_to_end_step
from weightcast.environments.study_sizes import (
    COPIES,
    TRAINED_COPIES,
    Count,
    StudySizes,
    largest,
    needed,
    regression_numbers,
)

IDLE_MB = 400
"""Python, torch, and what reads files."""
LEAST_MB = 600
MARGIN = 1.5
STATISTICS = 4
"""Copies of a zoo's weights that its statistics take, beside itself."""
CELL_NUMBERS = 4
"""For each byte of a table: a cell of four characters takes sixty bytes while it is text."""
COMPRESSED = 5
"""Bytes of text in a byte of a compressed table; measured: 3.6 for twelve stations."""

PATHS_OF_A_COMPONENT = 16_000_000
"""Of a state, within the steps of as many environments as are followed at once (baselines/coarse_steps.py), each with
several values of a Hill function's constant."""


def memory_mb(stage: str, plan: Plan, of: Mapping[str, str]) -> int:
    """Megabytes for a job.

    Args:
        stage: its name; one that is not known to need more asks for the least.
        plan: the study.
        of: the job's wildcards. Without the one that decides, the largest of the stage's jobs counts.
    """
    numbers = needed(_NUMBERS, stage, plan, of)
    megabytes = MARGIN * (IDLE_MB + 4 * numbers / 1e6)
    return max(LEAST_MB, 100 * math.ceil(megabytes / 100))


def largest_jobs(plan: Plan, most: int) -> list[tuple[str, int]]:
    """The stages of a study whose jobs ask for most memory, with the megabytes of the largest job of each.

    Args:
        plan: the study.
        most: so many stages.
    """
    asked = {stage: memory_mb(stage, plan, {}) for stage in counted_stages(plan)}
    return sorted(asked.items(), key=lambda one: -one[1])[:most]


def counted_stages(plan: Plan) -> list[str]:
    """The stages of a study whose memory is counted, as far as it has jobs of them; all others ask for the least."""
    study = plan.study
    optional = {
        "simulate": study.data.simulated,
        "import_trajectories": study.data.imported and study.data.source != "table",
        "cut_records": study.data.source == "table",
        "roll_out_experts": study.data.source == "zoo",
        **dict.fromkeys(("train_base", "train_experts"), study.zoo.published is None),
        "finetune_bases": bool(finetuned_maps(study)),
        "train_context": study.context is not None,
        "train_in_context": study.baselines.in_context is not None,
        "evaluate_regressions": regressed(study),
        "find_equations": study.baselines.equations is not None,
        "label_environments": bool(labelled_bases(study)),
        "distil": study.explain is not None and study.data.grid == (1, 1),
        "show_attention": bool(attended_arms(study)),
        "tune_generator": bool(tuned_arms(study)),
        **dict.fromkeys(
            ("adapt_to_frames", "show_observed", "describe_posteriors"), bool(observed_sources(study, plan.table))
        ),
        **dict.fromkeys(
            ("train_vae", "train_diffusion", "generate_weights", "regress_latents"), bool(study.generator.arms)
        ),
    }
    return [stage for stage in _NUMBERS if optional.get(stage, True)]


def unbounded_mb(plan: Plan) -> dict[str, int]:
    """Megabytes of the largest job of each stage that it would ask for however small the study's ``memory`` were."""
    least = Plan(plan.study.model_copy(update={"memory": 1e-9}), plan.table)
    return {stage: memory_mb(stage, least, {}) for stage in counted_stages(plan)}


def _simulate(sizes: StudySizes, of: Mapping[str, str]) -> int:
    data, settings = sizes.study.data, source_settings(sizes.study.data)
    if data.source == "era5":
        return 4 * data.trajectories.most * data.frames * sizes.frame + 250_000_000
    finer = settings.get("oversampling", 1)
    states = data.trajectories.most * sizes.frame * int(finer) ** 2
    return 4 * data.trajectories.most * data.frames * sizes.frame + 80 * states  # twenty, complex and double


def _import(sizes: StudySizes, of: Mapping[str, str]) -> int:
    data = sizes.study.data
    one = data.trajectories.most * data.frames * sizes.frame
    # Perhaps read in double precision; an .npz file is read whole, with all environments of a role.
    return 6 * one + (2 * max(sizes.visible, sizes.unseen) * one if data.source == "npz" else 0)


def _cut(sizes: StudySizes, of: Mapping[str, str]) -> int:
    data = sizes.study.data
    size = 0
    for path in map(Path, data.files):
        for file in path.iterdir() if path.is_dir() else [path]:
            try:
                size += file.stat().st_size * (COMPRESSED if file.name.endswith(".gz") else 1)
            except OSError:  # whoever reads it will say so
                continue
    return CELL_NUMBERS * size + 6 * data.trajectories.most * data.frames * sizes.frame


def _roll_out_experts(sizes: StudySizes, of: Mapping[str, str]) -> int:
    data = sizes.study.data
    return 6 * data.trajectories.total * data.frames * sizes.frame + sizes.ahead(1, data.trajectories.total)


def _train_base(sizes: StudySizes, of: Mapping[str, str]) -> int:
    study, maps = sizes.study, trained_maps(sizes.study)

    def of_base(name: str) -> int:
        training = maps[name].training
        networks = min(training.environments, sizes.visible)
        return (
            sizes.trained("train", "validation")
            + sizes.shown
            + states_of(training) * sizes.weight_map(name)
            + sizes.in_pieces(networks, sizes.step_of_one(training.batch, training.unroll))
            + sizes.in_pieces(sizes.visible, sizes.ahead(1, study.data.trajectories.validation))
        )

    return largest(of_base, of.get("base"), list(maps))


def _train_context(sizes: StudySizes, of: Mapping[str, str]) -> int:
    study = sizes.study
    if study.context is None:
        return 0
    training, dimensions = study.context.training, max(study.context.dimensions)
    networks, unroll = min(training.environments, sizes.learned), max(training.unroll, training.last_unroll or 0)
    learned = sizes.weights * (1 + max(dimensions, study.context.rank)) + 2 * study.context.width * sizes.nodes
    counts = study.data.trajectories
    residuals = sizes.learned * counts.train * study.data.trained_frames * sizes.frame
    if study.context.polish is not None:
        residuals = min(residuals, study.context.polish.most_residuals)
    # Second-order training holds, in double precision, a Jacobian thrice, and normal equations with their factor.
    equations = min(residuals, sizes.weights * (1 + dimensions))
    polished = 2 * (3 * residuals * sizes.weights + 4 * equations**2)
    searched = study.context.refine.windows * 8 * study.context.refine.starts * sizes.widest * (2 + dimensions)
    return (
        sizes.read(sizes.learned, "train", "validation", copies=TRAINED_COPIES)
        + STATES * learned
        + max(
            sizes.in_pieces(networks, sizes.step_of_one(training.batch, unroll)),
            polished if study.context.polish else 0,
            searched,
        )
        + (_equations(sizes, study.context.equations) if study.context.equations else 0)
        + sizes.ahead(sizes.learned, counts.validation)
    )


def _train_in_context(sizes: StudySizes, of: Mapping[str, str]) -> int:
    study, chosen = sizes.study, sizes.study.baselines.in_context
    if chosen is None:
        return 0
    training, channels, grid = chosen.training, len(study.data.channels), study.data.grid
    wider = study.predictor.model_copy(update={"width": chosen.width})
    windows = min(training.environments, sizes.visible) * training.batch
    # Frames that are shown, as they are drawn, filled and joined to each step's state.
    fields = windows * chosen.frames * sizes.frame * (8 + training.unroll)
    step = round(BACKWARD * windows * training.unroll * kept_activations(wider, channels, grid, study.data.beside))
    ahead = (
        sizes.visible
        * study.data.trajectories.validation
        * (4 * widest_layer(wider, channels, grid, study.data.beside) + fields)
    )
    space = 3 * min(1500, sizes.visible * study.data.trained_frames * study.data.trajectories.train) * sizes.frame
    return sizes.trained("train", "validation") + STATES * sizes.in_context + step + fields + ahead // windows + space


def _find_equations(sizes: StudySizes, of: Mapping[str, str]) -> int:
    equations = sizes.study.baselines.equations
    return 0 if equations is None else sizes.read(sizes.visible, "train", "validation") + _equations(sizes, equations)


def _equations(sizes: StudySizes, equations: EquationsSettings) -> int:
    """What a search for equations holds beside the frames."""
    data = sizes.study.data
    is_field = tuple(data.grid) != (1, 1)
    terms = equations.terms(len(data.channels), data.grid)
    if not is_field:
        # In double precision: terms along splines of eight points a frame, and their integrals.
        integrals = 2 * (2 * 9 + 4) * terms * sizes.read(sizes.visible, "train") // (COPIES * sizes.frame)
        # Paths within the steps of some environments, each with several values of a Hill function's constant at once.
        paths = PATHS_OF_A_COMPONENT * sizes.frame if equations.hill else 0
        return integrals + paths + 64 * 8 * sizes.visible * sizes.frame * equations.most_terms
    # The same of a trajectory of one environment, and what is kept of all of them.
    along = 2 * (2 * 9 + 4) * terms * data.trained_frames * sizes.frame // len(data.channels)
    kept = 2 * sizes.visible * terms * MOST_ROWS * 4
    fitted = max(FIELD_NUMBERS, sizes.visible * UNROLL * sizes.frame)
    return along + kept + 4 * fitted * equations.most_terms


def _train_experts(sizes: StudySizes, of: Mapping[str, str]) -> int:
    study, data = sizes.study, sizes.study.data
    ids = sizes.plan.shards

    def of_shard(name: str) -> int:
        of_each = study.zoo.members if name.startswith("visible") else 1
        training = study.zoo.training_from(of.get("base", "erm"))
        own = STATES * sizes.weights + BACKWARD * sizes.kept * training.batch * training.unroll
        trained_frames = data.trajectories.total * data.trained_frames * sizes.frame
        members = sizes.together(len(ids[name]) * of_each, int(own + trained_frames / of_each))
        written = sizes.bounded(2 * of_each * sizes.weights, 0.5) if members < of_each else 0
        pairs = data.trajectories.of_role(sizes.plan.table[ids[name][0]].role).train * (data.trained_frames - 1)
        return (
            sizes.read(len(ids[name]), "train", "validation", copies=TRAINED_COPIES)
            + members * STATES * sizes.weights
            + written
            + sizes.step(members, training.batch, training.unroll)
            + max(sizes.ahead(1, pairs) + 2 * pairs * sizes.frame, sizes.ahead(members, data.trajectories.validation))
        )

    return largest(of_shard, of.get("shard"), list(ids))


def _regress_weights(sizes: StudySizes, of: Mapping[str, str]) -> int:
    regressions = regression_numbers(sizes.visible, sizes.environments) + sizes.visible + 6 * sizes.environments
    return sizes.bounded(regressions * sizes.weights, 1.5) + sizes.bounded(4 * sizes.study.zoo.members * sizes.weights)


def _label_environments(sizes: StudySizes, of: Mapping[str, str]) -> int:
    settings = sizes.study.conditions.label
    states = sizes.visible * settings.states * sizes.frame
    # Points of the regression, twice: a kernel between all of them, and its decomposition.
    points = 4 * 4 * (sizes.visible * settings.observations) ** 2
    experts = sizes.bounded(5 * sizes.visible * sizes.weights) + sizes.ahead(sizes.visible, settings.states)
    return 2 * sizes.shown + states + points + experts


def _regress_latents(sizes: StudySizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        generators = len(sizes.study.generator.seeds)
        coded = sizes.encoded(arm) + 6 * sizes.experts * sizes.weights
        made = sizes.bounded(2 * sizes.source(f"latents-{arm}"), 0.5)
        return generators * sizes.vae(arm)[0] + sizes.bounded(coded) + sizes.bounded(sizes.latents(arm)) + made

    return largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _zoo(sizes: StudySizes, *afterwards: int) -> int:
    """Experts and what they are relative to, with the copies that their statistics take, or what comes after these."""
    held = sizes.bounded((sizes.experts + sizes.visible) * sizes.weights)
    return held + max(sizes.bounded(STATISTICS * sizes.experts * sizes.weights), *afterwards)


def _train_vae(sizes: StudySizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        settings = sizes.study.generator.of_arm(arm)[0]
        learned = sizes.vae(arm)[0]
        step = sizes.in_pieces(settings.batch, coding_step(settings, sizes.nodes, sizes.weights, sizes.kept))
        return (
            sizes.trained("train", "validation")
            + sizes.shown
            + _zoo(sizes, sizes.bounded(sizes.encoded(arm)), states_of(settings.training) * learned + step)
        )

    return largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _train_diffusion(sizes: StudySizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        settings = sizes.study.generator.of_arm(arm)[1]
        step = sizes.in_pieces(settings.batch, denoising_step(settings, sizes.nodes))
        training = states_of(settings.training) * sizes.diffusion(arm)[0] + step
        zoo = _zoo(sizes, sizes.bounded(sizes.encoded(arm)), training, sizes.spanned)
        return sizes.shown + zoo + sizes.bounded(sizes.latents(arm)) + sizes.vae(arm)[0]

    return largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _tune_generator(sizes: StudySizes, of: Mapping[str, str]) -> int:
    def of_arm(arm: str) -> int:
        settings, of_networks = sizes.study.generator.end_to_end, sizes.study.generator.of_arm(arm)
        step = end_to_end_step(settings, *of_networks, sizes.nodes, sizes.weights, sizes.kept)
        networks = min(settings.environments, sizes.visible)
        every = sizes.in_pieces(sizes.visible, sizes.ahead(1, sizes.study.data.trajectories.validation))
        encoder = sizes.vae(arm)[0] // 2  # as it was
        return (
            sizes.shown
            + sizes.trained("train", "validation")
            + states_of(settings.training) * (sizes.generator(arm) - encoder)
            + encoder
            + max(sizes.in_pieces(networks, step), every, sizes.spanned)
        )

    return largest(of_arm, of.get("arm"), tuned_arms(sizes.study))


def _generate_weights(sizes: StudySizes, of: Mapping[str, str]) -> int:
    generators = len(sizes.study.generator.seeds)
    arms = sizes.study.generator.arms
    largest = max(map(sizes.generator, arms), default=0)
    kept = max((sizes.diffusion(arm)[1] + sizes.vae(arm)[1] for arm in arms), default=0)
    made = sizes.bounded(2 * sizes.source("generator-"), 0.5)
    return generators * largest + sizes.study.generator.samples * kept + made


def _fold_bases(sizes: StudySizes, of: Mapping[str, str]) -> int:
    return 2 * sizes.weight_maps() + sizes.bounded(4 * sizes.source("bases"), 1.5)


def _finetune_bases(sizes: StudySizes, of: Mapping[str, str]) -> int:
    finetune, data = sizes.study.baselines.finetune, sizes.study.data
    wanted, chosen = sizes.unseen or sizes.visible, min(finetune.choosing_environments, sizes.visible)
    each = STATES * sizes.weights + sizes.step(1, finetune.frames - 1, 1)
    networks = max(sizes.together(wanted, each), chosen)
    return (
        2 * sizes.weight_maps(finetuned_maps(sizes.study))
        + sizes.read(wanted + chosen, "train", frames=finetune.frames)
        + sizes.read(chosen, "validation")
        + networks * STATES * sizes.weights
        + sizes.step(networks, finetune.frames - 1, 1)
        + sizes.ahead(chosen, data.trajectories.validation)
        + sizes.bounded(2 * sizes.source("finetuned"), 0.5)
    )


def _adapt_to_frames(sizes: StudySizes, of: Mapping[str, str]) -> int:
    study, frames = sizes.study, max((case.all_frames for case in sizes.study.evaluation.observed), default=2)
    arms, candidates = adapted_arms(study), 16
    generators = len(study.generator.seeds) * sum(map(sizes.generator, arms))
    searched = max((sizes.diffusion(arm)[1] + sizes.vae(arm)[1] for arm in arms), default=0)
    visible = min(study.baselines.finetune.choosing_environments, sizes.visible)
    networks = max(sizes.unseen, visible)
    tuned = networks * STATES * sizes.weights + sizes.step(networks, frames - 1, 1)
    experts = sizes.bounded(4 * sizes.experts * sizes.weights)
    experts += sizes.ahead(min(sizes.experts, 7 * study.evaluation.members), 1)
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


def _evaluate_weights(sizes: StudySizes, of: Mapping[str, str]) -> int:
    study = sizes.study
    in_environment = {
        "bases": 1,
        "generator-": study.generator.samples,
        "observed": study.evaluation.members if observed_sources(study, sizes.plan.table) else 1,
    }

    def rolled_out(name: str) -> int:
        count = next((count for kind, count in in_environment.items() if name.startswith(kind)), 1)
        together = sizes.tested_together(max(study.evaluation.horizons) + 1)
        initial = 2 * together * count * study.data.trajectories.test * sizes.frame
        return sizes.rollouts(networks=max(12, count)) + initial + 3 * 12 * sizes.weights

    return largest(rolled_out, of.get("source"), list(in_environment))


def _evaluate_without_network(sizes: StudySizes, of: Mapping[str, str]) -> int:
    calendar = sizes.study.data.calendar  # whose climatologies are fitted to all frames at once
    return sizes.rollouts(networks=1) + (sizes.read(sizes.visible, "train") if calendar else sizes.seen())


def _evaluate_regressions(sizes: StudySizes, of: Mapping[str, str]) -> int:
    """Everything there is, in double precision, and twice what steps are told of it."""
    parts = ("train", "validation", "test")
    return 6 * (sizes.read(sizes.visible, *parts) + sizes.read(sizes.unseen, "train", "test"))


def _show_rollouts(sizes: StudySizes, of: Mapping[str, str]) -> int:
    # At most two of each of two roles are shown.
    return sizes.rollouts(networks=4, shown=4) + 3 * 12 * sizes.weights


def _show_observed(sizes: StudySizes, of: Mapping[str, str]) -> int:
    members, shown = sizes.study.evaluation.members, len(pictured_unknown(sizes.plan.table))
    return sizes.rollouts(networks=members, shown=shown) + sizes.weight_maps() + 3 * members * sizes.weights


def _distil(sizes: StudySizes, of: Mapping[str, str]) -> int:
    return sizes.read(sizes.visible, "train") + 3 * 12 * sizes.weights


def _show_attention(sizes: StudySizes, of: Mapping[str, str]) -> int:
    settings = [sizes.study.generator.of_arm(arm)[0] for arm in attended_arms(sizes.study)]
    pairs = max((3 * 8 * each.heads + each.layers for each in settings), default=0) * sizes.nodes**2
    return _map_weights(sizes, of) + pairs


def _describe_posteriors(sizes: StudySizes, of: Mapping[str, str]) -> int:
    frames = max((case.all_frames for case in sizes.study.evaluation.observed), default=2)
    searched = sizes.ahead(min(8 * sizes.unseen, 128), frames) + 4 * sizes.unseen * sizes.weights
    return sizes.weight_maps() + sizes.read(sizes.unseen, "train", frames=frames) + searched


def _compare_with_experts(sizes: StudySizes, of: Mapping[str, str]) -> int:
    frames = compared_frames(sizes.frame)
    here = sizes.sources() // sizes.environments  # weights of all methods in one environment
    behaviours = sizes.experts * frames * sizes.frame
    # Where each environment has one expert alone, they are compared with each other.
    behaviours = 3 * behaviours if sizes.study.zoo.members == 1 else sizes.bounded(4 * behaviours)
    experts = sizes.bounded(4 * sizes.experts * sizes.weights)
    test = sizes.tested(sizes.study.data.trained_frames)
    ahead = sizes.ahead(12, max(frames, sizes.study.data.trajectories.test))
    return 5 * here + 3 * (here // sizes.weights) * frames * sizes.frame + experts + behaviours + test + ahead


def _map_weights(sizes: StudySizes, of: Mapping[str, str]) -> int:
    arms, experts = sizes.study.generator.arms, sizes.experts
    points = 6 * experts * sizes.weights
    # Of more points than memory holds, inner products are made, in double precision, and decomposed.
    points = points if points <= sizes.budget else sizes.budget + 2 * 3 * experts**2
    coded = max((sizes.bounded(sizes.encoded(arm)) + sizes.bounded(2 * sizes.latents(arm)) for arm in arms), default=0)
    return max(points, coded) + sum(sizes.vae(arm)[0] for arm in arms)


def _tables(sizes: StudySizes, of: Mapping[str, str]) -> int:
    return 100 * sizes.rows()  # 240 bytes a row were measured where 3 million were read and reduced; twice, to join


def _write_report(sizes: StudySizes, of: Mapping[str, str]) -> int:
    shown = 16 * max(sizes.study.evaluation.horizons) * sizes.frame
    return _tables(sizes, of) + 8 * shown + 75_000_000  # figures


def _show_environments(sizes: StudySizes, of: Mapping[str, str]) -> int:
    data = sizes.study.data
    return 3 * 4 * data.trajectories.most * data.frames * sizes.frame + 25_000_000  # a figure


_NUMBERS: dict[str, Count[int]] = {
    "simulate": _simulate,
    "import_trajectories": _import,
    "cut_records": _cut,
    "roll_out_experts": _roll_out_experts,
    "train_base": _train_base,
    "train_context": _train_context,
    "train_in_context": _train_in_context,
    "find_equations": _find_equations,
    "train_experts": _train_experts,
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
    "evaluate_regressions": _evaluate_regressions,
    "show_rollouts": _show_rollouts,
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
