"""What the rules of a study across environments share: its table, its plan, and slices of both. No rules here."""

from weightcast.core.environment_table import read_environments, table_to_json
from weightcast.environments.plan import (
    adapted_arms,
    base_environments,
    check_plan,
    described_map,
    expert_shards,
    pictured_environments,
    reference_shards,
    source_settings,
    tuned_arms,
    weight_sources,
)

try:
    TABLE = read_environments(STUDY.environments)
    check_plan(STUDY, TABLE)
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")

TRAJECTORIES = str(STUDY.trajectories)
VISIBLE = [environment.id for environment in TABLE.visible]
UNSEEN = [environment.id for environment in TABLE.unseen]
SHARDS = {**expert_shards(STUDY, TABLE), **reference_shards(STUDY, TABLE)}
ARMS = STUDY.generator.arms
TUNED_ARMS = tuned_arms(STUDY)
SOURCES = weight_sources(STUDY, TABLE)  # files of weights that the evaluation rolls out


def rows(ids=None):
    """Rows of the table of environments as one line of JSON."""
    return table_to_json(TABLE, ids)


def trajectories(ids):
    return [f"{TRAJECTORIES}/{environment}.nc" for environment in ids]


def final_stage(arm):
    """The folder of an arm's generators after its last training."""
    return "end-to-end" if ARMS[arm].end_to_end else "diffusion"


def base_settings(kind):
    base, baselines = STUDY.base, STUDY.baselines
    training = {
        "erm": base.erm,
        "conditioned": base.conditioned,
        "film-matched": baselines.film_matched,
        "hypernetwork": baselines.hypernetwork.training,
    }[kind]
    return settings(
        data=STUDY.data,
        predictor=STUDY.predictor,
        map=described_map(STUDY, kind),
        training=training,
        logarithmic_parameters=STUDY.logarithmic_parameters,
    )


def base_priority(kind):
    """The conditioned base first: the longest chain of jobs hangs on it. FiLM at matched compute is the longest single
    job; begun last, it would run on one core while the others wait."""
    return {"conditioned": 100, "film-matched": 95}.get(kind, 50)


def shards_of(role):
    """Shard files of a base: of the visible environments (the zoo) or of the unseen ones (the reference)."""
    names = [shard for shard in SHARDS if shard.startswith(role)]
    return lambda wildcards: [f"{RESULTS}/zoo/shards/{wildcards.base}/{shard}.safetensors" for shard in names]


def bases_with_methods(pairs):
    """Command-line arguments that name the base artifacts and the methods that they become."""
    return " ".join(f"--base {RESULTS}/base/{base}.safetensors --method {method}" for base, method in pairs)


def arm_base(folder):
    """A file of the base that an arm's zoo starts from."""
    return lambda wildcards: f"{RESULTS}/{folder}/{ARMS[wildcards.arm].base}.safetensors"


def arm_settings(section):
    """The arm's own settings of its VAE (0) or its diffusion (1)."""
    name = ("vae", "diffusion")[section]
    return lambda wildcards: settings(
        **({"data": STUDY.data} if name == "vae" else {}),
        **{name: STUDY.generator.of_arm(wildcards.arm)[section]},
        seed=STUDY.seed,
    )


def generators(stage):
    """An arm's generators, one a seed, after a stage."""
    return lambda wildcards: [
        f"{RESULTS}/{stage or final_stage(wildcards.arm)}/{wildcards.arm}-{seed}.safetensors"
        for seed in STUDY.generator.seeds
    ]


def shown_methods():
    """The first arm's generator beside experts of the very environment, and the pooled network."""
    first = next(iter(ARMS))
    return [f"generator-{first}", f"one-per-env-{ARMS[first].base}", "erm"]


def scoring():
    """What of the evaluation decides how a forecast is scored."""
    return {"horizons": STUDY.evaluation.horizons, "benchmark": STUDY.evaluation.benchmark}


def expert_settings(base):
    """What the experts from a base depend on; the other base's training is none of their business."""
    zoo = STUDY.zoo
    trained = {"perturbation": zoo.perturbation.model_dump(), "training": zoo.training_from(base).model_dump()}
    return settings(data=STUDY.data, zoo=trained, seed=STUDY.seed)


wildcard_constraints:
    environment="[A-Za-z0-9][A-Za-z0-9._-]*",
    base="erm|conditioned",
    arm="|".join(map(re.escape, ARMS)),
    seed="[0-9]+",
    shard="(visible|unseen)-[0-9]+",
