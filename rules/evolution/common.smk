"""What the rules of a study across time share: folds, sources of the evaluation, and slices. No rules here.

A fold is what training may see: ``all`` observed snapshots, or all ``without-<k>``, the k-th of them.
"""

from weightcast.evolution.plan import evaluation_sources, folds

SNAPSHOTS = str(STUDY.snapshots)
ARMS = STUDY.flow.arms
SEEDS = STUDY.flow.seeds
FOLDS = folds(STUDY)


def anchors_of_arm(wildcards):
    return f"{RESULTS}/anchors/{wildcards.fold}/{ARMS[wildcards.arm].anchors}-{wildcards.seed}.safetensors"


def flow_settings(wildcards):
    """What a flow depends on: its own arm, and how samples between snapshots are made."""
    return settings(
        flow=STUDY.flow.of_arm(wildcards.arm).model_dump(mode="json", exclude={"seeds"}),
        bridge=STUDY.anchors.bridge,
        seed=STUDY.seed,
    )


def evaluation_settings():
    return settings(study=STUDY.study, seed=STUDY.seed, evaluation=STUDY.evaluation)


wildcard_constraints:
    fold="|".join(map(re.escape, FOLDS)),
    anchors="|".join(STUDY.anchors.kinds),
    arm="|".join(map(re.escape, ARMS)),
    seed="[0-9]+",
