"""Maps from codes and times to weights: which kind, as left-out visible environments say, and one of it for each seed."""


rule choose_map:
    input:
        code=code("choose_map"),
        snapshots=SNAPSHOTS,
        table=STUDY.environments,
    output:
        f"{RESULTS}/choice/{{told}}.yaml",
    log:
        f"{LOGS}/choice/{{told}}.log",
    benchmark:
        f"{BENCHMARKS}/choice/{{told}}.tsv"
    priority: 100
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("choose_map"),
        gpu=GPU,
    params:
        **job("choose_map"),
    shell:
        RUN


rule train_family:
    input:
        code=code("train_family"),
        snapshots=SNAPSHOTS,
        table=STUDY.environments,
        choice=choice_of,
    output:
        f"{RESULTS}/families/{{told}}-{{seed}}.safetensors",
    log:
        f"{LOGS}/families/{{told}}-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/families/{{told}}-{{seed}}.tsv"
    priority: 90
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_family"),
        gpu=GPU,
    params:
        **job("train_family"),
    shell:
        RUN


rule train_conditional_flow:
    input:
        code=code("train_conditional_flow"),
        snapshots=SNAPSHOTS,
        table=STUDY.environments,
    output:
        f"{RESULTS}/opponents/conditional-flow-{{seed}}.safetensors",
    log:
        f"{LOGS}/opponents/conditional-flow-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/opponents/conditional-flow-{{seed}}.tsv"
    priority: 90
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_conditional_flow"),
        gpu=GPU,
    params:
        **job("train_conditional_flow"),
    shell:
        RUN


rule train_path_experts:
    input:
        code=code("train_path_experts"),
        snapshots=SNAPSHOTS,
        table=STUDY.environments,
        codes=f"{RESULTS}/families/codes-{{seed}}.safetensors",
    output:
        f"{RESULTS}/zoo/experts-{{seed}}.safetensors",
    log:
        f"{LOGS}/zoo/experts-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/zoo/experts-{{seed}}.tsv"
    priority: 85
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_path_experts"),
        gpu=GPU,
    params:
        **job("train_path_experts"),
    shell:
        RUN


rule train_path_zoo:
    input:
        code=code("train_path_zoo"),
        snapshots=SNAPSHOTS,
        codes=f"{RESULTS}/families/codes-{{seed}}.safetensors",
        experts=[f"{RESULTS}/zoo/{name}-{{seed}}.safetensors" for name in EXPERTS],
    output:
        f"{RESULTS}/zoo/zoo-{{seed}}.safetensors",
    log:
        f"{LOGS}/zoo/zoo-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/zoo/zoo-{{seed}}.tsv"
    priority: 80
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_path_zoo"),
        gpu=GPU,
    params:
        **job("train_path_zoo"),
    shell:
        RUN


rule train_path_diffusion:
    input:
        code=code("train_path_diffusion"),
        snapshots=SNAPSHOTS,
        table=STUDY.environments,
        zoo=f"{RESULTS}/zoo/zoo-{{seed}}.safetensors",
    output:
        f"{RESULTS}/zoo/diffusion-{{seed}}.safetensors",
    log:
        f"{LOGS}/zoo/diffusion-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/zoo/diffusion-{{seed}}.tsv"
    priority: 70
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_path_diffusion"),
        gpu=GPU,
    params:
        **job("train_path_diffusion"),
    shell:
        RUN


rule train_path_vae:
    input:
        code=code("train_path_vae"),
        snapshots=SNAPSHOTS,
        zoo=f"{RESULTS}/zoo/zoo-{{seed}}.safetensors",
        experts=f"{RESULTS}/zoo/experts-{{seed}}.safetensors",
    output:
        f"{RESULTS}/zoo/vae-{{seed}}.safetensors",
    log:
        f"{LOGS}/zoo/vae-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/zoo/vae-{{seed}}.tsv"
    priority: 70
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_path_vae"),
        gpu=GPU,
    params:
        **job("train_path_vae"),
    shell:
        RUN


rule train_path_generator:
    input:
        code=code("train_path_generator"),
        snapshots=SNAPSHOTS,
        codes=f"{RESULTS}/families/codes-{{seed}}.safetensors",
        vae=f"{RESULTS}/zoo/vae-{{seed}}.safetensors",
        experts=f"{RESULTS}/zoo/experts-{{seed}}.safetensors",
    output:
        f"{RESULTS}/zoo/generator-{{seed}}.safetensors",
    log:
        f"{LOGS}/zoo/generator-{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/zoo/generator-{{seed}}.tsv"
    priority: 65
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **needs("train_path_generator"),
        gpu=GPU,
    params:
        **job("train_path_generator"),
    shell:
        RUN


rule evolve:
    input:
        f"{RESULTS}/config.yaml",  # by which PathFamily.load finds its way
        families(),
