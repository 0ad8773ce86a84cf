"""Rollouts of every method's weights on the test trajectories, and the tables of results."""


rule evaluate_weights:
    input:
        code=code("evaluate_weights"),
        weights=f"{RESULTS}/weights/{{source}}.safetensors",
        trajectories=trajectories(TABLE.ids),
    output:
        f"{RESULTS}/evaluation/{{source}}.csv",
    log:
        f"{LOGS}/evaluation/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluation/{{source}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings(study=STUDY.study, data=STUDY.data, evaluation=scoring()),
        environments=rows(),
        trajectories=lambda wildcards: TRAJECTORIES,
    shell:
        f"{SCRIPTS}evaluate_weights.py"
        " --settings {params.settings:q} --weights {input.weights:q}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --output {output:q}"
        " > {log:q} 2>&1"


rule evaluate_without_network:
    input:
        code=code("evaluate_without_network"),
        trajectories=trajectories(TABLE.ids),
    output:
        f"{RESULTS}/evaluation/without-network.csv",
    log:
        f"{LOGS}/evaluation/without-network.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
    params:
        settings=settings(study=STUDY.study, data=STUDY.data, evaluation=scoring()),
        environments=rows(),
        trajectories=lambda wildcards: TRAJECTORIES,
    shell:
        f"{SCRIPTS}evaluate_without_network.py"
        " --settings {params.settings:q}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --output {output:q}"
        " > {log:q} 2>&1"


ruleorder: evaluate_without_network > evaluate_weights


rule collect_costs:
    input:
        code=code("collect_costs"),
        bases=expand(
            f"{RESULTS}/base/{{base}}.safetensors", base=["erm", "conditioned", "film-matched", "hypernetwork"]
        ),
        zoos=rules.zoo.input,
        references=expand(f"{RESULTS}/reference/{{base}}.safetensors", base=STUDY.zoo.bases if UNSEEN else []),
        vaes=rules.vae.input,
        diffusions=rules.diffusion.input,
        tuned=expand(f"{RESULTS}/end-to-end/{{arm}}-{{seed}}.safetensors", arm=TUNED_ARMS, seed=STUDY.generator.seeds),
        weights=[f"{RESULTS}/weights/{source}.safetensors" for source in SOURCES],
    output:
        costs=f"{RESULTS}/report/costs.csv",
        methods=f"{RESULTS}/report/method_costs.csv",
    log:
        f"{LOGS}/report/costs.log",
    conda:
        ENVIRONMENT
    shell:
        f"{SCRIPTS}collect_costs.py"
        " --artifacts {input.bases:q} {input.zoos:q} {input.references:q}"
        " {input.vaes:q} {input.diffusions:q} {input.tuned:q} --weights {input.weights:q}"
        " --costs {output.costs:q} --method-costs {output.methods:q} > {log:q} 2>&1"


rule summarise:
    input:
        code=code("summarise"),
        evaluations=[f"{RESULTS}/evaluation/{source}.csv" for source in [*SOURCES, "without-network"]],
        costs=rules.collect_costs.output.methods,
    output:
        metrics=f"{RESULTS}/metrics.csv",
        summary=f"{RESULTS}/summary.csv",
        benchmark=[f"{RESULTS}/report/benchmark.csv"] if STUDY.evaluation.benchmark else [],
    log:
        f"{LOGS}/report/summarise.log",
    conda:
        ENVIRONMENT
    params:
        horizon=STUDY.trained_horizon,
        bootstrap=STUDY.evaluation.bootstrap,
        benchmark=lambda wildcards, output: f"--benchmark {output.benchmark}" if STUDY.evaluation.benchmark else "",
    shell:
        f"{SCRIPTS}summarise.py"
        " --evaluations {input.evaluations:q} --method-costs {input.costs:q}"
        " --trained-horizon {params.horizon} --bootstrap {params.bootstrap} --metrics {output.metrics:q}"
        " --summary {output.summary:q} {params.benchmark} > {log:q} 2>&1"


rule evaluate:
    input:
        rules.summarise.output,
