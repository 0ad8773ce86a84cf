"""What the rules of a study of environments across time share: its plan, and what is trained. No rules here.

What a map is told of an environment tells trainings apart: ``codes`` that are learned, true ``parameters``, ``nothing``.
"""

from weightcast.core.environment_table import read_environments
from weightcast.families.config.load import check_family_table
from weightcast.families.jobs import FamilyPlan
from weightcast.families.memory import memory_mb
from weightcast.families.runtime import runtime_minutes
from weightcast.families.sources import source_files

try:
    TABLE = read_environments(STUDY.environments)
    check_family_table(STUDY, TABLE)
    FILES = source_files(STUDY.data, TABLE)
except InputError as error:
    raise SystemExit(f"weightcast: error: {error}")
PLAN = FamilyPlan(STUDY)
CONFIG = kept(keep_study, Path(STATE, "studies"), STUDY, TABLE)
SNAPSHOTS = str(STUDY.snapshots)
SEEDS = STUDY.paths.seeds
CHOSEN = ["codes"] + ["parameters"] * bool(TABLE.parameter_names)  # of these, left-out environments choose the map
TOLD = [*CHOSEN, "nothing"]
FLOWS = ["conditional-flow"] * (STUDY.opponents.flow_matching is not None)
ZOOS = ["zoo"] * (STUDY.paths.zoo is not None)
DIFFUSIONS = ["diffusion" for _ in ZOOS if STUDY.paths.zoo.diffusion is not None]  # of the zoo's codes
VAES = ["vae" for _ in ZOOS if STUDY.paths.zoo.vae is not None]  # of the experts' paths
GENERATORS = ["generator" for _ in VAES if STUDY.paths.zoo.vae.diffusion is not None]  # of the autoencoder's codes
EXPERTS = ["experts" for _ in VAES]  # by themselves, which a zoo else has no need to keep
PARTS = ["", *["opponents-"] * STUDY.has_opponents]  # of an evaluation


def families(told=TOLD, seed=SEEDS):
    return expand(f"{RESULTS}/families/{{told}}-{{seed}}.safetensors", told=told, seed=seed)


def choice_of(wildcards):
    return [f"{RESULTS}/choice/{told}.yaml" for told in CHOSEN if told == wildcards.told]


wildcard_constraints:
    told="|".join(TOLD),
    seed="[0-9]+",
