"""Environments that nobody can name: codes learned with the visible ones, and predictors from a few frames of others."""

if STUDY.context:

    rule train_context:
        input:
            code=code("train_context"),
            trajectories=lambda wildcards: trajectories(base_environments(STUDY, TABLE, wildcards.context)),
        output:
            f"{RESULTS}/base/{{context}}.safetensors",
        log:
            f"{LOGS}/base/{{context}}.log",
        benchmark:
            f"{BENCHMARKS}/base/{{context}}.tsv"
        wildcard_constraints:
            context="|".join(CONTEXTS),
        priority: base_priority("context")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("train_context"),
            gpu=GPU,
        params:
            **job("train_context"),
        shell:
            RUN


if "in-context" in RIVALS:

    rule train_in_context:
        input:
            code=code("train_in_context"),
            trajectories=trajectories(base_environments(STUDY, TABLE, "in-context")),
        output:
            f"{RESULTS}/base/in-context.safetensors",
        log:
            f"{LOGS}/base/in-context.log",
        benchmark:
            f"{BENCHMARKS}/base/in-context.tsv"
        priority: base_priority("in-context")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("train_in_context"),
            gpu=GPU,
        params:
            **job("train_in_context"),
        shell:
            RUN


if "equations" in RIVALS:

    rule find_equations:
        input:
            code=code("find_equations"),
            trajectories=trajectories(VISIBLE),
        output:
            f"{RESULTS}/base/equations.safetensors",
        log:
            f"{LOGS}/base/equations.log",
        benchmark:
            f"{BENCHMARKS}/base/equations.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("find_equations"),
            gpu=GPU,
        params:
            **job("find_equations"),
        shell:
            RUN


if OBSERVED:

    rule adapt_to_frames:
        input:
            code=code("adapt_to_frames"),
            bases=bases(*adapted_maps(STUDY)),
            generators=[
                f"{RESULTS}/{'end-to-end' if ARMS[arm].end_to_end else 'diffusion'}/{arm}-{seed}.safetensors"
                for arm in adapted_arms(STUDY)
                for seed in SEEDS
            ],
            started_from=bases(*(ARMS[arm].base for arm in adapted_arms(STUDY) for _ in SEEDS)),
            contexts=bases(*CONTEXTS),
            in_context=bases("in-context") if "in-context" in RIVALS else [],
            equations=bases("equations") if "equations" in RIVALS else [],
            finetuned=bases(*finetuned_maps(STUDY)),
            zoo=f"{RESULTS}/zoo/{experts_base(STUDY)}.safetensors",
            trajectories=trajectories([*choosing_environments(STUDY, TABLE), *UNSEEN]),
        output:
            f"{RESULTS}/weights/observed/{{case}}.safetensors",
        log:
            f"{LOGS}/weights/observed/{{case}}.log",
        benchmark:
            f"{BENCHMARKS}/weights/observed/{{case}}.tsv"
        wildcard_constraints:
            case="[0-9][a-z0-9.-]*",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("adapt_to_frames"),
            gpu=GPU,
        params:
            **job("adapt_to_frames"),
        shell:
            RUN

    rule summarise_observed:
        input:
            code=code("summarise_observed"),
            evaluations=[f"{RESULTS}/evaluation/{source}.csv" for source in OBSERVED],
            references=f"{RESULTS}/evaluation/zoo-{experts_base(STUDY)}.csv",
            unadapted=[
                f"{RESULTS}/evaluation/{source}.csv"
                for source in ["bases", "without-network", *(["regressions"] if REGRESSED else [])]
            ],
            regressions=f"{RESULTS}/evaluation/regressions-observed.csv" if REGRESSED else [],
        output:
            metrics=f"{RESULTS}/observed.csv",
            summary=f"{RESULTS}/report/observed_summary.csv",
            verdict=f"{RESULTS}/verdict.csv",
        log:
            f"{LOGS}/report/observed.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("summarise"),
        params:
            **job("summarise_observed"),
        shell:
            RUN
