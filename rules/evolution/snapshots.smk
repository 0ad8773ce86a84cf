"""Samples of the evolving distribution: simulated, or read from a file."""

if STUDY.data.imported:

    rule import_snapshots:
        input:
            code=code("import_snapshots"),
            file=STUDY.data.file,
        output:
            SNAPSHOTS,
        log:
            f"{LOGS}/snapshots.log",
        conda:
            ENVIRONMENT
        resources:
            mem_mb=2000,
        params:
            settings=settings(data=STUDY.data, seed=STUDY.seed),
        shell:
            f"{SCRIPTS}import_snapshots.py" " --settings {params.settings:q} --output {output:q} > {log:q} 2>&1"

else:

    rule simulate_snapshots:
        input:
            code=code("simulate_snapshots"),
        output:
            SNAPSHOTS,
        log:
            f"{LOGS}/snapshots.log",
        conda:
            ENVIRONMENT
        resources:
            mem_mb=2000,
        params:
            settings=settings(data=STUDY.data, seed=STUDY.seed),
        shell:
            f"{SCRIPTS}simulate_snapshots.py" " --settings {params.settings:q} --output {output:q} > {log:q} 2>&1"


rule simulate:
    input:
        SNAPSHOTS,
