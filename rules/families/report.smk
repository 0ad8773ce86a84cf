"""Configuration and table as they were used, and the report."""


rule resolve_config:
    input:
        code=code("resolve_family_config"),
        table=STUDY.environments,
    output:
        config=f"{RESULTS}/config.yaml",
        environments=f"{RESULTS}/environments.csv",
    log:
        f"{LOGS}/report/config.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **job("resolve_family_config"),
    shell:
        RUN


rule write_family_report:
    input:
        code=code("write_family_report"),
        templates=templates("core/report/base.html.j2", "core/report/parts.html.j2", "families/report/page.html.j2"),
        config=rules.resolve_config.output.config,
        metrics=rules.summarise_family.output.metrics,
        summary=rules.summarise_family.output.summary,
        costs=rules.summarise_family.output.costs,
        curves=rules.summarise_family.output.curves,
        bands=f"{RESULTS}/evaluation/bands-{SEEDS[0]}.csv",
        choices=expand(f"{RESULTS}/choice/{{told}}.yaml", told=CHOSEN),
        priors=expand(f"{RESULTS}/zoo/{{name}}-{{seed}}.safetensors", name=[*DIFFUSIONS, *VAES], seed=SEEDS),
    output:
        page=f"{RESULTS}/report.html",
        figures=directory(f"{RESULTS}/figures"),
    log:
        f"{LOGS}/report/report.log",
    conda:
        ENVIRONMENT
    resources:
        **needs("write_family_report"),
    params:
        **job("write_family_report"),
    shell:
        RUN


rule report:
    input:
        rules.write_family_report.output,
