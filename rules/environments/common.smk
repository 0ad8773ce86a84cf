"""What the rules of a study across environments share: its table, its plan, its files. No rules here."""

from weightcast.core.environment_table import read_environments
from weightcast.environments.config.condition import LABELLED
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.zoo import PUBLISHED_ZOO
from weightcast.environments.expert_files import forget_incomplete as forget_incomplete_experts
from weightcast.environments.jobs import JOBS, Plan
from weightcast.environments.memory import LEAST_MB, memory_mb
from weightcast.environments.plan import (
    adapted_arms,
    adapted_maps,
    attended_arms,
    base_environments,
    check_plan,
    choosing_environments,
    context_seeds,
    experts_base,
    labelled_bases,
    finetuned_maps,
    observed_sources,
    pictured_environments,
    pictured_unknown,
    regressed,
    trained_rivals,
    tuned_arms,
    weight_sources,
)
from weightcast.environments.runtime import runtime_minutes
from weightcast.environments.trajectory_manifest import forget_incomplete, list_name

try:
    TABLE = read_environments(STUDY.environments)
    check_plan(STUDY, TABLE)
    if STUDY.zoo.published and workflow.is_main_process:
        from weightcast.environments.published.check import check_published

        check_published(STUDY, TABLE)
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")

PLAN = Plan(STUDY, TABLE)
CONFIG = kept(keep_study, Path(STATE, "studies"), STUDY, TABLE)
TRAJECTORIES = str(STUDY.trajectories)
PUBLISHED = f"{STUDY.zoo.published}/{PUBLISHED_ZOO}"  # the manifest of the zoo that the study begins from, if it does
FEW_MANIFESTS = 150  # that a rule may have as inputs of their own
VISIBLE = [environment.id for environment in TABLE.visible]
UNSEEN = [environment.id for environment in TABLE.unseen]
SHARDS = PLAN.shards
MADE_TOGETHER = PLAN.trajectory_shards
MANIFEST_OF = {id: f"{TRAJECTORIES}/{shard}.csv" for shard, ids in MADE_TOGETHER.items() for id in ids}
MAPS = list(trained_maps(STUDY))  # networks trained on all visible environments together: bases, and methods alone
CONTEXTS = list(context_seeds(STUDY))  # codes and a map, one a seed
ARMS = STUDY.generator.arms
SEEDS = STUDY.generator.seeds
ATTENDED = attended_arms(STUDY)  # whose encoder's attention is explained
TUNED_ARMS = tuned_arms(STUDY)
SOURCES = weight_sources(STUDY, TABLE)  # files of weights that the evaluation rolls out
LABELS = [f"{RESULTS}/labels/{base}.safetensors" for base in labelled_bases(STUDY)]
OBSERVED = observed_sources(STUDY, TABLE)  # those made from frames, one a case
REGRESSED = regressed(STUDY)  # whether there are forecasts by regression of the next state
RIVALS = trained_rivals(STUDY, TABLE)  # what is trained for these, and predicts otherwise than the predictor
WEIGHTS = [f"{RESULTS}/weights/{source}.safetensors" for source in SOURCES]


if workflow.is_main_process:  # in jobs of a cluster, files that others have made may not be seen yet
    forget_incomplete(Path(TRAJECTORIES), MADE_TOGETHER)
    for each in STUDY.zoo.bases:
        zoos = [Path(RESULTS, part, f"{each}.safetensors") for part in ("zoo", "reference")]
        forget_incomplete_experts(Path(RESULTS, "zoo/shards", each), SHARDS, zoos)


LISTED = {}  # manifests by the name of their list


@cache
def listed(ids):
    manifests = list(dict.fromkeys(MANIFEST_OF[id] for id in ids))
    if len(manifests) <= FEW_MANIFESTS:
        return manifests
    name = list_name(ids)
    LISTED[name] = manifests
    return [f"{TRAJECTORIES}/{name}.csv"]


def trajectories(ids):
    """Manifests of the jobs that make these environments' trajectories, each of many files; of very many, their list."""
    return listed(tuple(ids))


def observed(ids):
    """Trajectories of which a condition sees frames; none where the study's conditions see no frames."""
    return trajectories(ids) if PLAN.shown else []


def bases(*names):
    return [f"{RESULTS}/base/{name}.safetensors" for name in names]


def shared(stage):
    """Threads of a job whose training several processes share: one for each, as many as the job is to have.

    Snakemake gives it no more than there are cores. With `auto` only the job finds out, and asks for one.
    """
    chosen = STUDY.acceleration.processes_of(stage)
    if chosen in (1, "auto"):
        return 1
    return lambda wildcards: min(chosen, JOBS[stage].of(PLAN, **dict(wildcards.items())).most_processes)


def shared_resources(stage):
    """What such a job asks for: a GPU for each process, and the memory of one, or of a shard's experts, for all."""
    alone, is_auto = needs(stage), STUDY.acceleration.processes_of(stage) == "auto"

    def mem_mb(wildcards, attempt, threads):
        one = memory_mb(stage, PLAN, dict(wildcards.items()))
        each = LEAST_MB if stage == "train_experts" else one  # of a shard's members each process holds some
        further = (threads - 1) * each + (LEAST_MB if threads > 1 else 0)
        return alone["mem_mb"](wildcards, attempt) + attempt * further

    return alone | {
        "mem_mb": mem_mb,
        "gpu": lambda wildcards, threads: GPU * threads,
        "processes": lambda wildcards, threads: "auto" if is_auto else threads,
    }


def base_priority(kind):
    """The conditioned base first: the longest chain of jobs hangs on it. FiLM at matched compute is the longest single
    job; begun last, it would run on one core while the others wait."""
    return {"conditioned": 100, "film-matched": 95, "context": 98, "in-context": 90}.get(kind, 50)


def shards_of(role):
    """Shard files of a base: of the visible environments (the zoo) or of the unseen ones (the reference)."""
    names = [shard for shard in SHARDS if shard.startswith(role)]
    return lambda wildcards: [f"{RESULTS}/zoo/shards/{wildcards.base}/{shard}.safetensors" for shard in names]


def of_arm(folder):
    """A file of the base that an arm's zoo starts from."""
    return lambda wildcards: f"{RESULTS}/{folder}/{ARMS[arm_of(wildcards)].base}.safetensors"


def labels(wildcards):
    """Surrogate labels from the experts of an arm's base; none where the arm's condition is another."""
    base = ARMS[arm_of(wildcards)].base
    told = ARMS[arm_of(wildcards)].condition in LABELLED
    return [f"{RESULTS}/labels/{base}.safetensors"] if told else []


def arm_of(wildcards):
    """The arm of a job: its own wildcard, or what its source of weights is named by."""
    return (
        wildcards.arm
        if "arm" in wildcards.keys()
        else wildcards.source.removeprefix("generator-").removesuffix("-weights-only")
    )


def generators(wildcards):
    """The generators, one a seed, that a source of weights is generated by."""
    arm = arm_of(wildcards)
    tuned = ARMS[arm].end_to_end and not wildcards.source.endswith("-weights-only")
    return [f"{RESULTS}/{'end-to-end' if tuned else 'diffusion'}/{arm}-{seed}.safetensors" for seed in SEEDS]


wildcard_constraints:
    shard="(visible|unseen)-[0-9]+",
    ids="list-[0-9a-f]+",
    base="|".join(map(re.escape, dict.fromkeys([*MAPS, *STUDY.zoo.bases]))),
    part="zoo|reference",
    arm="|".join(map(re.escape, ARMS)) or "(?!)",  # none
    seed="[0-9]+",
