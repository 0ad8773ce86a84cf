"""Bases trained on all visible environments, and the zoo of experts fine-tuned from them."""


def weight_map(kind):
    """What a base or a trained baseline is, and how it is trained."""
    base, baselines = STUDY.base, STUDY.baselines
    film = {"kind": "film", **base.film.model_dump()}
    network = baselines.hypernetwork
    return {
        "erm": ({"kind": "pooled"}, base.erm),
        "conditioned": (film, base.conditioned),
        "film-matched": (film, baselines.film_matched),
        "hypernetwork": ({"kind": "hypernetwork", "rank": network.rank, "width": network.width}, network.training),
    }[kind]


def base_settings(kind):
    described, training = weight_map(kind)
    return settings(data=STUDY.data, predictor=STUDY.predictor, map=described, training=training)


def base_priority(kind):
    """The conditioned base first: the longest chain of jobs hangs on it."""
    return 100 if kind == "conditioned" else 50


for base_kind in ("erm", "conditioned", "film-matched", "hypernetwork"):

    rule:
        name:
            f"train_{base_kind.replace('-', '_')}"
        input:
            code=code("train_base"),
            trajectories=trajectories(base_environments(STUDY, TABLE, base_kind)),
        output:
            f"{RESULTS}/base/{base_kind}.safetensors",
        params:
            settings=base_settings(base_kind),
            environments=rows(base_environments(STUDY, TABLE, base_kind)),
            trajectories=TRAJECTORIES,
            seed=STUDY.seed,
            state=f"{STATE}/training",
        log:
            f"{LOGS}/base/{base_kind}.log",
        benchmark:
            f"{BENCHMARKS}/base/{base_kind}.tsv"
        threads: 1
        priority: base_priority(base_kind)
        resources:
            mem_mb=1500,
        shell:
            "{PYTHON} scripts/train_base.py --settings {params.settings:q} --environments {params.environments:q}"
            " --trajectories {params.trajectories:q} --seed {params.seed} --resume {params.state:q}"
            " --output {output:q} > {log:q} 2>&1"


rule train_experts:
    input:
        code=code("train_experts"),
        base=f"{RESULTS}/base/{{base}}.safetensors",
        trajectories=lambda wildcards: trajectories(SHARDS[wildcards.shard]),
    output:
        f"{RESULTS}/zoo/shards/{{base}}/{{shard}}.safetensors",
    params:
        settings=settings(data=STUDY.data, zoo=STUDY.zoo.model_dump(mode="json", include={"perturbation", "training"}), seed=STUDY.seed),
        environments=lambda wildcards: rows(SHARDS[wildcards.shard]),
        members=lambda wildcards: STUDY.zoo.members if wildcards.shard.startswith("visible") else 1,
        trajectories=TRAJECTORIES,
        cache=lambda wildcards: f"{STATE}/experts/{wildcards.base}",
    log:
        f"{LOGS}/zoo/{{base}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/zoo/{{base}}/{{shard}}.tsv"
    threads: 1
    priority: 60
    resources:
        mem_mb=1500,
    shell:
        "{PYTHON} scripts/train_experts.py --settings {params.settings:q} --base {input.base:q}"
        " --environments {params.environments:q} --members {params.members} --trajectories {params.trajectories:q}"
        " --cache {params.cache:q} --output {output:q} > {log:q} 2>&1"


def shards_of(role):
    """Shard files of a base: of the visible environments (the zoo) or of the unseen ones (the reference)."""
    names = [shard for shard in SHARDS if shard.startswith(role)]
    return lambda wildcards: [f"{RESULTS}/zoo/shards/{wildcards.base}/{shard}.safetensors" for shard in names]


rule gather_zoo:
    input:
        code=code("gather_zoo"),
        shards=shards_of("visible"),
    output:
        f"{RESULTS}/zoo/{{base}}.safetensors",
    params:
        environments=VISIBLE,
    log:
        f"{LOGS}/zoo/{{base}}/gather.log",
    priority: 60
    shell:
        "{PYTHON} scripts/gather_zoo.py --shards {input.shards:q} --environments {params.environments:q}"
        " --output {output:q} > {log:q} 2>&1"


if UNSEEN:

    use rule gather_zoo as gather_reference with:
        input:
            code=code("gather_zoo"),
            shards=shards_of("unseen"),
        output:
            f"{RESULTS}/reference/{{base}}.safetensors",
        params:
            environments=UNSEEN,
        log:
            f"{LOGS}/reference/{{base}}.log",


rule base:
    input:
        expand(f"{RESULTS}/base/{{base}}.safetensors", base=STUDY.zoo.bases),


rule zoo:
    input:
        expand(f"{RESULTS}/zoo/{{base}}.safetensors", base=STUDY.zoo.bases),
