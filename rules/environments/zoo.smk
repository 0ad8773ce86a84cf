"""Bases trained on all visible environments, and the zoo of experts fine-tuned from them."""

for base_kind in ("erm", "conditioned", "film-matched", "hypernetwork"):

    rule:
        name:
            f"train_{base_kind.replace('-', '_')}"
        input:
            code=code("train_base"),
            trajectories=trajectories(base_environments(STUDY, TABLE, base_kind)),
        output:
            f"{RESULTS}/base/{base_kind}.safetensors",
        log:
            f"{LOGS}/base/{base_kind}.log",
        benchmark:
            f"{BENCHMARKS}/base/{base_kind}.tsv"
        priority: base_priority(base_kind)
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1500,
        params:
            settings=base_settings(base_kind),
            environments=rows(base_environments(STUDY, TABLE, base_kind)),
            trajectories=lambda wildcards: TRAJECTORIES,
            seed=STUDY.seed,
            state=lambda wildcards: f"{STATE}/training",
        shell:
            f"{SCRIPTS}train_base.py"
            " --settings {params.settings:q} --environments {params.environments:q}"
            " --trajectories {params.trajectories:q} --seed {params.seed} --resume {params.state:q}"
            " --output {output:q} > {log:q} 2>&1"


rule train_experts:
    input:
        code=code("train_experts"),
        base=f"{RESULTS}/base/{{base}}.safetensors",
        trajectories=lambda wildcards: trajectories(SHARDS[wildcards.shard]),
    output:
        f"{RESULTS}/zoo/shards/{{base}}/{{shard}}.safetensors",
    log:
        f"{LOGS}/zoo/{{base}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/zoo/{{base}}/{{shard}}.tsv"
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
    params:
        settings=lambda wildcards: expert_settings(wildcards.base),
        environments=lambda wildcards: rows(SHARDS[wildcards.shard]),
        members=lambda wildcards: STUDY.zoo.members if wildcards.shard.startswith("visible") else 1,
        trajectories=lambda wildcards: TRAJECTORIES,
        cache=lambda wildcards: f"{STATE}/experts/{wildcards.base}",
    shell:
        f"{SCRIPTS}train_experts.py"
        " --settings {params.settings:q} --base {input.base:q}"
        " --environments {params.environments:q} --members {params.members} --trajectories {params.trajectories:q}"
        " --cache {params.cache:q} --output {output:q} > {log:q} 2>&1"


rule gather_zoo:
    input:
        code=code("gather_zoo"),
        shards=shards_of("visible"),
    output:
        f"{RESULTS}/zoo/{{base}}.safetensors",
    log:
        f"{LOGS}/zoo/{{base}}/gather.log",
    priority: 60
    conda:
        ENVIRONMENT
    params:
        environments=VISIBLE,
    shell:
        f"{SCRIPTS}gather_zoo.py"
        " --shards {input.shards:q} --environments {params.environments:q}"
        " --output {output:q} > {log:q} 2>&1"


if UNSEEN:

    use rule gather_zoo as gather_reference with:
        input:
            code=code("gather_zoo"),
            shards=shards_of("unseen"),
        output:
            f"{RESULTS}/reference/{{base}}.safetensors",
        log:
            f"{LOGS}/reference/{{base}}.log",
        params:
            environments=UNSEEN,


rule base:
    input:
        expand(f"{RESULTS}/base/{{base}}.safetensors", base=STUDY.zoo.bases),


rule zoo:
    input:
        expand(f"{RESULTS}/zoo/{{base}}.safetensors", base=STUDY.zoo.bases),
