"""Predictors in equations, for studies of ordinary differential equations whose configuration asks for it."""

if STUDY.explain:

    rule distil:
        input:
            code=code(
                "distil_predictors",
                *([] if STUDY.data.imported else [f"weightcast.systems.{STUDY.data.source.replace('-', '_')}"]),
            ),
            weights=[f"{RESULTS}/weights/{source}.safetensors" for source in SOURCES],
            trajectories=trajectories(VISIBLE),
        output:
            f"{RESULTS}/report/explanation.csv",
        log:
            f"{LOGS}/report/explanation.log",
        benchmark:
            f"{BENCHMARKS}/report/explanation.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1500,
        params:
            settings=settings(
                study=STUDY.study,
                data=STUDY.data,
                system=source_settings(STUDY.data),
                explain=STUDY.explain,
                seed=STUDY.seed,
            ),
            methods=STUDY.explain.methods or shown_methods(),
            environments=rows(),
            trajectories=lambda wildcards: TRAJECTORIES,
        shell:
            f"{SCRIPTS}distil_predictors.py"
            " --settings {params.settings:q} --weights {input.weights:q}"
            " --methods {params.methods:q} --environments {params.environments:q}"
            " --trajectories {params.trajectories:q} --output {output:q} > {log:q} 2>&1"

    rule explain:
        input:
            rules.distil.output,
        localrule: True
