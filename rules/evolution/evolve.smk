"""Densities fitted at the snapshots, and flows that evolve their weights."""


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
        mem_mb=2000,
    params:
        settings=settings(density=STUDY.density, anchors=STUDY.anchors, seed=STUDY.seed),
        state=lambda wildcards: f"{STATE}/training",
    shell:
        f"{SCRIPTS}train_anchors.py"
        " --settings {params.settings:q} --kind {wildcards.anchors}"
        " --snapshots {input.snapshots:q} --fold {wildcards.fold} --seed {wildcards.seed} --resume {params.state:q}"
        " --output {output:q} > {log:q} 2>&1"


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
        mem_mb=2000,
    params:
        settings=flow_settings,
        state=lambda wildcards: f"{STATE}/training",
    shell:
        f"{SCRIPTS}train_flow.py"
        " --settings {params.settings:q} --arm {wildcards.arm} --anchors {input.anchors:q}"
        " --snapshots {input.snapshots:q} --fold {wildcards.fold} --seed {wildcards.seed} --resume {params.state:q}"
        " --output {output:q} > {log:q} 2>&1"


rule anchors:
    input:
        expand(
            f"{RESULTS}/anchors/{{fold}}/{{anchors}}-{{seed}}.safetensors",
            fold=FOLDS,
            anchors=STUDY.anchors.kinds,
            seed=SEEDS,
        ),


rule evolve:
    input:
        f"{RESULTS}/config.yaml",  # by which WeightPath.load finds its way
        expand(f"{RESULTS}/flow/{{fold}}/{{arm}}-{{seed}}.safetensors", fold=FOLDS, arm=ARMS, seed=SEEDS),
