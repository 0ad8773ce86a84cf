"""Samples of all environments: simulated, or read from files."""


rule gather_snapshots:
    input:
        code=code("gather_snapshots"),
        table=STUDY.environments,
        files=FILES,
    output:
        SNAPSHOTS,
    log:
        f"{LOGS}/snapshots.log",
    benchmark:
        f"{BENCHMARKS}/snapshots.tsv"
    conda:
        ENVIRONMENT
    resources:
        **needs("gather_snapshots"),
    params:
        **job("gather_snapshots"),
    shell:
        RUN


rule simulate:
    input:
        SNAPSHOTS,
