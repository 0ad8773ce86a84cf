"""How many minutes a job of each stage asks for, computed from the study.

What is counted is what a job computes with, step by step, in the numbers of :mod:`weightcast.environments.study_sizes`;
how many of them a core gets through in a second was measured once for each kind of work (tests/unit/test_runtime.py
holds the estimate against rehearsed jobs). It is an upper bound rather than a forecast, which `weightcast check` makes:
a job that asks for too much waits a little longer in the queue, one that asks for too little is stopped, saves, and
goes on in its next attempt. Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from weightcast.core.config.training import PredictorTraining
from weightcast.core.nets.sizes import BACKWARD, kept_activations
from weightcast.environments.config.equations import EquationsSettings
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.jobs import Plan
from weightcast.environments.plan import MOST_COMPARED, adapted_arms, tuned_arms
from weightcast.environments.study_sizes import Count, StudySizes, largest, needed

START_SECONDS = 60
"""Until a job computes: Snakemake plans it, twice on a cluster; Python and torch are imported, files are read."""
LEAST_MINUTES = 10
MARGIN = 3.0
"""For slower cores, shared ones, and what is not counted."""
NUMBERS_A_SECOND = 2e8
"""Of a training step through the predictor, kept for the gradient: they are moved more than they are multiplied."""
OPERATIONS_A_SECOND = 5e10
"""Floating-point, of VAE and diffusion, whose work is products of matrices."""
STEP_SECONDS = 0.01
"""Of a training step, however small."""
UNROLLED_SECONDS = 0.004
"""Of each step of the predictor within it."""
PATH_SECONDS = 0.5
"""Of paths within the steps of a state, for each of its components, term and power of a Hill function."""
VALIDATED = 1.25
"""What validating adds to a training."""
CELL_SECONDS = 2e-5
"""Of a simulated frame, for each point of its grid; the slowest of the simulators at the published sizes."""
TREE_SECONDS = 0.004
"""Of a tree of a regression, whatever it is fitted to; measured with trees of 4 to 16 leaves."""
ROW_SECONDS = 1e-7
"""And for each row of its data."""
STATE_SECONDS = 4e-4
"""Of a simulated frame of a state without a grid."""
GPU = 5.0
"""How many times as fast trainings are at the least on a GPU. A guess, on the safe side: not measured."""
PRODUCTS_ON_GPU = 8.0
"""And products of large matrices once more: in all a third of what `weightcast check` takes a GPU to sustain."""


def runtime_minutes(stage: str, plan: Plan, of: Mapping[str, str]) -> int:
    """Minutes for a job.

    Args:
        stage: its name; one that is not known to take longer asks for the least.
        plan: the study.
        of: the job's wildcards. Without the one that decides, the longest of the stage's jobs counts.
    """
    seconds = needed(_SECONDS, stage, plan, of)
    if plan.study.device.startswith("cuda") and stage.startswith(("train_", "tune_")):
        seconds /= GPU
    minutes = MARGIN * (START_SECONDS + seconds) / 60
    return max(LEAST_MINUTES, 5 * math.ceil(minutes / 5))


def _computing(numbers: float) -> float:
    """Seconds for so many numbers, with their gradient."""
    return numbers / NUMBERS_A_SECOND


def _attending(sizes: StudySizes, learned: int, networks: int, gradient: bool = True) -> float:
    """Seconds of a pass of networks through so many learned numbers, each of which meets every node."""
    operations = (6 if gradient else 2) * learned * sizes.nodes * networks
    faster = PRODUCTS_ON_GPU if sizes.study.device.startswith("cuda") else 1.0
    return operations / (OPERATIONS_A_SECOND * faster)


def _training(sizes: StudySizes, training: PredictorTraining, networks: int, kept: int | None = None) -> float:
    """Seconds of a training through the predictor.

    Args:
        sizes: of the study.
        training: how long and how far it is unrolled.
        networks: that each step computes with.
        kept: of a frame's step, for the gradient, of another network than the predictor.
    """
    frames = training.batch * training.unroll
    numbers = BACKWARD * networks * (frames * (kept or sizes.kept) + 2 * (1 + training.unroll) * sizes.weights)
    step = STEP_SECONDS + training.unroll * UNROLLED_SECONDS * sizes.substeps + _computing(numbers)
    return VALIDATED * training.steps * step


def _simulate(sizes: StudySizes, of: Mapping[str, str]) -> float:
    data, shards = sizes.study.data, sizes.plan.trajectory_shards
    environments = largest(lambda name: len(shards[name]), of.get("shard"), list(shards))
    points = math.prod(data.grid)
    frame = STATE_SECONDS if points == 1 else CELL_SECONDS * points
    return environments * data.trajectories.most * data.frames * frame


def _roll_out_experts(sizes: StudySizes, of: Mapping[str, str]) -> float:
    data, shards = sizes.study.data, sizes.plan.trajectory_shards
    environments = largest(lambda name: len(shards[name]), of.get("shard"), list(shards))
    step = _computing(data.trajectories.total * sizes.kept) + UNROLLED_SECONDS * sizes.substeps
    return environments * data.frames * step


def _train_base(sizes: StudySizes, of: Mapping[str, str]) -> float:
    maps = trained_maps(sizes.study)

    def of_base(name: str) -> float:
        training = maps[name].training
        networks = min(training.environments, sizes.visible)
        whole = _training(sizes, training, networks)
        chosen = training.model_copy(update={"steps": sizes.study.base.choice.steps})
        candidates = 1 + len(maps[name].rivals) if maps[name].rivals else 0
        return whole + candidates * _training(sizes, chosen, networks)

    return largest(of_base, of.get("base"), list(maps))


def _train_context(sizes: StudySizes, of: Mapping[str, str]) -> float:
    context = sizes.study.context
    if context is None:
        return 0.0
    training = context.training.model_copy(
        update={"unroll": max(context.training.unroll, context.training.last_unroll or 0)}
    )
    networks = min(training.environments, sizes.learned)
    candidates = len(context.maps) * len(context.dimensions) * context.choice.folds
    chosen = training.model_copy(update={"steps": context.choice.steps})
    seconds = _training(sizes, training, networks) + candidates * _training(sizes, chosen, networks)
    if context.polish is not None:  # a Jacobian of all residuals by all weights, and equations of that size
        polish, rows = context.polish, context.polish.most_residuals
        iterations = polish.iterations + sum(begin.iterations for begin in polish.begin)
        iterations += 2 * candidates * polish.choosing_iterations * len(polish.penalties)
        columns = sizes.weights * (1 + max(context.dimensions))
        seconds += iterations * rows * (sizes.substeps * sizes.kept * max(context.dimensions) + columns) / 1e8
    # Codes of left-out environments are searched for, for each candidate, temper and prior, and once more in the end.
    seconds += (candidates + len(context.refine.tempers) + 2) * _searches(sizes, sizes.learned, context.choice.frames)
    return seconds + (_equations(sizes, context.equations) if context.equations else 0.0)


def _searches(sizes: StudySizes, environments: int, frames: int) -> float:
    """Codes of environments from a few frames: rollouts with a pass for each number of a code, from several starts."""
    context = sizes.study.context
    starts, iterations, numbers = (4, 8, 2) if context is None else (
        context.refine.starts, context.refine.iterations, max(context.dimensions),
    )  # fmt: skip
    members = sizes.study.evaluation.members if context is None else context.refine.members
    passes = (starts * iterations * (2 + numbers) + members) * environments * frames
    return passes * (_computing(sizes.kept) + UNROLLED_SECONDS * sizes.substeps / 16)


def _coefficients(sizes: StudySizes) -> float:
    """Regressions of every environment's steps on all terms, and fits of coefficients."""
    data = sizes.study.data
    return 300 + sizes.visible * data.trajectories.train * data.trained_frames * sizes.frame / 1e4


def _equations(sizes: StudySizes, equations: EquationsSettings) -> float:
    """A search for equations: coefficients, and paths within steps with each Hill function."""
    data = sizes.study.data
    paths = len(equations.hill) * len(data.channels) * equations.terms(len(data.channels), data.grid)
    return _coefficients(sizes) + PATH_SECONDS * paths


def _find_equations(sizes: StudySizes, of: Mapping[str, str]) -> float:
    equations = sizes.study.baselines.equations
    return 0.0 if equations is None else _equations(sizes, equations)


def _train_in_context(sizes: StudySizes, of: Mapping[str, str]) -> float:
    study, chosen = sizes.study, sizes.study.baselines.in_context
    if chosen is None:
        return 0.0
    wider = study.predictor.model_copy(update={"width": chosen.width})
    kept = kept_activations(wider, len(study.data.channels), study.data.grid, study.data.beside)
    kept += chosen.frames * sizes.frame * 8  # frames that are shown, drawn and filled
    return _training(sizes, chosen.training, min(chosen.training.environments, sizes.visible), kept)


def _train_experts(sizes: StudySizes, of: Mapping[str, str]) -> float:
    shards, zoo = sizes.plan.shards, sizes.study.zoo

    def of_shard(name: str) -> float:
        members = len(shards[name]) * (zoo.members if name.startswith("visible") else 1)
        bases = [of["base"]] if "base" in of else zoo.bases
        return max(_training(sizes, zoo.training_from(base), members) for base in bases)

    return largest(of_shard, of.get("shard"), list(shards))


def _train_vae(sizes: StudySizes, of: Mapping[str, str]) -> float:
    def of_arm(arm: str) -> float:
        settings = sizes.study.generator.of_arm(arm)[0]
        learned = sizes.vae(arm)[0]
        functional = sizes.step(settings.batch, settings.functional_batch, 1) if settings.functional_weight else 0
        passes = _attending(sizes, learned, settings.batch) if settings.coder != "flat" else _computing(8 * learned)
        return VALIDATED * settings.training.steps * (4 * STEP_SECONDS + passes + _computing(functional + 8 * learned))

    return largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _train_diffusion(sizes: StudySizes, of: Mapping[str, str]) -> float:
    def of_arm(arm: str) -> float:
        settings = sizes.study.generator.of_arm(arm)[1]
        learned = sizes.diffusion(arm)[0]
        step = 4 * STEP_SECONDS + _attending(sizes, learned, settings.batch) + _computing(8 * learned)
        trainings = 2 if settings.left_out else 1
        return trainings * VALIDATED * settings.training.steps * step

    return largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _tune_generator(sizes: StudySizes, of: Mapping[str, str]) -> float:
    def of_arm(arm: str) -> float:
        settings = sizes.study.generator.end_to_end
        networks = min(settings.environments, sizes.visible) * settings.samples
        steps = sizes.study.generator.of_arm(arm)[1].sample_steps
        learned = steps * sizes.diffusion(arm)[0] + sizes.vae(arm)[0]
        sampled = _attending(sizes, learned, networks) + _computing(8 * sizes.generator(arm))
        return _training(sizes, settings.training, networks) + settings.training.steps * sampled

    return largest(of_arm, of.get("arm"), tuned_arms(sizes.study))


def _generate_weights(sizes: StudySizes, of: Mapping[str, str]) -> float:
    generator, arms = sizes.study.generator, sizes.study.generator.arms
    networks = len(generator.seeds) * generator.samples * sizes.environments

    def of_arm(arm: str) -> float:
        learned = generator.of_arm(arm)[1].sample_steps * sizes.diffusion(arm)[0] + sizes.vae(arm)[0]
        return _attending(sizes, learned, networks, gradient=False)

    return max(map(of_arm, arms), default=0.0)


def _finetuned(sizes: StudySizes, networks: int, frames: int) -> float:
    """Fine-tuning on a few frames at every rate, and at the one that was chosen."""
    finetune = sizes.study.baselines.finetune
    steps = max(finetune.steps) * (1 + len(finetune.learning_rates))
    return steps * (STEP_SECONDS + _computing(sizes.step(networks, max(1, frames - 1), 1)))


def _finetune_bases(sizes: StudySizes, of: Mapping[str, str]) -> float:
    networks = max(sizes.unseen or sizes.visible, sizes.study.baselines.finetune.choosing_environments)
    return 2 * _finetuned(sizes, networks, sizes.study.baselines.finetune.frames)


def _adapt_to_frames(sizes: StudySizes, of: Mapping[str, str]) -> float:
    study, frames = sizes.study, max((case.all_frames for case in sizes.study.evaluation.observed), default=2)
    visible = min(study.baselines.finetune.choosing_environments, sizes.visible)
    contexts = len(study.context.seeds) if study.context else 0
    told = len(trained_maps(study)) + len(adapted_arms(study)) * len(study.generator.seeds) + contexts + 1
    experts = sizes.experts * (sizes.unseen + visible) * frames * _computing(sizes.kept)
    tuned = 3 * len(study.baselines.finetune.steps) * _finetuned(sizes, sizes.unseen + visible, frames)
    return told * _searches(sizes, sizes.unseen + visible, frames) + experts + tuned + _coefficients(sizes) / 3


def _rollouts(sizes: StudySizes, networks: int) -> float:
    """Forecasts of networks from all test trajectories, to the longest horizon, and their scores."""
    study = sizes.study
    frames = study.data.trajectories.test * max(study.evaluation.horizons)
    return networks * frames * (_computing(sizes.kept + 20 * sizes.frame) + UNROLLED_SECONDS * sizes.substeps / 4)


def _evaluate_weights(sizes: StudySizes, of: Mapping[str, str]) -> float:
    kinds = ["bases", "observed", "generator-", "latents-"]
    networks = largest(lambda name: sizes.source(name) // sizes.weights, of.get("source"), kinds)
    return _rollouts(sizes, int(networks))


def _all_methods(sizes: StudySizes, of: Mapping[str, str]) -> float:
    return _rollouts(sizes, 12 * sizes.study.evaluation.members)


def _evaluate_regressions(sizes: StudySizes, of: Mapping[str, str]) -> float:
    """Fitting trees: of every size three times to choose, for the pooled ones, each case, and each own one."""
    trees, data = sizes.study.baselines.trees, sizes.study.data
    if trees is None:
        return 0.0
    rows = min(100_000, sizes.visible * data.trajectories.train * data.trained_frames)
    grown = sum(trees.iterations) * len(trees.leaves) * len(data.channels)
    pooled = (1 + len(sizes.study.evaluation.observed)) * 4 * grown * (TREE_SECONDS + rows * ROW_SECONDS)
    own = (6 * grown + sizes.unseen * max(trees.iterations) * len(data.channels)) * 2 * TREE_SECONDS
    return pooled + own


def _zoo(sizes: StudySizes, of: Mapping[str, str]) -> float:
    """Reading, comparing and writing the weights of all experts."""
    return 40 * (sizes.experts + sizes.unseen) * sizes.weights / NUMBERS_A_SECOND


def _compare_with_experts(sizes: StudySizes, of: Mapping[str, str]) -> float:
    compared = sum(min(count, MOST_COMPARED) for count in (sizes.visible, sizes.unseen))
    networks = sizes.experts + sizes.sources() // sizes.weights * compared / sizes.environments
    return _zoo(sizes, of) + networks * 64 * (_computing(sizes.kept) + 1e-4) + networks * sizes.experts * 1e-4


def _regress_weights(sizes: StudySizes, of: Mapping[str, str]) -> float:
    return _zoo(sizes, of) + sizes.experts**2 * sizes.weights / 1e9 + 60


def _label_environments(sizes: StudySizes, of: Mapping[str, str]) -> float:
    settings = sizes.study.conditions.label
    points = sizes.visible * settings.observations
    return _zoo(sizes, of) + sizes.experts * sizes.visible * settings.states * _computing(sizes.kept) + points**3 / 1e9


def _regress_latents(sizes: StudySizes, of: Mapping[str, str]) -> float:
    def of_arm(arm: str) -> float:
        networks = len(sizes.study.generator.seeds) * (sizes.experts + 2 * sizes.environments)
        return _attending(sizes, sizes.vae(arm)[0], networks, gradient=False) + 60

    return largest(of_arm, of.get("arm"), list(sizes.study.generator.arms))


def _describe_posteriors(sizes: StudySizes, of: Mapping[str, str]) -> float:
    frames = max((case.all_frames for case in sizes.study.evaluation.observed), default=2)
    return 2 * len(sizes.study.evaluation.observed) * _searches(sizes, sizes.unseen, frames)


def _distil(sizes: StudySizes, of: Mapping[str, str]) -> float:
    return sizes.sources() // sizes.weights * 2.0  # seconds of a regression each


def _tables(sizes: StudySizes, of: Mapping[str, str]) -> float:
    return sizes.rows() * sizes.study.evaluation.bootstrap / 3e6 + 60


def _report(sizes: StudySizes, of: Mapping[str, str]) -> float:
    return 120.0  # some dozen figures


_SECONDS: dict[str, Count[float]] = {
    "simulate": _simulate,
    "import_trajectories": _simulate,
    "cut_records": _simulate,
    "roll_out_experts": _roll_out_experts,
    "train_base": _train_base,
    "train_context": _train_context,
    "train_in_context": _train_in_context,
    "find_equations": _find_equations,
    "train_experts": _train_experts,
    "import_experts": _zoo,
    "gather_zoo": _zoo,
    "average_experts": _zoo,
    "regress_weights": _regress_weights,
    "label_environments": _label_environments,
    "regress_latents": _regress_latents,
    "train_vae": _train_vae,
    "train_diffusion": _train_diffusion,
    "tune_generator": _tune_generator,
    "generate_weights": _generate_weights,
    "finetune_bases": _finetune_bases,
    "adapt_to_frames": _adapt_to_frames,
    "evaluate_weights": _evaluate_weights,
    "evaluate_without_network": _all_methods,
    "evaluate_regressions": _evaluate_regressions,
    "show_rollouts": _all_methods,
    "show_observed": _all_methods,
    "distil": _distil,
    "describe_posteriors": _describe_posteriors,
    "map_weights": _zoo,
    "compare_with_experts": _compare_with_experts,
    "compare_with_own_experts": _compare_with_experts,
    "summarise": _tables,
    "summarise_observed": _tables,
    "write_report": _report,
    "show_environments": _report,
}
