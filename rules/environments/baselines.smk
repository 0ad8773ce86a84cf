"""Weights that need no generator: pooled and conditioned networks, regression of the zoo, fine-tuning."""


rule fold_bases:
    input:
        code=code("fold_bases"),
        bases=bases(*MAPS),
        observed=observed(TABLE.ids),
    output:
        f"{RESULTS}/weights/bases.safetensors",
    log:
        f"{LOGS}/weights/bases.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("fold_bases"),
    params:
        **job("fold_bases"),
    shell:
        RUN


if finetuned_maps(STUDY):

    rule finetune_bases:
        input:
            code=code("finetune_bases"),
            bases=bases(*finetuned_maps(STUDY)),
            trajectories=trajectories(TABLE.ids),
        output:
            f"{RESULTS}/weights/finetuned.safetensors",
        log:
            f"{LOGS}/weights/finetuned.log",
        benchmark:
            f"{BENCHMARKS}/weights/finetuned.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("finetune_bases"),
            gpu=GPU,
        params:
            **job("finetune_bases"),
        shell:
            RUN


rule regress_weights:
    input:
        code=code("regress_weights"),
        zoo=f"{RESULTS}/zoo/{{base}}.safetensors",
        base=f"{RESULTS}/base/{{base}}.safetensors",
        reference=f"{RESULTS}/reference/{{base}}.safetensors" if UNSEEN else [],
        observed=observed(TABLE.ids),
    output:
        f"{RESULTS}/weights/zoo-{{base}}.safetensors",
    log:
        f"{LOGS}/weights/zoo-{{base}}.log",
    benchmark:
        f"{BENCHMARKS}/weights/zoo-{{base}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("regress_weights"),
    params:
        **job("regress_weights"),
    shell:
        RUN
