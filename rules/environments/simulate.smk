"""Trajectories: simulated, cut from a package's data, or imported from the user's files; one NetCDF an environment. Where
a study begins from a published zoo and has none, what its experts forecast.

A job makes the files of a shard's environments, and of them those that are not there, so that an environment that joins
the table is simulated alone. What rules know is its manifest, beside the files.
"""

if STUDY.data.source == "table":
    from weightcast.records.files import table_files

    try:
        FILES = [str(file) for file in table_files(STUDY.data.files)]
    except InputError as error:
        raise SystemExit(f"weightcast: error: {error}")

    rule cut_records:
        input:
            code=code("cut_records"),
            source=FILES,
        output:
            f"{TRAJECTORIES}/{{shard}}.csv",
        log:
            f"{LOGS}/simulate/{{shard}}.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("cut_records"),
        params:
            **job("cut_records"),
        shell:
            RUN

elif STUDY.data.imported:
    from weightcast.trajectories.find import find_source_files

    try:
        FILES = find_source_files(STUDY.data.directory, TABLE, STUDY.data.source)
    except InputError as error:
        raise SystemExit(f"weightcast: error: {error}")

    rule import_trajectories:
        input:
            code=code("import_trajectories"),
            source=lambda wildcards: [str(FILES[id][0]) for id in MADE_TOGETHER[wildcards.shard]],
            test=lambda wildcards: [str(file) for id in MADE_TOGETHER[wildcards.shard] for file in FILES[id][1:]],
        output:
            f"{TRAJECTORIES}/{{shard}}.csv",
        log:
            f"{LOGS}/simulate/{{shard}}.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("import_trajectories"),
        params:
            **job("import_trajectories"),
        shell:
            RUN

elif STUDY.data.source == "zoo":

    rule roll_out_experts:
        input:
            code=code("roll_out_experts"),
            published=PUBLISHED,
        output:
            f"{TRAJECTORIES}/{{shard}}.csv",
        log:
            f"{LOGS}/simulate/{{shard}}.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("roll_out_experts"),
        params:
            **job("roll_out_experts"),
        shell:
            RUN

else:
    SIMULATOR = f"weightcast.systems.{STUDY.data.source.replace('-', '_')}"  # imported by its name at run time

    rule simulate_environments:
        input:
            code=code("simulate", SIMULATOR),
        output:
            f"{TRAJECTORIES}/{{shard}}.csv",
        log:
            f"{LOGS}/simulate/{{shard}}.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("simulate"),
        params:
            **job("simulate"),
        shell:
            RUN


rule list_trajectories:
    input:
        code=code("list_trajectories"),
        manifests=lambda wildcards: LISTED[wildcards.ids],
    output:
        f"{TRAJECTORIES}/{{ids}}.csv",
    log:
        f"{LOGS}/simulate/{{ids}}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **job("list_trajectories"),
    shell:
        RUN


rule simulate:
    input:
        trajectories(TABLE.ids),
