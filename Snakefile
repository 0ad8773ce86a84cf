"""From trajectories to generated weights and a report. The stages are in rules/, what they share in rules/common.smk.

Runs in a clone, from any other folder (``weightcast run``), and as a module of another workflow: docs/scaling.md.
"""

from snakemake.utils import min_version, validate

min_version("9.0")

# As a module of another workflow: the rules that it defined before these keep the first word.
IS_FIRST = workflow.default_target is None


if not config:  # a --configfile replaces the default study rather than overlaying it

    configfile: "config.yaml"


include: "rules/common.smk"


validate(config, "config/schema.json", set_default=False)  # the types have set them


if STUDY.kind == "environments":

    include: "rules/environments/common.smk"
    include: "rules/environments/config.smk"
    include: "rules/environments/simulate.smk"

    if STUDY.data.source == "era5":

        include: "rules/environments/era5.smk"
    include: "rules/environments/zoo.smk"
    include: "rules/environments/baselines.smk"
    include: "rules/environments/generate.smk"
    include: "rules/environments/observed.smk"
    include: "rules/environments/evaluate.smk"

    if STUDY.zoo.published:

        include: "rules/environments/published.smk"
    include: "rules/environments/explain.smk"
    include: "rules/environments/report.smk"

elif STUDY.kind == "environments-time":

    include: "rules/families/common.smk"
    include: "rules/families/snapshots.smk"
    include: "rules/families/train.smk"
    include: "rules/families/evaluate.smk"
    include: "rules/families/report.smk"

else:

    include: "rules/evolution/common.smk"
    include: "rules/evolution/snapshots.smk"
    include: "rules/evolution/evolve.smk"
    include: "rules/evolution/evaluate.smk"
    include: "rules/evolution/report.smk"


onstart:
    pass_on()


rule all:
    default_target: IS_FIRST
    input:
        rules.report.input,
    localrule: True
