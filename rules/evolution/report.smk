"""What the report of a study across time shows, and the report."""


rule resolve_config:
    input:
        code=code("write_config"),
    output:
        f"{RESULTS}/config.yaml",
    log:
        f"{LOGS}/report/config.log",
    conda:
        ENVIRONMENT
    params:
        config=STUDY.model_dump_json(),
    shell:
        f"{SCRIPTS}write_config.py" " --config {params.config:q} --output {output:q} > {log:q} 2>&1"


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
        mem_mb=2000,
    params:
        samples=STUDY.evaluation.samples,
        seed=STUDY.seed,
    shell:
        f"{SCRIPTS}show_distributions.py"
        " --snapshots {input.snapshots:q} --flow {input.flow:q}"
        " --samples {params.samples} --seed {params.seed} --output {output:q} > {log:q} 2>&1"


rule map_path:
    input:
        code=code("map_path"),
        anchors=expand(f"{RESULTS}/anchors/all/{{anchors}}-{SEEDS[0]}.safetensors", anchors=STUDY.anchors.kinds),
        flows=expand(f"{RESULTS}/flow/all/{{arm}}-{SEEDS[0]}.safetensors", arm=ARMS),
    output:
        f"{RESULTS}/report/weight_path.csv",
    log:
        f"{LOGS}/report/weight_path.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
    shell:
        f"{SCRIPTS}map_path.py"
        " --anchors {input.anchors:q} --flows {input.flows:q} --output {output:q}"
        " > {log:q} 2>&1"


rule write_time_report:
    input:
        code=code("write_time_report"),
        templates=templates("core/report/base.html.j2", "core/report/parts.html.j2", "evolution/report/page.html.j2"),
        metrics=rules.summarise_times.output,
        config=rules.resolve_config.output,
        distributions=rules.show_distributions.output,
        weight_path=rules.map_path.output,
        snapshots=SNAPSHOTS,
    output:
        page=f"{RESULTS}/report.html",
        figures=directory(f"{RESULTS}/figures"),
    log:
        f"{LOGS}/report/report.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
    params:
        results=lambda wildcards: RESULTS,
    shell:
        f"{SCRIPTS}write_time_report.py"
        " --results {params.results:q} --snapshots {input.snapshots:q}"
        " --output {output.page:q} --figures {output.figures:q} > {log:q} 2>&1"


rule report:
    input:
        rules.write_time_report.output,
