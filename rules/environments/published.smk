"""A zoo that somebody has published, in the place of bases and experts that are trained (docs/zoos.md)."""


rule import_experts:
    input:
        code=code("import_experts"),
        published=PUBLISHED,
    output:
        f"{RESULTS}/zoo/shards/{{base}}/{{shard}}.safetensors",
    log:
        f"{LOGS}/zoo/{{base}}/{{shard}}.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("import_experts"),
    params:
        **job("import_experts"),
    shell:
        RUN


rule average_experts:
    input:
        code=code("average_experts"),
        zoo=f"{RESULTS}/zoo/{{base}}.safetensors",
    output:
        f"{RESULTS}/base/{{base}}.safetensors",
    log:
        f"{LOGS}/base/{{base}}.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("average_experts"),
    params:
        **job("average_experts"),
    shell:
        RUN


rule compare_with_own_experts:
    input:
        code=code("compare_with_own_experts"),
        published=PUBLISHED,
        zoo=f"{RESULTS}/zoo/{STUDY.zoo.bases[0]}.safetensors",
        weights=WEIGHTS,
    output:
        f"{RESULTS}/evaluation/own-experts.csv",
    log:
        f"{LOGS}/evaluation/own-experts.log",
    benchmark:
        f"{BENCHMARKS}/evaluation/own-experts.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("compare_with_own_experts"),
        gpu=GPU,
    params:
        **job("compare_with_own_experts"),
    shell:
        RUN


ruleorder: compare_with_own_experts > evaluate_weights
