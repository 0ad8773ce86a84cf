"""What the report shows, and the report: one offline page, figures also as files."""


rule map_weights:
    input:
        code=code("map_weights"),
        zoos=rules.zoo.input,
        vaes=expand(f"{RESULTS}/vae/{{arm}}-{SEEDS[0]}.safetensors", arm=ARMS),
        observed=observed(VISIBLE),
    output:
        f"{RESULTS}/report/weight_map.csv",
    log:
        f"{LOGS}/report/weight_map.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("map_weights"),
    params:
        **job("map_weights"),
    shell:
        RUN


if LABELS:

    rule correlate_labels:
        input:
            code=code("correlate_labels"),
            labels=LABELS,
        output:
            f"{RESULTS}/report/labels.csv",
        log:
            f"{LOGS}/report/labels.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("correlate_labels"),
        params:
            **job("correlate_labels"),
        shell:
            RUN


rule show_environments:
    input:
        code=code("show_environments"),
        trajectories=trajectories(pictured_environments(TABLE)),
    output:
        f"{RESULTS}/report/environments.png",
    log:
        f"{LOGS}/report/environments.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("show_environments"),
    params:
        **job("show_environments"),
    shell:
        RUN


rule show_rollouts:
    input:
        code=code("show_rollouts"),
        weights=WEIGHTS,
        trajectories=trajectories(TABLE.ids),
    output:
        f"{RESULTS}/report/rollouts.nc",
    log:
        f"{LOGS}/report/rollouts.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("show_rollouts"),
        gpu=GPU,
    params:
        **job("show_rollouts"),
    shell:
        RUN


if ARMS or STUDY.context:

    rule compare_with_experts:
        input:
            code=code("compare_with_experts"),
            weights=WEIGHTS,
            zoos=rules.zoo.input,
            evaluations=[f"{RESULTS}/evaluation/{source}.csv" for source in SOURCES],
            trajectories=trajectories(TABLE.ids),
        output:
            f"{RESULTS}/report/novelty.csv",
        log:
            f"{LOGS}/report/novelty.log",
        benchmark:
            f"{BENCHMARKS}/report/novelty.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("compare_with_experts"),
            gpu=GPU,
        params:
            **job("compare_with_experts"),
        shell:
            RUN


if STUDY.context and OBSERVED:

    rule show_observed:
        input:
            code=code("show_observed"),
            weights=f"{RESULTS}/weights/{OBSERVED[0]}.safetensors",
            context=bases("context"),
            trajectories=trajectories(pictured_unknown(TABLE)),
        output:
            f"{RESULTS}/report/observed.nc",
        log:
            f"{LOGS}/report/observed-shown.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("show_observed"),
            gpu=GPU,
        params:
            **job("show_observed"),
        shell:
            RUN

    rule describe_posteriors:
        input:
            code=code("describe_posteriors"),
            context=bases("context"),
            trajectories=trajectories(UNSEEN),
        output:
            f"{RESULTS}/report/open_directions.csv",
        log:
            f"{LOGS}/report/open_directions.log",
        benchmark:
            f"{BENCHMARKS}/report/open_directions.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("describe_posteriors"),
            gpu=GPU,
        params:
            **job("describe_posteriors"),
        shell:
            RUN


rule write_report:
    input:
        code=code("write_report"),
        templates=templates(
            "core/report/base.html.j2",
            "core/report/parts.html.j2",
            "environments/report/page.html.j2",
            "environments/report/explanation.html.j2",
            "environments/report/adaptation.html.j2",
            "environments/report/labels.html.j2",
            "environments/report/novelty.html.j2",
            "environments/report/unknown.html.j2",
        ),
        study=rules.resolve_config.output.config,
        environments=rules.resolve_config.output.environments,
        metrics=rules.summarise.output.metrics,
        summary=rules.summarise.output.summary,
        costs=rules.collect_costs.output.costs,
        curves=rules.collect_costs.output.curves,
        weight_map=rules.map_weights.output,
        rollouts=rules.show_rollouts.output,
        explanation=EQUATIONS,
        attention=ATTENTION,
        labels=[f"{RESULTS}/report/labels.csv"] if LABELS else [],
        novelty=[f"{RESULTS}/report/novelty.csv"] if ARMS or STUDY.context else [],
        observed_summary=rules.summarise_observed.output.summary if OBSERVED else [],
        verdict=rules.summarise_observed.output.verdict if OBSERVED else [],
        observed_forecasts=[f"{RESULTS}/report/observed.nc"] if STUDY.context and OBSERVED else [],
        open_directions=[f"{RESULTS}/report/open_directions.csv"] if STUDY.context and OBSERVED else [],
    output:
        page=f"{RESULTS}/report.html",
        figures=directory(f"{RESULTS}/figures"),
    log:
        f"{LOGS}/report/report.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("write_report"),
    params:
        **job("write_report"),
    shell:
        RUN


rule gallery:
    input:
        rules.show_environments.output,


rule report:
    input:
        rules.show_environments.output,
        rules.summarise_observed.output if OBSERVED else [],
        rules.write_report.output,
