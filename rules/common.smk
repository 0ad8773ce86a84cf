"""What the rules share: the study, its paths, and the narrow slices of configuration and table that a job depends on.

A job is told only what it uses, as JSON in its params, so that an edit of the configuration or of the table reruns
what it touches and nothing else. No rules here.
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))

from weightcast.config.study import parse_study
from weightcast.environments.table import read_environments, table_to_json
from weightcast.errors import InputError
from weightcast.plan import base_environments, expert_shards, reference_shards, source_settings
from weightcast.provenance import code_files

try:
    STUDY = parse_study(dict(config), "config")
    TABLE = read_environments(STUDY.environments)
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")

RESULTS = f"results/{STUDY.study}"
TRAJECTORIES = str(STUDY.trajectories)
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
STATE = f"{RESULTS}/.state"  # caches and unfinished trainings; Snakemake never touches it
PYTHON = shlex.quote(sys.executable)  # the environment that Snakemake itself runs in

# Small networks allocate and free the same few megabytes thousands of times. By default the C library hands them back
# to the system each time and gets them again page by page, which costs a tenth of the training time on Linux.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 1024**2))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(4 * 1024**3))

VISIBLE = [environment.id for environment in TABLE.visible]
UNSEEN = [environment.id for environment in TABLE.unseen]
SHARDS = {**expert_shards(STUDY, TABLE), **reference_shards(STUDY, TABLE)}
ARMS = STUDY.generator.arms
TUNED_ARMS = [arm for arm in ARMS if ARMS[arm].end_to_end]


def settings(**parts):
    """A slice of the configuration as one line of JSON with sorted keys."""
    plain = {name: part.model_dump(mode="json") if hasattr(part, "model_dump") else part for name, part in parts.items()}
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


def weight_sources():
    """Every file of weights that the evaluation rolls out; the name of a file is not the name of a method."""
    sources = ["bases", "finetuned"] + [f"zoo-{base}" for base in STUDY.zoo.bases]
    sources += [f"generator-{arm}" for arm in ARMS]
    return sources + [f"generator-{arm}-weights-only" for arm in TUNED_ARMS]
