"""The generator: weight VAE, latent diffusion, end-to-end fine-tuning, and the weights that they generate."""


rule train_vae:
    input:
        code=code("train_vae"),
        zoo=arm_base("zoo"),
        base=arm_base("base"),
        trajectories=trajectories(VISIBLE),
    output:
        f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/vae/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/vae/{{arm}}-{{seed}}.tsv"
    priority: 70
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
    params:
        settings=arm_settings(0),
        environments=rows(VISIBLE),
        trajectories=lambda wildcards: TRAJECTORIES,
        state=lambda wildcards: f"{STATE}/training",
    shell:
        f"{SCRIPTS}train_vae.py"
        " --settings {params.settings:q} --zoo {input.zoo:q} --base {input.base:q}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --seed {wildcards.seed}"
        " --resume {params.state:q} --output {output:q} > {log:q} 2>&1"


rule train_diffusion:
    input:
        code=code("train_diffusion"),
        zoo=arm_base("zoo"),
        vae=f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors",
    output:
        f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/diffusion/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/diffusion/{{arm}}-{{seed}}.tsv"
    priority: 80
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
    params:
        settings=arm_settings(1),
        environments=rows(VISIBLE),
        state=lambda wildcards: f"{STATE}/training",
    shell:
        f"{SCRIPTS}train_diffusion.py"
        " --settings {params.settings:q} --arm {wildcards.arm} --zoo {input.zoo:q}"
        " --vae {input.vae:q} --environments {params.environments:q} --seed {wildcards.seed}"
        " --resume {params.state:q} --output {output:q} > {log:q} 2>&1"


rule tune_generator:
    input:
        code=code("tune_generator"),
        generator=f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors",
        trajectories=trajectories(VISIBLE),
    output:
        f"{RESULTS}/end-to-end/{{arm}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/end-to-end/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/end-to-end/{{arm}}-{{seed}}.tsv"
    priority: 90
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
    params:
        settings=settings(data=STUDY.data, end_to_end=STUDY.generator.end_to_end, seed=STUDY.seed),
        environments=rows(VISIBLE),
        trajectories=lambda wildcards: TRAJECTORIES,
        state=lambda wildcards: f"{STATE}/training",
    shell:
        f"{SCRIPTS}tune_generator.py"
        " --settings {params.settings:q} --generator {input.generator:q}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --seed {wildcards.seed}"
        " --resume {params.state:q} --output {output:q} > {log:q} 2>&1"


rule generate_weights:
    input:
        code=code("generate_weights"),
        generators=generators(None),
        base=arm_base("base"),
    output:
        f"{RESULTS}/weights/generator-{{arm}}.safetensors",
    log:
        f"{LOGS}/weights/generator-{{arm}}.log",
    conda:
        ENVIRONMENT
    params:
        environments=rows(),
        samples=STUDY.generator.samples,
        method=lambda wildcards: f"generator-{wildcards.arm}",
    shell:
        f"{SCRIPTS}generate_weights.py"
        " --generators {input.generators:q} --base {input.base:q}"
        " --method {params.method:q} --environments {params.environments:q} --samples {params.samples}"
        " --output {output:q} > {log:q} 2>&1"


use rule generate_weights as generate_weights_only with:
    input:
        code=code("generate_weights"),
        generators=generators("diffusion"),
        base=arm_base("base"),
    output:
        f"{RESULTS}/weights/generator-{{arm}}-weights-only.safetensors",
    log:
        f"{LOGS}/weights/generator-{{arm}}-weights-only.log",
    params:
        environments=rows(),
        samples=STUDY.generator.samples,
        method=lambda wildcards: f"generator-{wildcards.arm}-weights-only",


rule adapt_to_frames:
    input:
        code=code("adapt_to_frames"),
        bases=[f"{RESULTS}/base/{base}.safetensors" for base, _ in OBSERVING],
        generators=lambda wildcards: [
            f"{RESULTS}/{final_stage(arm)}/{arm}-{seed}.safetensors"
            for arm in adapted_arms(STUDY)
            for seed in STUDY.generator.seeds
        ],
        started_from=f"{RESULTS}/base/conditioned.safetensors",
        trajectories=trajectories(UNSEEN),
    output:
        f"{RESULTS}/weights/observed.safetensors",
    log:
        f"{LOGS}/weights/observed.log",
    benchmark:
        f"{BENCHMARKS}/weights/observed.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=settings(data=STUDY.data, frames=STUDY.evaluation.observed_frames),
        bases=bases_with_methods(OBSERVING),
        environments=rows(UNSEEN),
        trajectories=lambda wildcards: TRAJECTORIES,
    shell:
        f"{SCRIPTS}adapt_to_frames.py"
        " --settings {params.settings:q} {params.bases}"
        " --generators {input.generators:q} --started-from {input.started_from:q}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --output {output:q}"
        " > {log:q} 2>&1"


rule vae:
    input:
        expand(f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors", arm=ARMS, seed=STUDY.generator.seeds),


rule diffusion:
    input:
        expand(f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors", arm=ARMS, seed=STUDY.generator.seeds),


rule generate:
    input:
        rules.resolve_config.output,  # by which Generator.load finds its way
        [f"{RESULTS}/weights/{source}.safetensors" for source in SOURCES if source.startswith("generator")],
