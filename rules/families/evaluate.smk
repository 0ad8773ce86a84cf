"""Inferred laws of unseen environments against the truth, and the tables of results."""


rule evaluate_family:
    input:
        code=code("evaluate_family"),
        snapshots=SNAPSHOTS,
        table=STUDY.environments,
        codes=f"{RESULTS}/families/codes-{{seed}}.safetensors",
        parameters=[f"{RESULTS}/families/{told}-{{seed}}.safetensors" for told in CHOSEN if told == "parameters"],
        nothing=f"{RESULTS}/families/nothing-{{seed}}.safetensors",
    output:
        metrics=f"{RESULTS}/evaluation/{{seed}}.csv",
        bands=f"{RESULTS}/evaluation/bands-{{seed}}.csv",
        seconds=f"{RESULTS}/evaluation/seconds-{{seed}}.csv",
    log:
        f"{LOGS}/evaluation/{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluation/{{seed}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("evaluate_family"),
    params:
        **job("evaluate_family"),
    shell:
        RUN


rule evaluate_opponents:
    input:
        code=code("evaluate_opponents"),
        snapshots=SNAPSHOTS,
        table=STUDY.environments,
        codes=f"{RESULTS}/families/codes-{{seed}}.safetensors",
        flow=[f"{RESULTS}/opponents/{name}-{{seed}}.safetensors" for name in FLOWS],
        zoo=[f"{RESULTS}/zoo/{name}-{{seed}}.safetensors" for name in ZOOS],
        diffusion=[f"{RESULTS}/zoo/{name}-{{seed}}.safetensors" for name in DIFFUSIONS],
        vae=[f"{RESULTS}/zoo/{name}-{{seed}}.safetensors" for name in VAES],
        experts=[f"{RESULTS}/zoo/{name}-{{seed}}.safetensors" for name in EXPERTS],
        generator=[f"{RESULTS}/zoo/{name}-{{seed}}.safetensors" for name in GENERATORS],
    output:
        metrics=f"{RESULTS}/evaluation/opponents-{{seed}}.csv",
        seconds=f"{RESULTS}/evaluation/opponents-seconds-{{seed}}.csv",
    log:
        f"{LOGS}/evaluation/opponents-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluation/opponents-{{seed}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("evaluate_opponents"),
    params:
        **job("evaluate_opponents"),
    shell:
        RUN


rule summarise_family:
    input:
        code=code("summarise_family"),
        evaluations=expand(f"{RESULTS}/evaluation/{{part}}{{seed}}.csv", part=PARTS, seed=SEEDS),
        seconds=expand(f"{RESULTS}/evaluation/{{part}}seconds-{{seed}}.csv", part=PARTS, seed=SEEDS),
        families=[
            *families(),
            *expand(f"{RESULTS}/opponents/{{name}}-{{seed}}.safetensors", name=FLOWS, seed=SEEDS),
            *expand(
                f"{RESULTS}/zoo/{{name}}-{{seed}}.safetensors",
                name=[*ZOOS, *DIFFUSIONS, *VAES, *GENERATORS],
                seed=SEEDS,
            ),
        ],
    output:
        metrics=f"{RESULTS}/metrics.csv",
        summary=f"{RESULTS}/summary.csv",
        costs=f"{RESULTS}/report/costs.csv",
        methods=f"{RESULTS}/report/method_costs.csv",
        curves=f"{RESULTS}/report/training_curves.csv",
    log:
        f"{LOGS}/report/summarise.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("summarise_family"),
    params:
        **job("summarise_family"),
    shell:
        RUN


rule evaluate:
    input:
        rules.summarise_family.output,
