"""The configuration and the table as they were used, beside the results that they led to: what every job reads."""


rule resolve_config:
    input:
        code=code("resolve_config"),
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
        job=Job(
            stage="resolve_config",
            inputs={"table": str(STUDY.environments)},
            outputs={"config": f"{RESULTS}/config.yaml", "environments": f"{RESULTS}/environments.csv"},
            settings={"config": STUDY.model_dump(mode="json")},
        ).to_json(),
    shell:
        RUN
