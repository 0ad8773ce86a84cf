"""How many minutes the jobs of a study of environments across time ask for: an upper bound, computed from the study.

As in the other halves (:mod:`weightcast.evolution.runtime`), from what a step computes with and a rate that was
measured once. Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from weightcast.evolution.runtime import (
    GPU,
    LEAST_MINUTES,
    MARGIN,
    NUMBERS_A_SECOND,
    START_SECONDS,
    STEP_SECONDS,
    TRANSPORT_SECONDS,
)
from weightcast.families.config.sample_encoder import SampleEncoderSettings
from weightcast.families.jobs import CODES, FamilyPlan
from weightcast.families.memory import ENVIRONMENTS, TIMES, coder_numbers, expert_numbers, step_numbers

ON_GPU = (
    *("choose_map", "train_family", "train_conditional_flow"),
    *("train_path_experts", "train_path_zoo", "train_path_diffusion", "train_path_vae", "train_path_generator"),
)
"""Stages that are faster there."""
FIT_SECONDS = 0.02
"""Of one likelihood of a rate fit."""


def runtime_minutes(stage: str, plan: FamilyPlan, of: Mapping[str, str]) -> int:
    """Minutes for a job.

    Args:
        stage: its name; one that is not known to take longer asks for the least.
        plan: of the study.
        of: the job's wildcards.
    """
    paths, inference, evaluation = plan.study.paths, plan.study.inference, plan.study.evaluation
    training = paths.training.steps * (STEP_SECONDS + step_numbers(plan) / NUMBERS_A_SECOND)
    inferring = inference.steps * inference.starts * paths.maps * STEP_SECONDS * len(evaluation.shown)
    reader = inference.encoder
    reading = 0.0 if reader is None else _reading(reader, len(plan.study.data.dimensions))
    known = plan.study.data.trajectories
    times = len(evaluation.times or []) or (TIMES if known is None else known.times)
    drawn = inference.draws * evaluation.samples * len(plan.study.data.dimensions) / 1e5
    scored = ENVIRONMENTS * times * (evaluation.samples**2 * TRANSPORT_SECONDS + drawn)
    seconds = {
        "gather_snapshots": 1e-4 * ENVIRONMENTS * times * (2000 if known is None else known.train + known.held_out),
        "choose_map": len(paths.kinds) * training,
        "train_family": training,
        "train_path_experts": 2 * _experts(plan) + ENVIRONMENTS * inferring,
        "train_path_zoo": _experts(plan),
        "train_path_vae": _coding(plan),
        "train_path_generator": _generating(plan),
        "train_path_diffusion": _denoising(plan) + 2 * ENVIRONMENTS * inferring,
        "train_conditional_flow": _matching(plan, times) + scored,
        "evaluate_family": ENVIRONMENTS * inferring + (4 + 4 * len(evaluation.shown)) * scored,
        "evaluate_opponents": _decoding(plan)
        + len(evaluation.shown) * (ENVIRONMENTS * _fitting(plan) + 3 * scored)
        + _interpolating(plan, times)
        + _judging(plan, times),
    }.get(stage, 0.0)
    if stage in ("choose_map", "train_family") and of.get("told") == CODES:
        seconds += reading
    if stage == "choose_map" and of.get("told") == CODES:
        priors = len(inference.widened) + len(inference.priors) - 1
        seconds += paths.left_out * (priors + 3) * inferring
        seconds += len(inference.inflations) * len(evaluation.shown) * scored
    if plan.study.device.startswith("cuda") and stage in ON_GPU:
        seconds /= GPU
    return max(LEAST_MINUTES, 5 * math.ceil(MARGIN * (START_SECONDS + seconds) / 60 / 5))


def _experts(plan: FamilyPlan) -> float:
    """Seconds for the experts of a zoo."""
    zoo = plan.study.paths.zoo
    if zoo is None:
        return 0.0
    steps = zoo.training.steps * (1 + (zoo.training.keep == "best"))
    return steps * (STEP_SECONDS + expert_numbers(plan) / NUMBERS_A_SECOND)


def _coding(plan: FamilyPlan) -> float:
    """Seconds for an autoencoder of the experts' paths."""
    zoo = plan.study.paths.zoo
    if zoo is None or zoo.vae is None:
        return 0.0
    return zoo.vae.training.steps * (STEP_SECONDS + coder_numbers(plan) / NUMBERS_A_SECOND)


def _generating(plan: FamilyPlan) -> float:
    """Seconds for the conditional diffusion of an autoencoder's codes, and for what reads samples in each step."""
    zoo = plan.study.paths.zoo
    if zoo is None or zoo.vae is None or zoo.vae.diffusion is None:
        return 0.0
    own, reader = zoo.vae.diffusion, plan.study.inference.encoder
    read = 0.0
    if reader is not None:
        shown = own.batch * reader.snapshots * reader.samples
        read = shown * (4 * reader.width + len(plan.study.data.dimensions))
    numbers = own.batch * own.layers * 24 * own.width + read
    return own.training.steps * (STEP_SECONDS + numbers / NUMBERS_A_SECOND)


def _decoding(plan: FamilyPlan) -> float:
    """Seconds for the search for codes under an autoencoder, in all cases."""
    zoo = plan.study.paths.zoo
    if zoo is None or zoo.vae is None:
        return 0.0
    inference, shown = plan.study.inference, plan.study.evaluation.shown
    # Two snapshots of each environment, decoded at each step of all searches, and for each proposal.
    asked = 2 * ENVIRONMENTS * (inference.steps * inference.starts + inference.proposals)
    one = coder_numbers(plan) / max(1, zoo.vae.batch * zoo.knots)
    again = 1 if zoo.vae.diffusion is None else 2  # from generated codes
    return again * len(shown) * asked * one / NUMBERS_A_SECOND


def _denoising(plan: FamilyPlan) -> float:
    """Seconds for the diffusions of a zoo's codes: one of all, and one for each part of these that is left out."""
    zoo = plan.study.paths.zoo
    if zoo is None or zoo.diffusion is None:
        return 0.0
    own = zoo.diffusion
    numbers = len(own.smoothings) * (own.folds + 1) * own.batch * 4 * own.width
    return (own.folds + 1) * own.training.steps * (STEP_SECONDS + numbers / NUMBERS_A_SECOND)


def _reading(settings: SampleEncoderSettings, dimensions: int) -> float:
    """Seconds for the training of the network that reads samples, and for made-up environments."""
    samples = settings.members * settings.snapshots * settings.samples
    step = STEP_SECONDS + samples * (4 * settings.width + dimensions) / NUMBERS_A_SECOND
    made = settings.made * settings.snapshots * settings.samples * dimensions / 1e5
    return settings.training.steps * step + made


def _fitting(plan: FamilyPlan) -> float:
    """Seconds for the rate constants of one environment in one case."""
    fit = plan.study.opponents.rate_fit
    if fit is None:
        return 0.0
    evaluations = 20 + fit.starts * fit.evaluations
    # Equations of two moments: their number, by what solving them took for four species.
    return evaluations * FIT_SECONDS * max(1.0, len(plan.study.data.dimensions) / 4) ** 2


def _judging(plan: FamilyPlan, times: int) -> float:
    """Seconds in which visible environments say how long trends go on, in all cases."""
    trend, evaluation = plan.study.opponents.trend, plan.study.evaluation
    if trend is None:
        return 0.0
    once = trend.judges * times * evaluation.samples**2 * TRANSPORT_SECONDS
    return len(evaluation.shown) * len(trend.dampings) * once


def _interpolating(plan: FamilyPlan, times: int) -> float:
    """Seconds for the couplings between environments, and the search for weights, in all cases."""
    across = plan.study.opponents.interpolation
    if across is None:
        return 0.0
    cases = 1 + len(plan.study.evaluation.shown)
    coupled = ENVIRONMENTS * times * across.nearest * across.samples**2 * TRANSPORT_SECONDS
    return cases * (coupled + ENVIRONMENTS * across.steps * STEP_SECONDS)


def _matching(plan: FamilyPlan, times: int) -> float:
    """Seconds for couplings and training of the velocity field, once more where its guidance is chosen."""
    flow = plan.study.opponents.flow_matching
    if flow is None:
        return 0.0
    step = STEP_SECONDS + flow.batch * 12 * flow.width**2 / NUMBERS_A_SECOND
    once = flow.training.steps * step + ENVIRONMENTS * times * flow.curves**2 * TRANSPORT_SECONDS
    return once * (1 + (len(flow.guidances) > 1))
