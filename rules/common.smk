"""What all rules share: the study, its paths, and the narrow slices of configuration that a job depends on.

A job is told only what it uses, as JSON in its params, so that an edit of the configuration reruns what it touches and
nothing else. What only studies of one kind need is in rules/environments and rules/evolution. No rules here.

The folder in which Snakemake runs, where data and results lie, need not be the repository. In a clone they are the same,
and the workflow's own files are named as they lie there; elsewhere they have absolute paths.
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path

# Of this file, not of the main Snakefile, which may be another workflow's.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve().parent
if (ROOT / "weightcast").is_dir():
    sys.path.insert(0, str(ROOT))

from weightcast.studies import parse_any_study
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.provenance import PACKAGE, code_files

try:
    for file in workflow.configfiles:  # what Snakemake, which has read them, would not say: a key that stands twice
        read_yaml(file)
    STUDY = parse_any_study(dict(config), "config")
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")

RESULTS = f"results/{STUDY.study}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
STATE = f"{RESULTS}/.state"  # caches and unfinished trainings; Snakemake never touches it
ENVIRONMENT = "../../envs/weightcast.yaml"  # used with --sdm conda; otherwise jobs run where Snakemake does

# Jobs run the Python that runs Snakemake, also where its environment was not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Small networks allocate and free the same few megabytes thousands of times. By default the C library hands them back
# to the system each time and gets them again page by page, which costs a tenth of the training time on Linux.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 * 1024**2))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(4 * 1024**3))


def settings(**parts):
    """A slice of the configuration as one line of JSON with sorted keys."""
    plain = {
        name: part.model_dump(mode="json") if hasattr(part, "model_dump") else part for name, part in parts.items()
    }
    return json.dumps(plain, sort_keys=True)


def named(file, root):
    """A file of the workflow or the library as rules name it: as it lies in a clone, where that is where jobs run."""
    return str(file) if Path.cwd().resolve() == root else str(root / file)


# How a rule's command begins: `python scripts/` in a clone, as a person would type it.
SCRIPTS = f"python {shlex.quote(named('scripts', ROOT))}/".replace("{", "{{").replace("}", "}}")


def code(script, *modules):
    """The script and the library files that it imports: inputs, so that editing one reruns the stages that use it."""
    own, *library = code_files(ROOT / f"scripts/{script}.py", *modules)
    return [named(Path(own).relative_to(ROOT), ROOT), *(named(file, PACKAGE.parent) for file in library)]


def templates(*files):
    """Files of the library that are no code: inputs for the same reason."""
    return [named(Path(PACKAGE.name, file), PACKAGE.parent) for file in files]
