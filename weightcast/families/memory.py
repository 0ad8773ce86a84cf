"""How much memory the jobs of a study of environments across time ask for, computed from the study's sizes.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from weightcast.evolution.memory import DRAWN_MB, LIBRARIES_MB, MARGIN, MEGABYTE
from weightcast.families.jobs import CODES, FamilyPlan

ENVIRONMENTS, TIMES, SAMPLES = 100, 101, 2000
"""Taken for the sizes of files whose contents the configuration does not know."""
INFERRED_MB = 300
"""Of likelihoods of codes (weightcast.families.inference.AT_ONCE), with what is kept for a gradient."""


def memory_mb(stage: str, plan: FamilyPlan, of: Mapping[str, str]) -> int:
    """Megabytes that a job of a stage needs, with a margin.

    Args:
        stage: its name.
        plan: of the study.
        of: the job's wildcards.
    """
    own = _samples_bytes(plan)
    if stage in ("choose_map", "train_family"):
        own += _training_bytes(plan)
        if of.get("told") == CODES:
            own += _reading_bytes(plan)
    if stage in ("train_path_experts", "train_path_zoo"):
        own += 4.0 * expert_numbers(plan)
    if stage == "train_path_vae":
        own += 4.0 * coder_numbers(plan)
    if stage == "train_path_generator":
        own += _reading_bytes(plan) + 4.0 * generator_numbers(plan)
    if stage == "train_conditional_flow":
        own += _splines_bytes(plan)
    if stage in (
        "choose_map",
        "train_path_experts",
        "evaluate_family",
        "evaluate_opponents",
        "train_conditional_flow",
        "train_path_diffusion",
    ):
        own += (DRAWN_MB + INFERRED_MB) * MEGABYTE + 4 * 8.0 * plan.study.evaluation.samples**2
    return math.ceil(MARGIN * (LIBRARIES_MB + own / MEGABYTE))


def step_numbers(plan: FamilyPlan) -> float:
    """What a step of a training keeps for its gradient: outputs and states of densities, and their weights; of all maps
    of a seed."""
    paths = plan.study.paths
    return _kept_numbers(plan, paths.maps * paths.training.members, paths.training.batch)


def expert_numbers(plan: FamilyPlan) -> float:
    """The same of a step of a zoo's experts, with their weights and what the optimiser keeps of them."""
    zoo = plan.study.paths.zoo
    assert zoo is not None  # else there is no such job
    own = 6 * ENVIRONMENTS * zoo.knots * _weights(plan)
    return _kept_numbers(plan, ENVIRONMENTS * zoo.snapshots, zoo.batch) + own


def coder_numbers(plan: FamilyPlan) -> float:
    """The same of a step of an autoencoder of the experts' paths: of what it encodes, and of what it decodes."""
    zoo = plan.study.paths.zoo
    assert zoo is not None and zoo.vae is not None  # else there is no such job
    own, weights = zoo.vae, _weights(plan)
    # A node for every output of a layer, whose tokens are about as long as the density is wide, biases apart.
    nodes = 2 * weights / plan.study.density.hidden
    decoded = own.batch * (min(own.knots, zoo.knots) + own.snapshots)
    block = own.layers * (16 * own.width + 2 * own.heads * nodes) + 4 * own.width
    tokens = (own.batch * zoo.knots + decoded) * nodes * block
    network = 6 * (2 * nodes * own.width + 26 * own.layers * own.width**2)
    experts = 3 * ENVIRONMENTS * zoo.knots * weights
    return tokens + network + experts + _kept_numbers(plan, own.batch * own.snapshots, own.samples)


def generator_numbers(plan: FamilyPlan) -> float:
    """The same of a step of the diffusion of its codes, but for what reads samples; and the autoencoder itself."""
    zoo = plan.study.paths.zoo
    assert zoo is not None and zoo.vae is not None and zoo.vae.diffusion is not None  # else there is no such job
    own = zoo.vae.diffusion
    return own.batch * own.layers * 24 * own.width + 72 * own.layers * own.width**2 + coder_numbers(plan)


def _kept_numbers(plan: FamilyPlan, members: int, batch: int) -> float:
    """Of so many densities, of so many samples each."""
    density, data = plan.study.density, plan.study.data
    outputs = data.states or 3 * density.components
    hidden = density.layers * density.hidden * (12 if density.backbone == "gru" else 24)
    return members * batch * len(data.dimensions) * (4 * outputs + hidden) + 4 * members * _weights(plan)


def _weights(plan: FamilyPlan) -> float:
    """Weights of one density, roughly."""
    density, data = plan.study.density, plan.study.data
    layer = (6 if density.backbone == "gru" else 12) * density.hidden**2
    outputs = data.states or 3 * density.components
    return density.layers * layer + density.hidden * (outputs + 16 + len(data.dimensions))


def _training_bytes(plan: FamilyPlan) -> float:
    """A step, and the maps with what the optimiser keeps of them."""
    paths = plan.study.paths
    network = paths.width * (paths.width + paths.rank * (1 + paths.code))
    return 4.0 * (step_numbers(plan) + 6 * paths.maps * (paths.rank * _weights(plan) + network))


def _reading_bytes(plan: FamilyPlan) -> float:
    """Made-up environments in double precision, and a step of the network that reads samples."""
    reader, dimensions = plan.study.inference.encoder, len(plan.study.data.dimensions)
    if reader is None:
        return 0.0
    shown = reader.snapshots * reader.samples
    return 4 * 8.0 * reader.made * shown * dimensions + 4 * 8.0 * reader.members * shown * (reader.width + dimensions)


def _samples_bytes(plan: FamilyPlan) -> float:
    """All samples as they are read, in double precision, and copies of them."""
    data = plan.study.data
    known = data.trajectories
    samples, times = (SAMPLES, TIMES) if known is None else (known.train + known.held_out, known.times)
    return 3.0 * 8 * ENVIRONMENTS * samples * times * len(data.dimensions)


def _splines_bytes(plan: FamilyPlan) -> float:
    """Coefficients of all splines, in single and once in double precision, and a step of the network."""
    flow, data = plan.study.opponents.flow_matching, plan.study.data
    assert flow is not None  # else there is no such job
    times = TIMES if data.trajectories is None else data.trajectories.times
    splines = ENVIRONMENTS * -(-times // data.observed_every) * flow.curves * 4 * len(data.dimensions)
    step = flow.batch * (len(data.dimensions) + 3 * flow.width) + 12 * flow.width**2
    return 12.0 * splines + 4 * 8.0 * step
