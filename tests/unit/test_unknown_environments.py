"""Arms that are told frames or labels, from training to weights and the command, in the tiny study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_chain import Chain, tiny_plan

from weightcast.core.tables import ATTENTION_COLUMNS
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditioned import Conditioned, adapt, generated_ensemble, refine_generated
from weightcast.environments.conditions import Known
from weightcast.environments.config.load import parse_study
from weightcast.environments.generator import Generator
from weightcast.environments.jobs import GenerateWeights, TrainDiffusion, TrainVae
from weightcast.environments.labels import Labels
from weightcast.environments.model import physical_predictors
from weightcast.environments.plan import adapted_arms
from weightcast.environments.weights_table import WeightsFile


def told(condition: str, base: str, base_condition: str) -> Any:
    """A change of the configuration: one arm, told this."""

    def change(config: dict[str, Any]) -> None:
        config["base"]["condition"] = base_condition
        config["conditions"] = {
            "frames": {"frames": 4, "width": 8, "modes": 2, "auxiliary_weight": 0.1},
            "label": {"components": 2, "observations": 4, "folds": 2, "states": 4},
        }
        arms = config["generator"]["arms"]
        arms.clear()
        arms["unknown"] = {"base": base, "condition": condition, "end_to_end": True}
        config["generator"]["diffusion"]["condition_dropout"] = 0.2
        config["zoo"]["bases"] = [base]
        config["explain"] = {"equations": False, "attention": True}

    return change


@pytest.fixture(
    params=[("frames", "erm", "frames"), ("frames", "conditioned", "frames"), ("label", "erm", "parameters")]
)
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Chain, str, str]:
    """The chain of one arm, trained: condition and base."""
    condition, base, base_condition = request.param
    made = Chain(tiny_plan(tmp_path, told(condition, base, base_condition)), tmp_path)
    results, trajectories = tmp_path / "results", tmp_path / "trajectories"
    made.run("train_base", f"base/{base}.safetensors", {"trajectories": trajectories}, base=base)
    inputs = {"base": results / f"base/{base}.safetensors", "trajectories": trajectories}
    experts = made.run("train_experts", "experts.safetensors", inputs, base=base, shard="visible-000")
    zoo = made.run("gather_zoo", f"zoo/{base}.safetensors", {"shards": [experts]}, base=base, part="zoo")
    of_arm: dict[str, Any] = {}
    if condition == "label":
        of_arm["labels"] = made.run(
            "label_environments", f"labels/{base}.safetensors", inputs | {"zoo": zoo}, base=base
        )
    arm = {"arm": "unknown", "seed": "0"}
    vae = made.run("train_vae", "vae/unknown-0.safetensors", inputs | {"zoo": zoo} | of_arm, **arm)
    inputs = {"zoo": zoo, "vae": vae, "observed": trajectories} | of_arm
    diffusion = made.run("train_diffusion", "diffusion/unknown-0.safetensors", inputs, **arm)
    inputs = {"generator": diffusion, "trajectories": trajectories} | of_arm
    made.run("tune_generator", "end-to-end/unknown-0.safetensors", inputs, **arm)
    return made, condition, base


def test_unknown_environments_go_the_whole_way(chain: tuple[Chain, str, str]) -> None:
    made, condition, base = chain
    results, trajectories = made.folder / "results", made.folder / "trajectories"
    tuned = results / "end-to-end/unknown-0.safetensors"
    inputs = {"generators": [tuned], "base": results / f"base/{base}.safetensors", "observed": trajectories}
    path = made.run("generate_weights", "weights/unknown.safetensors", inputs, source="generator-unknown")
    (method,) = WeightsFile.load(path).methods
    assert method.environments == list(made.plan.table.ids) and method.weights.isfinite().all()

    generator = Generator.load(tuned)
    frames = torch.randn(3, len(made.plan.study.data.channels), *made.plan.study.data.grid)
    frames[:, :, ::2] = float("nan")
    first, again = (generator.sample(frames=frames, n=2, seed=1) for _ in range(2))
    state = torch.zeros(1, *frames.shape[1:])
    assert torch.equal(first[1](state), again[1](state))
    assert len(generator.sample(frames=frames[:1])) == 1  # a single frame is enough
    with refused("environment", "found parameters", "unknown", f"'{condition}'"):
        generator.sample(environment={"beta": 1.0})

    spoilt = torch.stack([frames[None, :1], frames[None, 1:2]])  # two environments, a single frame of each
    weights_of = Conditioned.of_generator(
        "generator-unknown-observed", generator, BaseNetwork.load(results / f"base/{base}.safetensors")
    )
    adapted = adapt(weights_of, ["one", "other"], spoilt, generator.predictor)
    prepared = generator.condition.prepare([Known(frames=one) for one in spoilt])
    with torch.no_grad():
        assert torch.equal(adapted.weights[:, 0], weights_of.weights_of(prepared))
    drawn, again = (
        generated_ensemble(weights_of, generator, ids, spoilt[: len(ids)], 3) for ids in (["one", "other"], ["one"])
    )
    assert drawn.method == "generator-unknown-observed-ensemble" and drawn.is_ensemble
    assert torch.allclose(drawn.weights[:1], again.weights, atol=1e-6)  # of one environment alone, the same
    assert drawn.weights.shape[:2] == (2, 3) and drawn.weights[0].std(0).max() > 0
    assert adapted_arms(made.plan.study) == ["unknown"]
    _check_refined(generator, weights_of, (len(made.plan.study.data.channels), *made.plan.study.data.grid))

    if base == "erm":
        prior = generator.prior_weights(3, seed=2, steps=4)
        assert prior.shape == method.weights[0, :1].expand(3, -1).shape and prior.isfinite().all()
        assert torch.equal(prior[:2], generator.prior_weights(2, seed=2, steps=4))
    else:
        with refused("prior_weights", "conditioned base"):
            generator.prior_weights()

    inputs = {"zoos": [results / f"zoo/{base}.safetensors"], "vaes": [results / "vae/unknown-0.safetensors"]}
    inputs_of_vaes = {"zoo": inputs["zoos"][0], "vaes": inputs["vaes"], "base": results / f"base/{base}.safetensors"}
    path = made.run(
        "regress_latents", "weights/latents.safetensors", inputs_of_vaes | {"observed": trajectories}, arm="unknown"
    )
    decoded, *regressed = WeightsFile.load(path).methods
    assert decoded.weights.isfinite().all()
    assert len(regressed) == (condition == "label")  # frames are no numbers to regress on
    assert not made.call("map_weights", inputs | {"observed": trajectories}).frame.empty
    attention = made.call("show_attention", inputs | {"observed": trajectories})
    shares = attention["layers"].frame
    np.testing.assert_allclose(shares.groupby(["arm", "block", "layer"])["share"].sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(attention["nodes"].frame.groupby("block")["received"].mean(), 1.0, rtol=1e-5)
    assert list(shares) == list(ATTENTION_COLUMNS) and set(shares["arm"]) == {"unknown"}
    if condition == "label":
        labels = Labels.load(results / "labels/erm.safetensors")
        table = made.call("correlate_labels", {"labels": [results / "labels/erm.safetensors"]}).frame
        assert len(table) == labels.labels.shape[1] * len(made.plan.table.parameter_names)
        assert generator.condition.regression.support.any()  # the regression came along


def _check_refined(generator: Generator, weights_of: Conditioned, frame: tuple[int, ...]) -> None:
    """What was generated is moved along what is generated for visible environments, the same in every way of asking."""
    assert generator.span is not None and generator.span.codes.isfinite().all()
    frames = 0.1 * torch.randn(1, 3, *frame)
    generated = generator.known_weights(Known(frames=frames), seed=1)
    refined = generator.refined_weights(generated, frames)
    rest = generated - generator.span(generator.span.codes_of(generated))
    assert rest.abs().max() > 0  # generated weights need not lie in the span; refined ones do
    torch.testing.assert_close(generator.span(generator.span.codes_of(refined)), refined, atol=1e-4, rtol=0)
    (predictor,) = generator.sample(frames=frames, seed=1, refine=True)
    state = torch.zeros(1, *frame)
    (same,) = physical_predictors(refined, generator.metadata, {})
    assert torch.equal(predictor(state), same(state))
    of_stage = refine_generated(weights_of, generator, ["one"], frames[None], generator.predictor, None)
    assert of_stage.method == "generator-unknown-observed-refined"
    assert of_stage.weights.isfinite().all() and of_stage.parameters > weights_of.parameters

    with refused("refine", "found 2 predictors, expected 1"):
        generator.sample(frames=frames, n=2, refine=True)
    with refused("refine", "times that leave frames out"):
        generator.sample(frames=frames, times=torch.tensor([0.0, 2.0, 3.0]), refine=True)
    with refused("frames", "time >= 2"):
        generator.sample(frames=frames[:, :1], refine=True)
    frames[0, 1, 0, 0] = float("nan")
    with refused("frames", "NaN"):
        generator.sample(frames=frames, refine=True)


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path)
    whole = plan.study.model_dump(mode="json")

    def changed(**arm: Any) -> dict[str, Any]:
        config = parse_study(whole).model_dump(mode="json")
        first = next(iter(config["generator"]["arms"].values()))
        first.update(base="conditioned", **arm)
        return config

    with refused(
        "generator.arms.", ".condition", "found 'frames'", "'parameters' as base.condition", "relative_to: mean"
    ):
        parse_study(changed(condition="frames"))
    parse_study(changed(condition="frames", vae={"relative_to": "mean"}))
    for diffusion, words in (({"relative_to": "regression"}, "expected 'mean'"), ({"left_out": 0.2}, "expected 0")):
        with refused("diffusion." + next(iter(diffusion)), "condition 'frames'", words):
            parse_study(changed(condition="frames", vae={"relative_to": "mean"}, diffusion=diffusion))
    config = changed()
    config["base"]["condition"] = "label"
    with refused("base.condition", "found 'label'", "experts"):
        parse_study(config)
    config = changed()
    config["conditions"]["frames"].update(statistics=False, responses=False, spectra=False)
    with refused("conditions.frames", "switched off"):
        parse_study(config)


def test_an_arm_may_switch_branches_of_what_sees_frames_off(tmp_path: Path) -> None:
    def two(config: dict[str, Any]) -> None:
        told("frames", "erm", "parameters")(config)
        arms = config["generator"]["arms"]
        arms["without"] = arms["unknown"] | {"frames": {"spectra": False}}

    plan = tiny_plan(tmp_path, two)
    for kind in (TrainVae, TrainDiffusion):
        whole, without = (kind.of(plan, arm, "0").conditions for arm in ("unknown", "without"))
        assert whole is not None and without is not None
        assert whole == plan.study.conditions and (whole.frames.spectra, without.frames.spectra) == (True, False)
        assert without.frames == whole.frames.model_copy(update={"spectra": False})
    generated = GenerateWeights.of(plan, "generator-without-weights-only").conditions
    assert generated is not None and not generated.frames.spectra

    config = plan.study.model_dump(mode="json")
    arm = config["generator"]["arms"]["without"]
    arm["frames"] = {"statistics": False, "responses": False, "spectra": False}
    with refused("generator.arms.without.frames", "switched off"):
        parse_study(config)
    arm["frames"] = {"spectrum": False}
    with refused("generator.arms.without.frames.spectrum", "unknown key"):
        parse_study(config)
    arm |= {"frames": {"spectra": False}, "condition": "parameters"}
    with refused("generator.arms.without.frames", "'parameters'"):
        parse_study(config)


def test_a_study_without_the_condition_names_its_arms(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "generator: {seeds: [0], arms: {conditioned: {end_to_end: true, condition: parameters}, "
        "shown: {end_to_end: false, condition: frames}}}\n"
    )
    with refused("generator.arms", "conditioned (parameters), shown (frames)", "'label'", "trained without"):
        Generator.load(tmp_path, condition="label")
    with refused("shown-0.safetensors"):
        Generator.load(tmp_path, condition="frames")
