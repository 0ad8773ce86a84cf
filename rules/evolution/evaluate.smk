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
        mem_mb=2000,
    params:
        settings=evaluation_settings(),
    shell:
        f"{SCRIPTS}evaluate_anchors.py"
        " --settings {params.settings:q} --anchors {input.anchors:q}"
        " --snapshots {input.snapshots:q} --fold {wildcards.fold} --seed {wildcards.seed} --output {output:q}"
        " > {log:q} 2>&1"


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
        mem_mb=2000,
    params:
        settings=evaluation_settings(),
    shell:
        f"{SCRIPTS}evaluate_flow.py"
        " --settings {params.settings:q} --flow {input.flow:q}"
        " --snapshots {input.snapshots:q} --fold {wildcards.fold} --seed {wildcards.seed} --output {output:q}"
        " > {log:q} 2>&1"


rule evaluate_samples:
    input:
        code=code("evaluate_samples"),
        snapshots=SNAPSHOTS,
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
        mem_mb=2000,
    params:
        settings=evaluation_settings(),
    shell:
        f"{SCRIPTS}evaluate_samples.py"
        " --settings {params.settings:q} --snapshots {input.snapshots:q}"
        " --fold {wildcards.fold} --output {output:q} > {log:q} 2>&1"


rule summarise_times:
    input:
        code=code("summarise_times"),
        evaluations=[f"{RESULTS}/evaluation/{source}.csv" for source in evaluation_sources(STUDY)],
        anchors=expand(
            f"{RESULTS}/anchors/all/{{anchors}}-{{seed}}.safetensors", anchors=STUDY.anchors.kinds, seed=SEEDS
        ),
        flows=expand(f"{RESULTS}/flow/all/{{arm}}-{{seed}}.safetensors", arm=ARMS, seed=SEEDS),
    output:
        metrics=f"{RESULTS}/metrics.csv",
        summary=f"{RESULTS}/summary.csv",
        costs=f"{RESULTS}/report/costs.csv",
        methods=f"{RESULTS}/report/method_costs.csv",
    log:
        f"{LOGS}/report/summarise.log",
    conda:
        ENVIRONMENT
    params:
        interpolations=STUDY.evaluation.interpolations,
        bootstrap=STUDY.evaluation.bootstrap,
    shell:
        f"{SCRIPTS}summarise_times.py"
        " --evaluations {input.evaluations:q} --anchors {input.anchors:q}"
        " --flows {input.flows:q} --interpolations {params.interpolations:q} --bootstrap {params.bootstrap}"
        " --metrics {output.metrics:q} --summary {output.summary:q} --costs {output.costs:q}"
        " --method-costs {output.methods:q} > {log:q} 2>&1"


rule evaluate:
    input:
        rules.summarise_times.output,
