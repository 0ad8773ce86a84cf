"""What generated weights are explained by, where the configuration asks for it: equations, for studies of ordinary
differential equations, and what encoders look at."""

EQUATIONS = [f"{RESULTS}/report/explanation.csv"] if STUDY.explain and STUDY.explain.equations else []
ATTENTION = [f"{RESULTS}/report/attention.csv"] if ATTENDED else []

if EQUATIONS:

    rule distil:
        input:
            # A system knows its true equations; it is imported by its name at run time.
            code=code("distil", *([SIMULATOR] if STUDY.data.simulated else [])),
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
            **needs("distil"),
            gpu=GPU,
        params:
            **job("distil"),
        shell:
            RUN


if ATTENTION:

    rule show_attention:
        input:
            code=code("show_attention"),
            zoos=rules.zoo.input,
            vaes=expand(f"{RESULTS}/vae/{{arm}}-{SEEDS[0]}.safetensors", arm=ATTENDED),
            observed=observed(VISIBLE),
        output:
            layers=f"{RESULTS}/report/attention.csv",
            nodes=f"{RESULTS}/report/attention_nodes.csv",
        log:
            f"{LOGS}/report/attention.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("show_attention"),
        params:
            **job("show_attention"),
        shell:
            RUN


if EQUATIONS or ATTENTION:

    rule explain:
        input:
            EQUATIONS + ATTENTION,
        localrule: True
