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
            **needs("import_snapshots"),
        params:
            **job("import_snapshots"),
        shell:
            RUN

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
            **needs("simulate_snapshots"),
        params:
            **job("simulate_snapshots"),
        shell:
            RUN


rule simulate:
    input:
        SNAPSHOTS,
