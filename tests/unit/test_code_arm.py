"""An arm over learned codes: experts that start from the context's weights, and what is generated beside these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused
from tiny_chain import Chain, tiny_plan

from weightcast.environments.coded import coded
from weightcast.environments.conditions import Known
from weightcast.environments.config.load import parse_study
from weightcast.environments.context import Context
from weightcast.environments.generator import Generator
from weightcast.environments.jobs import Plan
from weightcast.environments.weights_table import WeightsFile
from weightcast.environments.zoo import Zoo


def over_codes(config: dict[str, Any]) -> None:
    """One arm, on the context."""
    config["conditions"] = {"frames": {"frames": 4}}
    config["zoo"]["bases"] = ["erm", "context"]
    config["generator"]["arms"] = {"coded": {"base": "context", "condition": "code", "end_to_end": True}}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Everything that is trained for it."""
    folder = tmp_path_factory.mktemp("coded")
    made = Chain(tiny_plan(folder, over_codes), folder)
    trajectories, arm = folder / "trajectories", {"arm": "coded", "seed": "0"}
    base = made.run("train_context", "base/context.safetensors", {"trajectories": trajectories})
    inputs = {"base": base, "trajectories": trajectories}
    zoos = {}
    for part, shard in (("zoo", "visible-000"), ("reference", "unseen-000")):
        experts = made.run("train_experts", f"experts/{part}.safetensors", inputs, base="context", shard=shard)
        shards = {"shards": [experts]}
        zoos[part] = made.run("gather_zoo", f"{part}/context.safetensors", shards, base="context", part=part)
    vae = made.run("train_vae", "vae/coded-0.safetensors", inputs | {"zoo": zoos["zoo"]}, **arm)
    inputs = {"zoo": zoos["zoo"], "vae": vae, "observed": trajectories}
    diffusion = made.run("train_diffusion", "diffusion/coded-0.safetensors", inputs, **arm)
    inputs = {"generator": diffusion, "trajectories": trajectories}
    made.run("tune_generator", "end-to-end/coded-0.safetensors", inputs, **arm)
    return made


def context_of(chain: Chain) -> Context:
    return Context.load(chain.folder / "results/base/context.safetensors")


def test_codes_are_learned_ones_or_inferred(chain: Chain) -> None:
    context = context_of(chain)
    frames = torch.randn(1, 4, 2, *chain.plan.study.data.grid)
    known = [Known(environment="high"), Known(environment="beyond", frames=frames), Known(environment="low")]
    prepared = context.base.condition.prepare(coded(context.base, known))
    position = context.environments.index
    torch.testing.assert_close(prepared[[0, 2]], context.codes[[position("high"), position("low")]])
    torch.testing.assert_close(prepared[1], context.infer(frames[None]).best[0])


def test_experts_start_from_the_weights_of_their_code(chain: Chain) -> None:
    """Three small steps lead nowhere near as far as environments' codes are apart, as untrained ones are already."""
    context, zoo = context_of(chain), Zoo.load(chain.folder / "results/zoo/context.safetensors")
    own = context.weights(context.codes)
    of = [context.environments.index(environment) for environment in zoo.environments]
    distance = torch.cdist(zoo.weights[:], own)
    assert (distance.argmin(1) == torch.tensor(of)).float().mean() > 0.5


def test_weights_are_generated_for_every_environment(chain: Chain) -> None:
    results, trajectories = chain.folder / "results", chain.folder / "trajectories"
    tuned = results / "end-to-end/coded-0.safetensors"
    base = results / "base/context.safetensors"
    inputs = {"generators": [tuned], "base": base, "observed": trajectories}
    path = chain.run("generate_weights", "weights/coded.safetensors", inputs, source="generator-coded")
    (method,) = WeightsFile.load(path).methods
    assert method.environments == list(chain.plan.table.ids) and method.weights.isfinite().all()
    inputs = {
        "zoo": results / "zoo/context.safetensors",
        "vaes": [results / "vae/coded-0.safetensors"],
        "base": base,
        "reference": results / "reference/context.safetensors",
        "observed": trajectories,
    }
    path = chain.run("regress_latents", "weights/latents.safetensors", inputs, arm="coded")
    decoded, regressed = WeightsFile.load(path).methods
    assert decoded.weights.isfinite().all() and regressed.weights.isfinite().all()


def test_frames_lead_to_a_code_and_to_predictors(chain: Chain) -> None:
    generator = Generator.load(chain.folder / "results/end-to-end/coded-0.safetensors")
    context = context_of(chain)
    torch.testing.assert_close(generator.condition.prepare([Known(environment="low")])[0], context.codes[0])
    frames = torch.randn(4, 2, *chain.plan.study.data.grid)
    first, again = (generator.sample(frames=frames, n=2, seed=1) for _ in range(2))
    state = torch.zeros(1, *frames.shape[1:])
    assert torch.equal(first[1](state), again[1](state))
    assert set(generator.infer(frames)) == {f"code_{number + 1}" for number in range(context.codes.shape[1])}
    with refused("environment", "found parameters", "coded", "'code'"):
        generator.sample(environment={"beta": 1.0})


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, over_codes)
    config = plan.study.model_dump(mode="json")

    def changed(**changes: Any) -> dict[str, Any]:
        arm = {"base": "context", "condition": "code", "end_to_end": True} | changes
        return config | {"generator": config["generator"] | {"arms": {"coded": arm}}}

    with refused("generator.arms.coded.condition", "'frames'", "'context'", "expected code"):
        parse_study(changed(condition="frames"))
    with refused("generator.arms.coded.condition", "'code'", "'erm'"):
        parse_study(changed(base="erm"))
    with refused("zoo.bases", "'context'", "section context"):
        parse_study(config | {"context": None})
    with refused("zoo.bases", "'context' alone"):
        parse_study(config | {"zoo": config["zoo"] | {"bases": ["context"]}})
    assert Plan(plan.study, plan.table).shown is not None  # codes of unseen environments are inferred from frames
