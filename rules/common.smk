"""What all rules share: the study, its paths, and jobs. No rules here.

A job is one line of JSON (weightcast.core.job), or a file that holds it where it names very many files: its stage, its
wildcards, the paths of its inputs and outputs, and a digest of the settings that its stage cuts out of the
configuration. The settings themselves travel as a file, the
resolved configuration (CONFIG, weightcast.core.kept_study), so an edit reruns the jobs whose slice it changes and
nothing else. What only studies of one kind need is in rules/environments and rules/evolution.

The folder in which Snakemake runs, where data and results lie, need not be the repository. In a clone they are the same,
and the workflow's own files are named as they lie there; elsewhere they have absolute paths.
"""

import gc
import os
import re
import shlex
import sys
from functools import cache
from pathlib import Path

# Of this file, not of the main Snakefile, which may be another workflow's.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve().parent
if (ROOT / "weightcast").is_dir():
    sys.path.insert(0, str(ROOT))

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.files import check_writable, remove_abandoned
from weightcast.core.interruption import announce, pass_on
from weightcast.core.job import Job, keep_long_job
from weightcast.core.kept_study import keep_study
from weightcast.core.provenance import PACKAGE, keep_code
from weightcast.core.run_lock import take_folder
from weightcast.studies import parse_any_study, stages_of

# What planning makes stays until the end. Looking it through for garbage again and again, as Python does by default, was
# a sixth of the time that 10,000 environments take.
gc.set_threshold(100_000, 50, 100)

try:
    for file in workflow.configfiles:  # what Snakemake, which has read them, would not say: a key that stands twice
        read_yaml(file)
    STUDY = parse_any_study(dict(config), "config")
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")

# Words with which Snakemake runs no job, and may be asked where nothing can be written.
LOOKS = {"-n", "-np", "--dry-run", "--dryrun", "--lint", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--summary"}
LOOKS |= {"-S", "-D", "--detailed-summary", "-l", "--list", "--list-rules", "--list-target-rules", "--lt", "--report"}


def cannot_be_written(error):
    """The end, in one line, where the disk is full or nothing may be written."""
    return SystemExit(f"weightcast: error: {error.filename2 or error.filename}: {error.strerror}")


if workflow.is_main_process:  # jobs are part of a run that has done so
    announce()
    if not LOOKS & set(sys.argv):
        tried = [".snakemake", f"results/{STUDY.study}"]
        if not Path(f"data/{STUDY.study}").is_dir():  # what is complete may lie where nothing can be written
            tried.append(f"data/{STUDY.study}")
        try:
            for folder in tried:
                check_writable(folder)
        except OSError as error:
            raise cannot_be_written(error)
    if take_folder(Path(".snakemake")):
        for folder in (f"results/{STUDY.study}", f"data/{STUDY.study}"):
            remove_abandoned(folder)
        print("weightcast: the run before was killed: this one goes on where it was", file=sys.stderr)

# Jobs share data and results, of which there are more files than rules know: trajectories, states of trainings. So none of
# them is moved through a store. The executor for Kubernetes asks for one all the same, and takes the workflow's own files
# there; what its pods share is a volume (profiles/kubernetes).
if workflow.storage_settings.default_storage_provider is not None:
    workflow.modifier.path_modifier.apply_default_storage = lambda path: path

RESULTS = f"results/{STUDY.study}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
STATE = f"{RESULTS}/.state"  # caches and unfinished trainings; Snakemake never touches it
ENVIRONMENT = "../../envs/weightcast.yaml"  # used with --sdm conda; otherwise jobs run where Snakemake does
SNAKEMAKE_MB = 300  # of the two processes by which Snakemake runs a job inside of a cluster's: 130 each were measured
GPU = int(STUDY.device.startswith("cuda"))  # of jobs that train

# Jobs run the Python that runs Snakemake, also where its environment was not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Networks allocate and free the same megabytes thousands of times. By default the C library hands them back to the system
# each time and gets them again page by page, which costs a tenth of the training time of small networks on Linux, and
# half of that of large stacks, whose tensors are above any threshold that it can be told.
os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(4 * 1024**3))


def kept(keep, *what):
    """Where the library keeps something for jobs, the study or the list of their code; one line where it cannot."""
    try:
        return keep(*what)
    except OSError as error:
        raise cannot_be_written(error)


def named(file, root):
    """A file of the workflow or the library as rules name it: as it lies in a clone, where that is where jobs run."""
    return str(file) if Path.cwd().resolve() == root else str(root / file)


def templates(*files):
    """Files of the library that are no code: inputs, so that editing one reruns the rule."""
    return [named(Path(PACKAGE.name, file), PACKAGE.parent) for file in files]


# The command of every rule. Braces in a path are not for Snakemake to fill.
RUNNER = shlex.quote(named("scripts/run_stage.py", ROOT)).replace("{", "{{").replace("}", "}}")
RUN = f"python {RUNNER} {{params.job:q}} > {{log:q}} 2>&1"
# Of rules whose trainings several processes may share. How many is a resource: an edit of it reruns nothing.
RUN_SHARED = f"python {RUNNER} {{params.job:q}} --processes {{resources.processes}} > {{log:q}} 2>&1"


@cache
def code(stage, *further):
    """A list of the library files that a stage imports, with their digests: an input, so that editing one reruns the
    stages that use it. As inputs of their own, fifty files of each of a thousand jobs were most of what planning
    takes."""
    package = next(package for package, jobs in stages_of().items() if stage in jobs)
    return str(kept(keep_code, Path(STATE, "code"), f"{package}.{stage}", *further))


@cache
def settings_digest(stage, of):
    """The digest of what a job is told, from the wildcards that tell it from its stage's other jobs."""
    kind = next(jobs[stage] for jobs in stages_of().values() if stage in jobs)
    return kind.of(PLAN, **dict(of)).digest[:16]


def job(stage, **fixed):
    """A job of a stage, for a rule's params: `**job("train_base")` is a digest of its settings, and the job.

    Inputs are handed on under their names; trajectories, which may be thousands of files, as their folder. `fixed` are
    wildcards that the rule does not have, values or functions of those that it has. The digest is a parameter of its
    own, made of wildcards alone: Snakemake plans no job again for a parameter that it knows to be made of inputs.
    """

    def of(wildcards):
        further = {name: value(wildcards) if callable(value) else value for name, value in fixed.items()}
        return dict(wildcards.items()) | further

    def settings(wildcards):
        return settings_digest(stage, tuple(sorted(of(wildcards).items())))

    def described(wildcards, input, output):
        inputs = {name: paths(input[name]) for name in input.keys() if name not in ("code", "config", "templates")}
        for folder in ("trajectories", "observed"):
            if inputs.get(folder):
                inputs[folder] = TRAJECTORIES
        described = Job(
            stage=stage,
            of=of(wildcards),
            inputs={name: found for name, found in inputs.items() if found},
            outputs={name: str(output[name]) for name in output.keys()} or {"output": str(output)},
            config=str(CONFIG),
            settings_digest=settings(wildcards),
            state=f"{STATE}/training",
        )
        return kept(keep_long_job, Path(STATE, "jobs"), described)

    return {"settings": settings, "job": described}


def needs(stage, **fixed):
    """What a job of a stage asks for, for a rule's resources: `**needs("train_vae")` is its memory and its time, computed
    from the study, and as much again at every further attempt, since a job may be tried again for having had too little.

    `fixed` are wildcards that the rule does not have. Nobody is held to it on one machine; a cluster holds every job to
    it, and there Snakemake itself runs inside of the job.
    """

    def mem_mb(wildcards, attempt):
        return attempt * (memory_mb(stage, PLAN, dict(wildcards.items()) | fixed) + SNAKEMAKE_MB)

    def runtime(wildcards, attempt):
        return attempt * runtime_minutes(stage, PLAN, dict(wildcards.items()) | fixed)

    return {"mem_mb": mem_mb, "runtime": runtime}


def paths(found):
    """One path, or a list of several."""
    return found if isinstance(found, str) else [str(path) for path in found]
