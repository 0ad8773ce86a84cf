"""Predicted distributions against the truth, and the tables of results."""


rule evaluate_anchors:
    input:
        code=code("evaluate_anchors"),
        anchors=f"{RESULTS}/anchors/{{fold}}/{{anchors}}-{{seed}}.safetensors",
        snapshots=SNAPSHOTS,
    output:
        f"{RESULTS}/evaluation/{{fold}}/anchors-{{anchors}}-{{seed}}.csv",
    log:
        f"{LOGS}/evaluation/{{fold}}/anchors-{{anchors}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluation/{{fold}}/anchors-{{anchors}}-{{seed}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("evaluate_anchors"),
    params:
        **job("evaluate_anchors"),
    shell:
        RUN


rule evaluate_flow:
    input:
        code=code("evaluate_flow"),
        flow=f"{RESULTS}/flow/{{fold}}/{{arm}}-{{seed}}.safetensors",
        snapshots=SNAPSHOTS,
    output:
        f"{RESULTS}/evaluation/{{fold}}/flow-{{arm}}-{{seed}}.csv",
    log:
        f"{LOGS}/evaluation/{{fold}}/flow-{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluation/{{fold}}/flow-{{arm}}-{{seed}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("evaluate_flow"),
    params:
        **job("evaluate_flow"),
    shell:
        RUN


rule evaluate_samples:
    input:
        code=code("evaluate_samples"),
        snapshots=SNAPSHOTS,
        flow_matching=matched_flows,
    output:
        f"{RESULTS}/evaluation/{{fold}}/samples.csv",
    log:
        f"{LOGS}/evaluation/{{fold}}/samples.log",
    benchmark:
        f"{BENCHMARKS}/evaluation/{{fold}}/samples.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("evaluate_samples"),
    params:
        **job("evaluate_samples"),
    shell:
        RUN


rule summarise_times:
    input:
        code=code("summarise_times"),
        evaluations=[f"{RESULTS}/evaluation/{source}.csv" for source in evaluation_sources(STUDY)],
        anchors=anchor_files(),
        flows=flow_files(),
        flow_matching=[f"{RESULTS}/matching/all/{name}.safetensors" for name in MATCHING],
    output:
        metrics=f"{RESULTS}/metrics.csv",
        summary=f"{RESULTS}/summary.csv",
        costs=f"{RESULTS}/report/costs.csv",
        methods=f"{RESULTS}/report/method_costs.csv",
        curves=f"{RESULTS}/report/training_curves.csv",
    log:
        f"{LOGS}/report/summarise.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("summarise_times"),
    params:
        **job("summarise_times"),
    shell:
        RUN


rule evaluate:
    input:
        rules.summarise_times.output,
