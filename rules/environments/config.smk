"""The configuration and the table as they were used, beside the results that they led to."""


rule resolve_config:
    input:
        code=code("write_config"),
    output:
        config=f"{RESULTS}/config.yaml",
        environments=f"{RESULTS}/environments.csv",
    log:
        f"{LOGS}/report/config.log",
    conda:
        ENVIRONMENT
    params:
        config=STUDY.model_dump_json(),
        environments=rows(),
    shell:
        f"{SCRIPTS}write_config.py"
        " --config {params.config:q} --environments {params.environments:q}"
        " --output {output.config:q} --table {output.environments:q} > {log:q} 2>&1"
