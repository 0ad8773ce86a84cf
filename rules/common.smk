"""What the rules share: the study, its paths, and the narrow slices of configuration and table that a job depends on.

A job is told only what it uses, as JSON in its params, so that an edit of the configuration or of the table reruns
what it touches and nothing else. No rules here.
"""

import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))

from weightcast.config.study import parse_study
from weightcast.environments.table import read_environments, table_to_json
from weightcast.errors import InputError
from weightcast.plan import (
    base_environments,
    check_plan,
    expert_shards,
    reference_shards,
    source_settings,
    tuned_arms,
    weight_sources,
)
from weightcast.provenance import code_files

try:
    STUDY = parse_study(dict(config), "config")
    TABLE = read_environments(STUDY.environments)
    check_plan(STUDY, TABLE)
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")

RESULTS = f"results/{STUDY.study}"
TRAJECTORIES = str(STUDY.trajectories)
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
STATE = f"{RESULTS}/.state"  # caches and unfinished trainings; Snakemake never touches it
ENVIRONMENT = "../envs/weightcast.yaml"  # used with --sdm conda; otherwise jobs run where Snakemake does

# Jobs run the Python that runs Snakemake, also where its environment was not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Small networks allocate and free the same few megabytes thousands of times. By default the C library hands them back
# to the system each time and gets them again page by page, which costs a tenth of the training time on Linux.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 1024**2))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(4 * 1024**3))

VISIBLE = [environment.id for environment in TABLE.visible]
UNSEEN = [environment.id for environment in TABLE.unseen]
SHARDS = {**expert_shards(STUDY, TABLE), **reference_shards(STUDY, TABLE)}
ARMS = STUDY.generator.arms
TUNED_ARMS = tuned_arms(STUDY)
SOURCES = weight_sources(STUDY)  # files of weights that the evaluation rolls out


def settings(**parts):
    """A slice of the configuration as one line of JSON with sorted keys."""
    plain = {
        name: part.model_dump(mode="json") if hasattr(part, "model_dump") else part for name, part in parts.items()
    }
    return json.dumps(plain, sort_keys=True)


def rows(ids=None):
    """Rows of the table of environments as one line of JSON."""
    return table_to_json(TABLE, ids)


def code(script, *modules):
    """The script and the library files that it imports: inputs, so that editing one reruns the stages that use it."""
    return code_files(f"scripts/{script}.py", *modules)


def trajectories(ids):
    return [f"{TRAJECTORIES}/{environment}.nc" for environment in ids]


def final_stage(arm):
    """The folder of an arm's generators after its last training."""
    return "end-to-end" if ARMS[arm].end_to_end else "diffusion"


def weight_map(kind):
    """What a base or a trained baseline is, and how it is trained."""
    base, baselines = STUDY.base, STUDY.baselines
    film = {"kind": "film", **base.film.model_dump()}
    network = baselines.hypernetwork
    return {
        "erm": ({"kind": "pooled"}, base.erm),
        "conditioned": (film, base.conditioned),
        "film-matched": (film, baselines.film_matched),
        "hypernetwork": ({"kind": "hypernetwork", "rank": network.rank, "width": network.width}, network.training),
    }[kind]


def base_settings(kind):
    described, training = weight_map(kind)
    return settings(data=STUDY.data, predictor=STUDY.predictor, map=described, training=training)


def base_priority(kind):
    """The conditioned base first: the longest chain of jobs hangs on it."""
    return 100 if kind == "conditioned" else 50


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


def expert_settings(base):
    """What the experts from a base depend on; the other base's training is none of their business."""
    zoo = STUDY.zoo
    trained = {"perturbation": zoo.perturbation.model_dump(), "training": zoo.training_from(base).model_dump()}
    return settings(data=STUDY.data, zoo=trained, seed=STUDY.seed)
