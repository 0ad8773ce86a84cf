"""Bases trained on all visible environments, and the zoo of experts fine-tuned from them.

A job trains the experts of a shard's environments, and of them those that are not there. What rules know is its
manifest, beside the files; a zoo is a manifest as well.
"""

if STUDY.zoo.published is None:

    for base_kind in MAPS:

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
                **needs("train_base", base=base_kind),
                gpu=GPU,
            params:
                **job("train_base", base=base_kind),
            shell:
                RUN

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
        threads: shared("train_experts")
        resources:
            **shared_resources("train_experts"),
        params:
            **job("train_experts"),
        shell:
            RUN_SHARED


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
    threads: 1
    resources:
        **needs("gather_zoo"),
    params:
        **job("gather_zoo", part="zoo"),
    shell:
        RUN


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
            **job("gather_zoo", part="reference"),


rule base:
    input:
        bases(*STUDY.zoo.bases),


rule zoo:
    input:
        expand(f"{RESULTS}/zoo/{{base}}.safetensors", base=STUDY.zoo.bases),
