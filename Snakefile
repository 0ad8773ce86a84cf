"""From trajectories to generated weights and a report. The stages are in rules/, what they share in rules/common.smk."""

from snakemake.utils import min_version, validate

min_version("9.0")


if not config:  # a --configfile replaces the default study rather than overlaying it

    configfile: "config.yaml"


include: "rules/common.smk"


validate(config, "config/schema.json", set_default=False)  # parse_study has set them


wildcard_constraints:
    environment="[A-Za-z0-9][A-Za-z0-9._-]*",
    base="erm|conditioned",
    arm="|".join(map(re.escape, ARMS)),
    seed="[0-9]+",
    shard="(visible|unseen)-[0-9]+",


include: "rules/config.smk"
include: "rules/simulate.smk"
include: "rules/zoo.smk"
include: "rules/baselines.smk"
include: "rules/generate.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


localrules:
    all,
    simulate,
    base,
    zoo,
    vae,
    diffusion,
    generate,
    evaluate,
    report,


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.html",
