"""Predictors in equations, for studies of ordinary differential equations whose configuration asks for it."""

if STUDY.explain:

    rule distil:
        input:
            # A system knows its true equations; it is imported by its name at run time.
            code=code("distil", *([] if STUDY.data.imported else [SIMULATOR])),
            weights=WEIGHTS,
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
            mem_mb=memory("distil"),
            gpu=GPU,
        params:
            **job("distil"),
        shell:
            RUN

    rule explain:
        input:
            rules.distil.output,
        localrule: True
