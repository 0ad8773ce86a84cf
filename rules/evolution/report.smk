"""The configuration as it was used, what the report of a study across time shows, and the report."""

from weightcast.evolution.jobs import ResolveTimeConfig


rule resolve_config:
    input:
        code=code("resolve_time_config"),
    output:
        f"{RESULTS}/config.yaml",
    log:
        f"{LOGS}/report/config.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        job=Job(
            stage="resolve_time_config",
            outputs={"output": f"{RESULTS}/config.yaml"},
            settings=ResolveTimeConfig.of(PLAN).model_dump(mode="json"),
        ).to_json(),
    shell:
        RUN


rule show_distributions:
    input:
        code=code("show_distributions"),
        flow=f"{RESULTS}/flow/all/{next(iter(ARMS))}-{SEEDS[0]}.safetensors",
        snapshots=SNAPSHOTS,
    output:
        f"{RESULTS}/report/distributions.nc",
    log:
        f"{LOGS}/report/distributions.log",
    conda:
        ENVIRONMENT
    resources:
        **needs("show_distributions"),
    params:
        **job("show_distributions"),
    shell:
        RUN


rule map_path:
    input:
        code=code("map_path"),
        anchors=anchor_files(seeds=SEEDS[:1]),
        flows=flow_files(seeds=SEEDS[:1]),
    output:
        f"{RESULTS}/report/weight_path.csv",
    log:
        f"{LOGS}/report/weight_path.log",
    conda:
        ENVIRONMENT
    resources:
        **needs("map_path"),
    params:
        **job("map_path"),
    shell:
        RUN


rule write_time_report:
    input:
        code=code("write_time_report"),
        templates=templates("core/report/base.html.j2", "core/report/parts.html.j2", "evolution/report/page.html.j2"),
        config=rules.resolve_config.output[0],
        metrics=rules.summarise_times.output.metrics,
        summary=rules.summarise_times.output.summary,
        costs=rules.summarise_times.output.costs,
        curves=rules.summarise_times.output.curves,
        distributions=rules.show_distributions.output[0],
        weight_path=rules.map_path.output[0],
        snapshots=SNAPSHOTS,
        couplings=COUPLED,
    output:
        page=f"{RESULTS}/report.html",
        figures=directory(f"{RESULTS}/figures"),
    log:
        f"{LOGS}/report/report.log",
    conda:
        ENVIRONMENT
    resources:
        **needs("write_time_report"),
    params:
        **job("write_time_report"),
    shell:
        RUN


rule report:
    input:
        rules.write_time_report.output,
