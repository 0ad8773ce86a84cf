"""Trajectories: simulated, cut from a package's data, or imported from the user's files; one NetCDF an environment."""

if STUDY.data.imported:
    from weightcast.trajectories.find import find_environment_files

    try:
        FILES = find_environment_files(STUDY.data.directory, TABLE, STUDY.data.source)
    except InputError as error:
        raise SystemExit(f"weightcast: error: {error}")

    rule import_trajectories:
        input:
            code=code("import_trajectories"),
            source=lambda wildcards: str(FILES[wildcards.environment]),
        output:
            f"{TRAJECTORIES}/{{environment}}.nc",
        log:
            f"{LOGS}/simulate/{{environment}}.log",
        conda:
            ENVIRONMENT
        params:
            environments=lambda wildcards: rows([wildcards.environment]),
            channels=STUDY.data.channels,
            grid=STUDY.data.grid,
            frames=STUDY.data.frames,
            trajectories=STUDY.data.trajectories.total,
            frame_step=source_settings(STUDY.data).get("frame_step", 1.0),
        shell:
            f"{SCRIPTS}import_trajectories.py"
            " --source {input.source:q} --environments {params.environments:q}"
            " --channels {params.channels:q} --grid {params.grid} --minimum-frames {params.frames}"
            " --minimum-trajectories {params.trajectories} --frame-step {params.frame_step} --output {output:q} > {log:q} 2>&1"

else:

    rule simulate_environment:
        input:
            code=code("simulate", f"weightcast.systems.{STUDY.data.source.replace('-', '_')}"),
        output:
            f"{TRAJECTORIES}/{{environment}}.nc",
        log:
            f"{LOGS}/simulate/{{environment}}.log",
        conda:
            ENVIRONMENT
        resources:
            mem_mb=1000,
        params:
            system=STUDY.data.source,
            environments=lambda wildcards: rows([wildcards.environment]),
            settings=settings(**source_settings(STUDY.data)),
            seed=STUDY.seed,
            folder=lambda wildcards: TRAJECTORIES,
        shell:
            f"{SCRIPTS}simulate.py"
            " --system {params.system:q} --environments {params.environments:q}"
            " --settings {params.settings:q} --seed {params.seed} --output-directory {params.folder:q} > {log:q} 2>&1"


rule simulate:
    input:
        trajectories(TABLE.ids),
