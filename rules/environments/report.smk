"""What the report shows, and the report: one offline page, figures also as files."""


rule map_weights:
    input:
        code=code("map_weights"),
        zoos=rules.zoo.input,
        vaes=expand(f"{RESULTS}/vae/{{arm}}-{STUDY.generator.seeds[0]}.safetensors", arm=ARMS),
    output:
        f"{RESULTS}/report/weight_map.csv",
    log:
        f"{LOGS}/report/weight_map.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        environments=rows(VISIBLE),
    shell:
        f"{SCRIPTS}map_weights.py"
        " --zoos {input.zoos:q} --vaes {input.vaes:q}"
        " --environments {params.environments:q} --output {output:q} > {log:q} 2>&1"


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
    resources:
        mem_mb=1000,
    params:
        channels=STUDY.data.channels,
    shell:
        f"{SCRIPTS}show_environments.py"
        " {input.trajectories:q} --channels {params.channels:q}"
        " --output {output:q} > {log:q} 2>&1"


rule show_rollouts:
    input:
        code=code("show_rollouts"),
        weights=[f"{RESULTS}/weights/{source}.safetensors" for source in SOURCES],
        trajectories=trajectories(TABLE.ids),
    output:
        f"{RESULTS}/report/rollouts.nc",
    log:
        f"{LOGS}/report/rollouts.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        settings=settings(study=STUDY.study, data=STUDY.data, evaluation=scoring()),
        environments=rows(),
        trajectories=lambda wildcards: TRAJECTORIES,
        methods=shown_methods(),
    shell:
        f"{SCRIPTS}show_rollouts.py"
        " --settings {params.settings:q} --weights {input.weights:q}"
        " --methods {params.methods:q} --environments {params.environments:q}"
        " --trajectories {params.trajectories:q} --output {output:q} > {log:q} 2>&1"


rule write_report:
    input:
        code=code("write_report"),
        templates=templates(
            "core/report/base.html.j2",
            "core/report/parts.html.j2",
            "environments/report/page.html.j2",
            "environments/report/explanation.html.j2",
            "environments/report/adaptation.html.j2",
        ),
        metrics=rules.summarise.output,
        costs=rules.collect_costs.output,
        config=rules.resolve_config.output,
        weight_map=rules.map_weights.output,
        rollouts=rules.show_rollouts.output,
        explanation=[f"{RESULTS}/report/explanation.csv"] if STUDY.explain else [],
    output:
        page=f"{RESULTS}/report.html",
        figures=directory(f"{RESULTS}/figures"),
    log:
        f"{LOGS}/report/report.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        results=lambda wildcards: RESULTS,
        table=lambda wildcards, input: input.config[1],
    shell:
        f"{SCRIPTS}write_report.py"
        " --results {params.results:q} --table {params.table:q}"
        " --output {output.page:q} --figures {output.figures:q} > {log:q} 2>&1"


rule gallery:
    input:
        rules.show_environments.output,


rule report:
    input:
        rules.show_environments.output,
        rules.write_report.output,
