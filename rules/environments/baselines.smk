"""Weights that need no generator: pooled and conditioned networks, regression of the zoo, fine-tuning."""

FOLDED = [("erm", "erm"), ("conditioned", "film"), ("film-matched", "film-matched"), ("hypernetwork", "hypernetwork")]
OBSERVING = [("film-matched", "film-matched"), ("hypernetwork", "hypernetwork")]
FINETUNED = [("erm", "finetune-erm"), ("conditioned", "finetune-film")]


rule fold_bases:
    input:
        code=code("fold_bases"),
        bases=[f"{RESULTS}/base/{base}.safetensors" for base, _ in FOLDED],
    output:
        f"{RESULTS}/weights/bases.safetensors",
    log:
        f"{LOGS}/weights/bases.log",
    conda:
        ENVIRONMENT
    params:
        bases=bases_with_methods(FOLDED),
        environments=rows(),
    shell:
        f"{SCRIPTS}fold_bases.py"
        " {params.bases} --environments {params.environments:q} --output {output:q} > {log:q} 2>&1"


rule finetune_bases:
    input:
        code=code("finetune_bases"),
        bases=[f"{RESULTS}/base/{base}.safetensors" for base, _ in FINETUNED],
        trajectories=trajectories(TABLE.ids),
    output:
        f"{RESULTS}/weights/finetuned.safetensors",
    log:
        f"{LOGS}/weights/finetuned.log",
    benchmark:
        f"{BENCHMARKS}/weights/finetuned.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings(data=STUDY.data, finetune=STUDY.baselines.finetune),
        bases=bases_with_methods(FINETUNED),
        environments=rows(),
        trajectories=lambda wildcards: TRAJECTORIES,
    shell:
        f"{SCRIPTS}finetune_bases.py"
        " --settings {params.settings:q} {params.bases}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --output {output:q}"
        " > {log:q} 2>&1"


rule regress_weights:
    input:
        code=code("regress_weights"),
        zoo=f"{RESULTS}/zoo/{{base}}.safetensors",
        reference=f"{RESULTS}/reference/{{base}}.safetensors" if UNSEEN else [],
        base=f"{RESULTS}/base/{{base}}.safetensors",
    output:
        f"{RESULTS}/weights/zoo-{{base}}.safetensors",
    log:
        f"{LOGS}/weights/zoo-{{base}}.log",
    benchmark:
        f"{BENCHMARKS}/weights/zoo-{{base}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
    params:
        settings=settings(regression=STUDY.baselines.regression),
        environments=rows(),
        reference=lambda wildcards, input: f"--reference {input.reference}" if UNSEEN else "",
    shell:
        f"{SCRIPTS}regress_weights.py"
        " --settings {params.settings:q} --zoo {input.zoo:q} {params.reference}"
        " --base {input.base:q} --name {wildcards.base} --environments {params.environments:q} --output {output:q}"
        " > {log:q} 2>&1"
