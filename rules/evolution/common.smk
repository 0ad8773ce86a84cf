"""What the rules of a study across time share: its plan, folds, sources of the evaluation. No rules here.

A fold is what training may see: ``all`` observed snapshots, or all ``without-<k>``, the k-th of them.
"""

from weightcast.evolution.coupled_file import COUPLINGS
from weightcast.evolution.jobs import TimePlan
from weightcast.evolution.memory import memory_mb
from weightcast.evolution.plan import ALL, FORECAST, arms_of, evaluation_sources, folds, kinds_of
from weightcast.evolution.runtime import runtime_minutes

PLAN = TimePlan(STUDY)
CONFIG = kept(keep_study, Path(STATE, "studies"), STUDY)
SNAPSHOTS = str(STUDY.snapshots)
ARMS = STUDY.flow.arms
SEEDS = STUDY.flow.seeds
FOLDS = folds(STUDY)
KINDS = STUDY.anchors.kinds
MATCHING = ["flow-matching"] * STUDY.evaluation.flow_matching
# What moves between the snapshots, and grows and dies where the study is told masses.
COUPLED = [f"{RESULTS}/{COUPLINGS}"] * STUDY.coupled


def anchors_of_arm(wildcards):
    return f"{RESULTS}/anchors/{wildcards.fold}/{ARMS[wildcards.arm].anchors}-{wildcards.seed}.safetensors"


def anchor_files(folds=(ALL,), seeds=SEEDS):
    return [
        f"{RESULTS}/anchors/{fold}/{kind}-{seed}.safetensors"
        for fold in folds
        for kind in kinds_of(STUDY, fold)
        for seed in seeds
    ]


def flow_files(folds=(ALL,), seeds=SEEDS):
    return [
        f"{RESULTS}/flow/{fold}/{arm}-{seed}.safetensors"
        for fold in folds
        for arm in arms_of(STUDY, fold)
        for seed in seeds
    ]


def matched_flows(wildcards):
    """The baseline OT-CFM of a fold; it has no forecast."""
    matching = [] if wildcards.fold == FORECAST else MATCHING
    return [f"{RESULTS}/matching/{wildcards.fold}/{name}.safetensors" for name in matching]


wildcard_constraints:
    fold="|".join(map(re.escape, FOLDS)),
    anchors="|".join(KINDS),
    arm="|".join(map(re.escape, ARMS)),
    seed="[0-9]+",
