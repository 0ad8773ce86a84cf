"""Densities fitted at the snapshots, flows that evolve their weights, and the baseline that learns to move samples."""


rule train_anchors:
    input:
        code=code("train_anchors"),
        snapshots=SNAPSHOTS,
    output:
        f"{RESULTS}/anchors/{{fold}}/{{anchors}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/anchors/{{fold}}/{{anchors}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/anchors/{{fold}}/{{anchors}}-{{seed}}.tsv"
    priority: 90
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_anchors"),
        gpu=GPU,
    params:
        **job("train_anchors"),
    shell:
        RUN


rule train_flow:
    input:
        code=code("train_flow"),
        anchors=anchors_of_arm,
        snapshots=SNAPSHOTS,
    output:
        f"{RESULTS}/flow/{{fold}}/{{arm}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/flow/{{fold}}/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/flow/{{fold}}/{{arm}}-{{seed}}.tsv"
    priority: 80
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_flow"),
        gpu=GPU,
    params:
        **job("train_flow"),
    shell:
        RUN


rule train_flow_matching:
    input:
        code=code("train_flow_matching"),
        snapshots=SNAPSHOTS,
    output:
        f"{RESULTS}/matching/{{fold}}/flow-matching.safetensors",
    log:
        f"{LOGS}/matching/{{fold}}/flow-matching.log",
    benchmark:
        f"{BENCHMARKS}/matching/{{fold}}/flow-matching.tsv"
    priority: 80
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_flow_matching"),
        gpu=GPU,
    params:
        **job("train_flow_matching"),
    shell:
        RUN


rule couple_snapshots:
    input:
        code=code("couple_snapshots"),
        snapshots=SNAPSHOTS,
    output:
        f"{RESULTS}/{COUPLINGS}",
    log:
        f"{LOGS}/couplings.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("couple_snapshots"),
    params:
        **job("couple_snapshots"),
    shell:
        RUN


rule anchors:
    input:
        anchor_files(FOLDS),


rule evolve:
    input:
        f"{RESULTS}/config.yaml",  # by which WeightPath.load finds its way
        flow_files(FOLDS),
        COUPLED,
