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
        **needs("evaluate_weights"),
        gpu=GPU,
    params:
        **job("evaluate_weights"),
    shell:
        RUN


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
    threads: 1
    resources:
        **needs("evaluate_without_network"),
        gpu=GPU,
    params:
        **job("evaluate_without_network"),
    shell:
        RUN


ruleorder: evaluate_without_network > evaluate_weights


if REGRESSED:

    rule evaluate_regressions:
        input:
            code=code("evaluate_regressions"),
            trajectories=trajectories(TABLE.ids),
        output:
            **({"observed": f"{RESULTS}/evaluation/regressions-observed.csv"} if OBSERVED else {}),
            errors=f"{RESULTS}/evaluation/regressions.csv",
            costs=f"{RESULTS}/report/regression_costs.csv",
        log:
            f"{LOGS}/evaluation/regressions.log",
        benchmark:
            f"{BENCHMARKS}/evaluation/regressions.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("evaluate_regressions"),
        params:
            **job("evaluate_regressions"),
        shell:
            RUN

    ruleorder: evaluate_regressions > evaluate_weights


rule collect_costs:
    input:
        code=code("collect_costs"),
        bases=bases(*MAPS, *CONTEXTS, *RIVALS),
        zoos=rules.zoo.input,
        references=expand(f"{RESULTS}/reference/{{base}}.safetensors", base=STUDY.zoo.bases if UNSEEN else []),
        vaes=rules.vae.input,
        diffusions=rules.diffusion.input,
        tuned=expand(f"{RESULTS}/end-to-end/{{arm}}-{{seed}}.safetensors", arm=TUNED_ARMS, seed=SEEDS),
        weights=WEIGHTS,
        regressions=f"{RESULTS}/report/regression_costs.csv" if REGRESSED else [],
    output:
        costs=f"{RESULTS}/report/costs.csv",
        methods=f"{RESULTS}/report/method_costs.csv",
        curves=f"{RESULTS}/report/training_curves.csv",
    log:
        f"{LOGS}/report/costs.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("collect_costs"),
    params:
        **job("collect_costs"),
    shell:
        RUN


rule summarise:
    input:
        code=code("summarise"),
        evaluations=[
            f"{RESULTS}/evaluation/{source}.csv"
            for source in [
                *(*SOURCES, "without-network"),
                *(["regressions"] if REGRESSED else []),
                *(["own-experts"] if STUDY.zoo.published else []),
            ]
        ],
        costs=rules.collect_costs.output.methods,
    output:
        **({"adaptation": f"{RESULTS}/report/adaptation.csv"} if STUDY.evaluation.adaptation_scores else {}),
        metrics=f"{RESULTS}/metrics.csv",
        summary=f"{RESULTS}/summary.csv",
    log:
        f"{LOGS}/report/summarise.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("summarise"),
    params:
        **job("summarise"),
    shell:
        RUN


rule evaluate:
    input:
        rules.summarise.output,
        rules.summarise_observed.output if OBSERVED else [],
