"""The generator: weight VAE, latent diffusion, end-to-end fine-tuning, and the weights that they generate."""

if LABELS:

    rule label_environments:
        input:
            code=code("label_environments"),
            zoo=f"{RESULTS}/zoo/{{base}}.safetensors",
            base=f"{RESULTS}/base/{{base}}.safetensors",
            trajectories=trajectories(VISIBLE),
        output:
            f"{RESULTS}/labels/{{base}}.safetensors",
        log:
            f"{LOGS}/labels/{{base}}.log",
        benchmark:
            f"{BENCHMARKS}/labels/{{base}}.tsv"
        priority: 75
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **needs("label_environments"),
            gpu=GPU,
        params:
            **job("label_environments"),
        shell:
            RUN


rule train_vae:
    input:
        code=code("train_vae"),
        zoo=of_arm("zoo"),
        base=of_arm("base"),
        trajectories=trajectories(VISIBLE),
        labels=labels,
    output:
        f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/vae/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/vae/{{arm}}-{{seed}}.tsv"
    priority: 70
    conda:
        ENVIRONMENT
    threads: shared("train_vae")
    resources:
        **shared_resources("train_vae"),
    params:
        **job("train_vae"),
    shell:
        RUN_SHARED


rule train_diffusion:
    input:
        code=code("train_diffusion"),
        zoo=of_arm("zoo"),
        vae=f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors",
        observed=observed(VISIBLE),
        labels=labels,
    output:
        f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/diffusion/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/diffusion/{{arm}}-{{seed}}.tsv"
    priority: 80
    conda:
        ENVIRONMENT
    threads: shared("train_diffusion")
    resources:
        **shared_resources("train_diffusion"),
    params:
        **job("train_diffusion"),
    shell:
        RUN_SHARED


rule tune_generator:
    input:
        code=code("tune_generator"),
        generator=f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors",
        trajectories=trajectories(VISIBLE),
        labels=labels,
    output:
        f"{RESULTS}/end-to-end/{{arm}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/end-to-end/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/end-to-end/{{arm}}-{{seed}}.tsv"
    priority: 90
    conda:
        ENVIRONMENT
    threads: shared("tune_generator")
    resources:
        **shared_resources("tune_generator"),
    params:
        **job("tune_generator"),
    shell:
        RUN_SHARED


rule generate_weights:
    input:
        code=code("generate_weights"),
        generators=generators,
        base=of_arm("base"),
        observed=observed(TABLE.ids),
    output:
        f"{RESULTS}/weights/{{source}}.safetensors",
    log:
        f"{LOGS}/weights/{{source}}.log",
    wildcard_constraints:
        source="generator-.*",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("generate_weights"),
    params:
        **job("generate_weights"),
    shell:
        RUN


rule regress_latents:
    input:
        code=code("regress_latents"),
        zoo=of_arm("zoo"),
        reference=of_arm("reference") if UNSEEN else [],
        base=of_arm("base"),
        vaes=lambda wildcards: [f"{RESULTS}/vae/{wildcards.arm}-{seed}.safetensors" for seed in SEEDS],
        observed=observed(TABLE.ids),
    output:
        f"{RESULTS}/weights/latents-{{arm}}.safetensors",
    log:
        f"{LOGS}/weights/latents-{{arm}}.log",
    benchmark:
        f"{BENCHMARKS}/weights/latents-{{arm}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("regress_latents"),
    params:
        **job("regress_latents"),
    shell:
        RUN


rule vae:
    input:
        expand(f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors", arm=ARMS, seed=SEEDS),


rule diffusion:
    input:
        expand(f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors", arm=ARMS, seed=SEEDS),


rule generate:
    input:
        rules.resolve_config.output,  # by which Generator.load finds its way
        [f"{RESULTS}/weights/{source}.safetensors" for source in SOURCES if source.startswith("generator")],
