"""The generator: weight VAE, latent diffusion, end-to-end fine-tuning, and the weights that they generate."""


def arm_base(folder):
    """A file of the base that an arm's zoo starts from."""
    return lambda wildcards: f"{RESULTS}/{folder}/{ARMS[wildcards.arm].base}.safetensors"


def arm_settings(section):
    """The arm's own settings of its VAE (0) or its diffusion (1)."""
    name = ("vae", "diffusion")[section]
    return lambda wildcards: settings(
        **({"data": STUDY.data} if name == "vae" else {}),
        **{name: STUDY.generator.of_arm(wildcards.arm)[section]},
        seed=STUDY.seed,
    )


def generators(stage):
    """An arm's generators, one a seed, after a stage."""
    return lambda wildcards: [
        f"{RESULTS}/{stage or final_stage(wildcards.arm)}/{wildcards.arm}-{seed}.safetensors"
        for seed in STUDY.generator.seeds
    ]


rule train_vae:
    input:
        code=code("train_vae"),
        zoo=arm_base("zoo"),
        trajectories=trajectories(VISIBLE),
    output:
        f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors",
    params:
        settings=arm_settings(0),
        environments=rows(VISIBLE),
        trajectories=TRAJECTORIES,
        state=f"{STATE}/training",
    log:
        f"{LOGS}/vae/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/vae/{{arm}}-{{seed}}.tsv"
    threads: 1
    priority: 70
    resources:
        mem_mb=1500,
    shell:
        "{PYTHON} scripts/train_vae.py --settings {params.settings:q} --zoo {input.zoo:q}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --seed {wildcards.seed}"
        " --resume {params.state:q} --output {output:q} > {log:q} 2>&1"


rule train_diffusion:
    input:
        code=code("train_diffusion"),
        zoo=arm_base("zoo"),
        vae=f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors",
    output:
        f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors",
    params:
        settings=arm_settings(1),
        environments=rows(VISIBLE),
        state=f"{STATE}/training",
    log:
        f"{LOGS}/diffusion/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/diffusion/{{arm}}-{{seed}}.tsv"
    threads: 1
    priority: 80
    resources:
        mem_mb=1500,
    shell:
        "{PYTHON} scripts/train_diffusion.py --settings {params.settings:q} --arm {wildcards.arm} --zoo {input.zoo:q}"
        " --vae {input.vae:q} --environments {params.environments:q} --seed {wildcards.seed}"
        " --resume {params.state:q} --output {output:q} > {log:q} 2>&1"


rule tune_generator:
    input:
        code=code("tune_generator"),
        generator=f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors",
        trajectories=trajectories(VISIBLE),
    output:
        f"{RESULTS}/end-to-end/{{arm}}-{{seed}}.safetensors",
    params:
        settings=settings(data=STUDY.data, end_to_end=STUDY.generator.end_to_end, seed=STUDY.seed),
        environments=rows(VISIBLE),
        trajectories=TRAJECTORIES,
        state=f"{STATE}/training",
    log:
        f"{LOGS}/end-to-end/{{arm}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/end-to-end/{{arm}}-{{seed}}.tsv"
    threads: 1
    priority: 90
    resources:
        mem_mb=1500,
    shell:
        "{PYTHON} scripts/tune_generator.py --settings {params.settings:q} --generator {input.generator:q}"
        " --environments {params.environments:q} --trajectories {params.trajectories:q} --seed {wildcards.seed}"
        " --resume {params.state:q} --output {output:q} > {log:q} 2>&1"


rule generate_weights:
    input:
        code=code("generate_weights"),
        generators=generators(None),
        base=arm_base("base"),
    output:
        f"{RESULTS}/weights/generator-{{arm}}.safetensors",
    params:
        environments=rows(),
        samples=STUDY.generator.samples,
        method=lambda wildcards: f"generator-{wildcards.arm}",
    log:
        f"{LOGS}/weights/generator-{{arm}}.log",
    shell:
        "{PYTHON} scripts/generate_weights.py --generators {input.generators:q} --base {input.base:q}"
        " --method {params.method:q} --environments {params.environments:q} --samples {params.samples}"
        " --output {output:q} > {log:q} 2>&1"


use rule generate_weights as generate_weights_only with:
    input:
        code=code("generate_weights"),
        generators=generators("diffusion"),
        base=arm_base("base"),
    output:
        f"{RESULTS}/weights/generator-{{arm}}-weights-only.safetensors",
    params:
        environments=rows(),
        samples=STUDY.generator.samples,
        method=lambda wildcards: f"generator-{wildcards.arm}-weights-only",
    log:
        f"{LOGS}/weights/generator-{{arm}}-weights-only.log",


rule vae:
    input:
        expand(f"{RESULTS}/vae/{{arm}}-{{seed}}.safetensors", arm=ARMS, seed=STUDY.generator.seeds),


rule diffusion:
    input:
        expand(f"{RESULTS}/diffusion/{{arm}}-{{seed}}.safetensors", arm=ARMS, seed=STUDY.generator.seeds),


rule generate:
    input:
        [f"{RESULTS}/weights/{source}.safetensors" for source in weight_sources() if source.startswith("generator")],
